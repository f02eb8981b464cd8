"""Where exact shares, integrated gradients and the removal of windows differ.

Integrated gradients cross ReLU gates on their way; a removal changes the norm that a cosine is divided by, and may switch gates.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.attribution.attribute import attribute
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.analysis.windows.geometry import WindowGeometry, windows
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class ShareGap:
    """Windows of one trained scale, by three accounts of the same score, for each image of a batch.

    Attributes
    ----------
    scale, geometry
        Which windows.
    shares, integrated
        What the tokens of each window give through every scale, ``[B, n_windows]``: their exact share, ReLU gates
        frozen as they stand; and integrated gradients from tokens of zero, ReLU gates flipping on the way.
    own_share, removal, removal_norm_kept
        What each window gives through the kernel of its own scale: its exact share; how much the score falls when
        its term is taken away, a cosine's norm recomputed; and the same with the norm kept as it was, which
        differs from the share by flipped gates only.
    flipped
        How many ReLU gates flip when it is taken away.
    cls, bias, score
        The CLS share, the share of all biases, and the score, ``[B]``; in the units of the target.
    flipped_on_path
        How many gates differ between tokens of zero and the input, ``[B]``.
    """

    scale: int
    geometry: WindowGeometry
    shares: Float[np.ndarray, "batch window"]
    integrated: Float[np.ndarray, "batch window"]
    own_share: Float[np.ndarray, "batch window"]
    removal: Float[np.ndarray, "batch window"]
    removal_norm_kept: Float[np.ndarray, "batch window"]
    flipped: Int[np.ndarray, "batch window"]
    cls: Float[np.ndarray, " batch"]
    bias: Float[np.ndarray, " batch"]
    score: Float[np.ndarray, " batch"]
    flipped_on_path: Int[np.ndarray, " batch"]


def share_scales(model: Model) -> tuple[int, ...]:
    """Scales whose windows have exact shares at first: trained ones, else the runs that a module declares, else one token."""
    if model.addon is None:
        return ()
    weights = fusion_weights(model.addon)
    runs = tuple(slot.scale for slot in weights.declared if slot.tile is None)
    return weights.scales or runs or (1,)


def exact_shares(model: Model, tokens: Tokens, target: Target, scale: int) -> Attribution:
    """Exact shares of the windows of one scale, as an attribution: beside maps of other methods, with the same target.

    Of add-ons of windows, what a window gives through the kernel of a trained scale; of any other module, what the
    tokens of a window of any scale give through all of it.

    Parameters
    ----------
    model, tokens, target, scale
        As in :func:`share_gap`.

    Returns
    -------
    attribution
        ``values [B, n_windows]``; ``rest`` is what falls outside of them.

    Raises
    ------
    OptionError, ScaleError
        As in :func:`share_gap`.

    Examples
    --------
    >>> shares = mv.exact_shares(model, tokens, mv.Target.text("a person wearing a red top"), scale=8)
    >>> shares.values.shape, shares.method
    ((4, 16), 'exact_share')
    >>> parts = mv.decompose(tokens, model.addon, text).cosine()
    >>> bool(np.allclose(shares.values, parts.windows[8], atol=1e-6))
    True
    """
    started = time.perf_counter()
    weights, index, slots = _checked_weights(model, target, tokens, scale)
    parts = decompose_fusion(tokens, weights, target.directions(model, len(tokens)), slots=slots)
    norm, none = parts.norm, np.full(len(tokens), np.nan)
    parts = parts.cosine() if target.kind == "cosine" else parts
    shares = parts.slot(index)
    return Attribution(
        values=shares.windows,
        score=parts.score,
        baseline_score=none,
        rest=parts.outside,
        delta=none,
        norm=norm,
        method="exact_share",
        level="windows",
        target=f"{target.words}, {target.feature} CLS",
        grid=tokens.grid,
        geometry=shares.geometry,
        seconds=time.perf_counter() - started,
        parameters={
            "scale": scale,
            "kernel": "of this scale only" if slots is None else "none: a module of its own",
        },
        provenance=model.provenance,
    )


@torch.inference_mode(False)  # a model or tokens copied in inference mode would have no gradients
def share_gap(model: Model, tokens: Tokens, target: Target, scale: int, *, n_steps: int = 50) -> ShareGap:
    """Compare exact shares with integrated gradients and the removal of windows.

    Parameters
    ----------
    model
        With an add-on.
    tokens
        Of a batch, of the tower's output.
    target
        A direction or a cosine, of the enhanced CLS.
    scale
        One of the trained scales; tokens in a window, for a module that is not made of windows: there a window is
        removed by tokens of zero, and no gate is counted.
    n_steps
        Of integrated gradients.

    Returns
    -------
    gap
        ``shares``, ``integrated``, ``own_share``, ``removal`` and ``removal_norm_kept``, ``[B, n_windows]`` each, in units of
        the target; ``flipped`` counts gates.

    Raises
    ------
    OptionError
        If the target is not a direction or cosine of the enhanced CLS, the model has no add-on, or one of windows has no
        such scale.
    ScaleError
        If the windows of another module do not fit the tokens.

    Examples
    --------
    >>> gap = mv.share_gap(model, tokens[0], mv.Target.text("a person wearing a red top"), 16, n_steps=8)
    >>> gap.own_share.shape, gap.flipped.shape
    ((1, 8), (1, 8))
    >>> still = gap.flipped == 0  # where no gate switches, only the norm makes a removal another number
    >>> bool(np.allclose(gap.removal_norm_kept[still], gap.own_share[still], atol=1e-6))
    True
    """
    weights, slot, slots = _checked_weights(model, target, tokens, scale)
    directions = target.directions(model, len(tokens))
    parts = decompose_fusion(tokens, weights, directions, slots=slots)
    empty = replace(tokens, patches=tokens.patches * 0)
    unlit = decompose_fusion(empty, weights, directions, slots=slots).gates
    without = remove_each_window(tokens, weights, directions, slot, slots=slots)
    cosine = target.kind == "cosine"
    norm = parts.norm[:, None] if cosine else 1.0  # directions of cosines are of unit length
    parts = parts.cosine() if cosine else parts
    geometry = parts.slot(slot).geometry
    integrated = attribute(model, tokens, target, level="windows", scale=geometry.scale, n_steps=n_steps)
    return ShareGap(
        scale=scale,
        geometry=geometry,
        shares=np.sum(list(parts.tokens.values()), axis=0)[:, geometry.tokens].sum(axis=2),
        integrated=integrated.values,
        own_share=parts.slot(slot).windows,
        removal=-(without.cosine_change if cosine else without.change),
        removal_norm_kept=-without.change / norm,
        flipped=without.flipped,
        cls=parts.cls,
        bias=parts.bias,
        score=parts.score,
        flipped_on_path=(parts.gates != unlit).sum(axis=1),
    )


def _checked_weights(
    model: Model, target: Target, tokens: Tokens, scale: int
) -> tuple[AddonMap, int, tuple[Slot, ...] | None]:
    """The add-on's map, which slot has the scale, and the slots, None for the trained ones."""
    target = as_target(target)
    if target.kind not in ("direction", "cosine") or target.feature != "enhanced":
        raise OptionError(
            f"exact shares need a direction or cosine of the enhanced CLS: got {target.words}, {target.feature} CLS"
        )
    weights = fusion_weights(model.addon)
    if not weights.scales:
        slot = Slot(windows(tokens.grid, scale).scale, "mean")
        return weights, 0, (slot,)
    if scale not in weights.scales:
        raise OptionError(f"the scale must be one of the trained {weights.scales}: got {scale}")
    return weights, weights.scales.index(scale), None
