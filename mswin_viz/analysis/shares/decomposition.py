"""Exact additive shares of the CLS token, every window, every token and the biases in a score.

For a direction ``v`` the score is ``v . enhanced``. With everything that is not linear held as it stands at this input
(ReLU gates, the factors of a GELU, the deviations that a LayerNorm divides by, softmax weights) the add-on is linear in
the tokens, so the score splits exactly into ``v . cls``, one share for each window (which splits further over its
tokens), and one share of all biases together. Add-ons of windows have a closed form; any other module is split over its
tokens, and what could not be held is a separate part. A share is not what the score loses without the window: taking
a window away changes what is held (:mod:`mswin_viz.analysis.shares.window_removal`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.arrays import finite_vectors
from mswin_viz.analysis.frozen.frozen_map import UNEXPLAINED_FROM
from mswin_viz.analysis.shares.addon_map import AddonMap, AddonState
from mswin_viz.analysis.shares.fusion_weights import fusion_weights, no_windows
from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.shares.sums_in_words import sums_in_words
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition:
    """``cls + all windows + outside + bias + unexplained = score``, for each image of a batch; float64.

    Attributes
    ----------
    score
        ``v . enhanced``, computed without the shares, ``[B]``.
    cls, bias
        Shares of the CLS token and of all biases, ``[B]``.
    windows, tokens
        Scale -> shares ``[B, n_windows]`` and ``[B, N]``; slots of the same windows are added up, slots of one
        scale but other windows stand side by side, slots that are off are left out.
    slots
        The same for each slot in fusion order; None where a slot is off.
    norm, plain_norm, direction_norm
        Norms of the enhanced CLS, the plain CLS and the direction, ``[B]``.
    enhanced
        The enhanced CLS, ``[B, D]``.
    gates
        Which ReLU gates are open, ``[B, hidden]``; of no width in a mixture of experts.
    gate
        Of a mixture of experts: the weight of each slot's expert, ``[B, n_slots]``, a row adds up to one; else None.
    residual
        ``|sum of shares - score|`` over the sum of the shares' sizes, ``[B]``; rounding only for add-ons of windows.
    outside
        Share of the patch tokens that no window covers, ``[B]``; zero for add-ons of windows, which do not read them.
    unexplained
        The score minus all shares where the residual is above 1e-5, else zero, ``[B]``: the part of a module's output
        that is not linear and could not be held.
    left
        Names of such operations.

    Examples
    --------
    >>> parts = mv.decompose(tokens, model.addon, text)
    >>> {scale: shares.shape for scale, shares in parts.windows.items()}, parts.tokens[8].shape
    ({4: (4, 32), 8: (4, 16), 16: (4, 8)}, (4, 128))
    >>> total = parts.cls + parts.bias + sum(shares.sum(axis=1) for shares in parts.windows.values())
    >>> bool(np.allclose(total, parts.score)), bool(parts.residual.max() < 1e-12)
    (True, True)
    """

    score: Float[np.ndarray, " batch"]
    cls: Float[np.ndarray, " batch"]
    windows: Mapping[int, Float[np.ndarray, "batch window"]]
    tokens: Mapping[int, Float[np.ndarray, "batch token"]]
    bias: Float[np.ndarray, " batch"]
    norm: Float[np.ndarray, " batch"]
    residual: Float[np.ndarray, " batch"]
    enhanced: Float[np.ndarray, "batch wide"]
    slots: tuple[SlotShares | None, ...]
    plain_norm: Float[np.ndarray, " batch"]
    direction_norm: Float[np.ndarray, " batch"]
    gates: Bool[np.ndarray, "batch hidden"]
    gate: Float[np.ndarray, "batch slot"] | None = None
    outside: Float[np.ndarray, " batch"] = field(default_factory=lambda: np.zeros(1))
    unexplained: Float[np.ndarray, " batch"] = field(default_factory=lambda: np.zeros(1))
    left: tuple[str, ...] = ()

    def __repr__(self) -> str:
        windows = {f"windows of {scale}": shares.sum(axis=1) for scale, shares in self.windows.items()}
        last = {"outside": self.outside, "bias": self.bias, "unexplained": self.unexplained}
        return sums_in_words("Decomposition", self.score, {"CLS": self.cls, **windows, **last}, self.residual)

    def slot(self, index: int) -> SlotShares:
        """Shares of one slot of the fusion.

        Parameters
        ----------
        index
            Its place in the fusion, from 0.

        Raises
        ------
        OptionError
            If the slot is off.
        """
        shares = self.slots[index]
        if shares is None:
            raise OptionError(f"only a slot that is on has shares: got slot {index}, which is off")
        return shares

    def cosine(self) -> Decomposition:
        """The same shares of the cosine between the enhanced CLS and the direction.

        Score and shares are divided by ``norm`` (frozen as it stands here) and by ``direction_norm``. The CLS
        share is not the plain cosine, whose norm is ``plain_norm``. NaN where either vector is zero.

        Examples
        --------
        >>> parts = mv.decompose(tokens, model.addon, text).cosine()
        >>> enhanced = model.enhance(tokens).cls
        >>> bool(np.allclose(parts.score, torch.cosine_similarity(enhanced, text[None]), atol=1e-5))
        True
        """
        norms = self.norm * self.direction_norm
        factor = np.divide(1, norms, out=np.full_like(norms, np.nan), where=norms > 0)
        each = factor[:, None]
        return replace(
            self,
            score=self.score * factor,
            cls=self.cls * factor,
            bias=self.bias * factor,
            outside=self.outside * factor,
            unexplained=self.unexplained * factor,
            windows={scale: shares * each for scale, shares in self.windows.items()},
            tokens={scale: shares * each for scale, shares in self.tokens.items()},
            slots=tuple(s and s.times(factor) for s in self.slots),
        )


def decompose(
    tokens: Tokens, addon: torch.nn.Module | None, direction: Float[np.ndarray, "*batch dim"] | torch.Tensor
) -> Decomposition:
    """Split the score ``direction @ enhanced`` into exact shares; evaluation mode, float64 inside.

    Add-ons of windows are split in closed form; any other module over its patch tokens, each a window of one, with what is not
    linear held, and what could not be held is ``unexplained``.

    Parameters
    ----------
    tokens
        Of a batch of images, ``[B, N, D]``.
    addon
        Any module behind a tower, or None for the plain CLS, whose share is the whole score.
    direction
        ``[D]``, or one for each image ``[B, D]``: a prompt's feature, another image's CLS. Of an add-on that is
        concatenated, ``D`` may be the CLS token's width, and the rest is zero.

    Returns
    -------
    parts
        Shares of the CLS, of every window and token, and of the biases; ``parts.cosine()`` divides them by the norms.

    Raises
    ------
    ShapeError
        If the direction does not fit the tokens, or is not finite.

    Examples
    --------
    >>> green = model.encode_text("a person in green trousers")[0]
    >>> parts = mv.decompose(tokens[0], model.addon, green).cosine()
    >>> windows = {scale: round(float(shares.sum()), 3) for scale, shares in parts.windows.items()}
    >>> round(float(parts.cls[0]), 3), windows, round(float(parts.bias[0]), 3)  # these parts ...
    (0.117, {4: 0.003, 8: -0.001, 16: 0.036}, 0.0)
    >>> round(float(parts.score[0]), 3)  # ... add up to the cosine
    0.155
    """
    return decompose_fusion(tokens, None if addon is None else fusion_weights(addon), direction)


def decompose_fusion(
    tokens: Tokens,
    weights: AddonMap | None,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    *,
    slots: Sequence[Slot] | None = None,
    pooled: Sequence[Float[np.ndarray, "batch dim"] | None] | None = None,
) -> Decomposition:
    """:func:`decompose` with weights at hand, and any :class:`Slot` in each place of the fusion.

    ``slots`` and ``pooled`` as in :meth:`mswin_viz.analysis.shares.addon_map.AddonMap.run`.
    """
    weights = no_windows(are_tokens(tokens).cls.shape[1]) if weights is None else weights
    v = direction_of_each(direction, tokens, weights)
    return decomposed(weights.run(tokens, slots, pooled), v)


def direction_of_each(
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor, tokens: Tokens, weights: AddonMap | None = None
) -> Float[np.ndarray, "batch wide"]:
    """The direction of each image of a batch, float64, from one ``[D]`` or several ``[B, D]``.

    Where an add-on's feature is concatenated, a direction as wide as the CLS token is zero along that feature.
    """
    batch, dim = are_tokens(tokens).cls.shape
    return direction_of_images(direction, batch, dim, dim if weights is None else weights.feature_dim)


def direction_of_images(
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor, n_images: int, dim: int, width: int
) -> Float[np.ndarray, "batch wide"]:
    """:func:`direction_of_each` without tokens: ``dim`` is the CLS token's width, ``width`` the feature's."""
    if isinstance(direction, str):
        raise ShapeError(
            f"a direction must be a vector: got the text {direction!r:.60}; pass the text's feature, model.encode_text(text)[0]"
        )
    v = finite_vectors(direction, "a direction")
    if v.shape in ((dim,), (n_images, dim)) and width > dim:
        v = np.concatenate([v, np.zeros((*v.shape[:-1], width - dim))], axis=-1)
    if v.shape not in ((width,), (n_images, width)):
        raise ShapeError(
            f"a direction must have shape [D] or [B, D], here ({width},) or {(n_images, width)}: got {v.shape}"
        )
    return np.broadcast_to(v, (n_images, width))


def decomposed(state: AddonState, v: Float[np.ndarray, "batch wide"]) -> Decomposition:
    """:func:`decompose_fusion` of what the add-on computed, with a direction for each image."""
    split = state.split(v)
    slots_on = [s for s in split.slots if s is not None]
    by_window, by_token = _windows_by_scale(slots_on), {}
    for s in slots_on:
        by_token[s.slot.scale] = by_token.get(s.slot.scale, 0) + s.tokens
    score = (v * state.enhanced).sum(axis=1)
    single = (split.cls, split.bias, split.outside)
    total = sum(single) + sum(shares.sum(axis=1) for shares in by_window.values())
    size = sum(map(np.abs, single)) + sum(np.abs(shares).sum(axis=1) for shares in by_window.values())
    residual = np.abs(total - score) / np.maximum(size, np.finfo(float).tiny)
    return Decomposition(
        score=score,
        cls=split.cls,
        windows=by_window,
        tokens=by_token,
        bias=split.bias,
        norm=np.linalg.norm(state.enhanced, axis=1),
        residual=residual,
        enhanced=state.enhanced,
        slots=split.slots,
        plain_norm=np.linalg.norm(state.cls, axis=1),
        direction_norm=np.linalg.norm(v, axis=1),
        gates=state.gates,
        gate=state.gate if state.gate.shape[1] else None,
        outside=split.outside,
        unexplained=np.where(residual > UNEXPLAINED_FROM, score - total, 0.0),
        left=split.left,
    )


def _windows_by_scale(slots: Sequence[SlotShares]) -> dict[int, Float[np.ndarray, "batch window"]]:
    """Shares of the windows of each scale; windows that differ at one scale stand side by side."""
    windows: dict[int, dict[WindowGeometry, np.ndarray]] = {}
    for shares in slots:
        same_scale = windows.setdefault(shares.slot.scale, {})
        same_scale[shares.geometry] = same_scale.get(shares.geometry, 0) + shares.windows
    return {scale: np.concatenate(list(shares.values()), axis=1) for scale, shares in windows.items()}
