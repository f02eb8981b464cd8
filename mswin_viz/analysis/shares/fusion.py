"""What an add-on of windows computes in float64 arrays, open to change slot by slot.

Every slot of the fusion can be on, off, or given another scale (:class:`Slot`) at the cost of a few matrix-vector
products, with no torch and no module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.weak import WeakIdKeyDictionary

from mswin_viz.analysis.shares.addon_map import AddonMap, Split, Without
from mswin_viz.analysis.shares.fusion_layers import Fused, MixtureHead, MlpHead
from mswin_viz.analysis.shares.projected_layers import ProjectedHead, ProjectedTokens, TokenProjection
from mswin_viz.analysis.shares.slot_windows import SlotWindows, slot_windows
from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """A read-only float64 copy of an add-on's weights, in the symbols of the formulas.

    Attributes
    ----------
    scales
        Trained scale of each slot.
    kernels, conv_biases
        ``K_s [D, D, s]`` (out, in, tap) and ``c_s [D]`` of each slot.
    head
        What fuses the pooled vectors: scheme 1's MLP, scheme 2's with the way back, or a mixture of experts.
    projection
        What each token goes through before the windows, in scheme 2.

    Examples
    --------
    >>> weights = mv.fusion_weights(model.addon)
    >>> weights.scales, [kernel.shape for kernel in weights.kernels], weights.dim
    ((4, 8, 16), [(512, 512, 4), (512, 512, 8), (512, 512, 16)], 512)
    >>> state = weights.run(tokens)  # the fusion in float64
    >>> state.enhanced.shape, bool(np.allclose(state.enhanced, model.enhance(tokens).cls, atol=1e-4))
    ((4, 512), True)
    """

    scales: tuple[int, ...]
    kernels: tuple[Float[np.ndarray, "dim_out dim_in tap"], ...]
    conv_biases: tuple[Float[np.ndarray, " dim"], ...]
    head: MlpHead | ProjectedHead | MixtureHead
    projection: TokenProjection | None = None
    _projected: Any = field(default_factory=WeakIdKeyDictionary, repr=False)
    _taps: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def in_taps(self, index: int) -> Float[np.ndarray, "tap dim_in dim_out"]:
        """A slot's kernel in float32, tap by tap: for numbers of every window at once, which are drawn."""
        if index not in self._taps:
            kernel = self.kernels[index].transpose(2, 1, 0)
            self._taps[index] = np.ascontiguousarray(kernel, dtype=np.float32)
        return self._taps[index]

    @property
    def dim(self) -> int:
        """Width ``D`` of the tokens."""
        return self.head.dim

    @property
    def feature_dim(self) -> int:
        """Width of the enhanced CLS."""
        return self.head.dim

    @property
    def declared(self) -> tuple[Slot, ...]:
        """None: its windows are its slots'."""
        return ()

    @property
    def is_projected(self) -> bool:
        """Whether its windows read projected tokens."""
        return self.projection is not None

    @property
    def trained_slots(self) -> tuple[Slot, ...]:
        """Every slot on, at its own scale."""
        return tuple(Slot(scale) for scale in self.scales)

    def run(
        self,
        tokens: Tokens,
        slots: Sequence[Slot] | None = None,
        pooled: Sequence[Float[np.ndarray, "batch wide"] | None] | None = None,
    ) -> FusionState:
        """Run the fusion on a batch, with the slots and pooled vectors given in the place of its own."""
        slots = self.trained_slots if slots is None else tuple(slots)
        pooled = [None] * len(slots) if pooled is None else list(pooled)
        if not len(slots) == len(pooled) == len(self.scales):
            raise ShapeError(
                f"a fusion of scales {self.scales} has {counted(len(self.scales), 'slots')}: got {counted(len(slots), 'slots')} "
                f"and {counted(len(pooled), 'pooled vectors')}"
            )
        given, tokens = tokens, checked_tokens(tokens)
        cls, seen = float64(tokens.cls), self._seen(given.patches, tokens)
        views = tuple(slot_windows(seen, tokens.grid, self, i, slot) for i, slot in enumerate(slots))
        vectors = [
            _pooled(view, self, len(cls)) if p is None else p for view, p in zip(views, pooled, strict=True)
        ]
        fused = self.head.fused(vectors, len(cls))
        gain = np.ones(cls.shape[1]) if tokens.neck is None else float64(tokens.neck.scale)
        n_tokens = tokens.patches.shape[1]
        return FusionState(self, cls, cls + gain * fused.shift, gain, fused, views, n_tokens)

    def seen(self, tokens: Tokens) -> ProjectedTokens:
        """The tokens as the windows see them; projections of the last tokens are kept while those live."""
        return self._seen(tokens.patches, checked_tokens(tokens))

    def _seen(self, kept_by: torch.Tensor, tokens: Tokens) -> ProjectedTokens:
        """The tokens, checked, as the windows see them; their projection is kept by the tensor that was given."""
        if tokens.patches.shape[2] != self.dim:
            raise ShapeError(
                f"tokens must be as wide as the add-on's, {self.dim}: got patches "
                f"{tuple(tokens.patches.shape)}; use the add-on that was trained for this model"
            )
        if self.projection is None:
            patches = float64(tokens.patches)
            return ProjectedTokens(patches, patches)
        version, projected = self._projected.get(kept_by, (None, None))
        if projected is None or version != kept_by._version:
            projected = self.projection(float64(tokens.patches))
            self._projected[kept_by] = (kept_by._version, projected)
        return projected


@dataclass(frozen=True, eq=False)
class FusionState:
    """Everything the fusion computes at one input, float64; a slot that is off is None.

    ``gain`` multiplies what the head gives before it is added: the scale of the tokens' neck, or ones.
    """

    weights: FusionWeights
    cls: Float[np.ndarray, "batch dim"]
    enhanced: Float[np.ndarray, "batch dim"]
    gain: Float[np.ndarray, " dim"]
    fused: Fused
    slots: tuple[SlotWindows | None, ...]
    n_tokens: int

    @property
    def gates(self) -> Bool[np.ndarray, "batch hidden"]:
        """Which ReLU gates of the fusion are open; of no width in a mixture of experts."""
        return self.fused.gates

    @property
    def gate(self) -> Float[np.ndarray, "batch slot"]:
        """Weight of each expert of a mixture; of no width elsewhere."""
        return self.fused.gate

    @property
    def pooled(self) -> tuple[Float[np.ndarray, "batch wide"], ...]:
        """What each slot hands to the fusion."""
        return self.fused.pooled

    def geometry(self, index: int) -> WindowGeometry | None:
        """Which tokens the windows of a slot cover; None where it is off."""
        view = self.slots[index]
        return None if view is None else view.geometry

    def split(self, v: Float[np.ndarray, "batch dim"]) -> Split:
        """Shares with the gates, the deviations and the experts' weights held."""
        back = self.weights.head.pulled_back(v * self.gain, self.fused)
        shares = tuple(
            None if view is None else _slot_shares(view, self.weights, r)
            for view, r in zip(self.slots, back.directions, strict=True)
        )
        bias = back.bias + sum(s.bias for s in shares if s is not None)
        return Split((v * self.cls).sum(axis=1), bias, shares, np.zeros(len(v)))

    def pulled_back(self, v: Float[np.ndarray, "batch dim"]) -> tuple[Float[np.ndarray, "batch wide"], ...]:
        """``r_s`` of each slot: a window's share is ``r_s`` times its convolution, over the number of windows."""
        return self.weights.head.pulled_back(v * self.gain, self.fused).directions

    def without(self, slots: Sequence[int], window: int | slice) -> Without:
        """The window's own terms become zero; the number of windows and the biases stay."""
        terms = {}
        for index in slots:
            view = self.slots[index]
            if view is None:
                raise OptionError(f"only a slot that is on has windows: got slot {index}, which is off")
            terms[index] = view.terms(self.weights, window) / view.geometry.n_windows
        return self.moved(terms)

    def without_token(self, token: int) -> Without:
        """The patch token's terms become zero in all slots; the number of windows and the biases stay."""
        views = enumerate(self.slots)
        terms = {i: view.token_term(self.weights, token)[:, None] for i, view in views if view is not None}
        return self.moved(terms, 1)

    def without_each(self, slots: Sequence[int]) -> Without:
        """Every window in turn, out of all of these slots at once."""
        views = {i: view for i in slots if (view := self.slots[i]) is not None}
        return self.moved({i: view.every_term(self.weights) for i, view in views.items()})

    def without_each_token(self) -> Without:
        """Every patch token's terms become zero in all slots; the number of windows and the biases stay."""
        views = enumerate(self.slots)
        terms = {i: view.token_terms(self.weights) for i, view in views if view is not None}
        return self.moved(terms, self.n_tokens)

    def moved(self, removed: Mapping[int, Float[np.ndarray, "batch window wide"]], count: int = 0) -> Without:
        """What parts of what the slots hand to the head leave when each is taken away in turn; ``count`` where no slot has any."""
        if not removed:
            return Without(*(np.repeat(x[:, None], count, axis=1) for x in (self.enhanced, self.gates)))
        left = self.weights.head.without(self.fused.spread(), removed)
        return Without(self.cls[:, None] + self.gain * left.shift, left.gates)


def enhanced_cls(
    tokens: Tokens, weights: AddonMap, slots: Sequence[Slot] | None = None
) -> Float[np.ndarray, "batch dim"]:
    """The enhanced CLS tokens of a batch, with any :class:`Slot` in each place of the fusion; float64."""
    return weights.run(tokens, slots).enhanced


def _slot_shares(view: SlotWindows, weights: FusionWeights, r: Float[np.ndarray, "batch wide"]) -> SlotShares:
    taps, (batch, n_windows) = view.taps(weights, r), view.tokens.shape[:2]
    each = np.einsum("bntd,bdt->bnt", view.linear, taps) / n_windows
    on_tokens = np.zeros((view.geometry.n_tokens, batch))
    np.add.at(on_tokens, view.geometry.tokens.ravel(), each.reshape(batch, -1).T)  # windows may overlap
    bias = r @ view.bias(weights)
    if view.linear is not view.tokens:  # what the projection's biases put into the windows
        bias = bias + np.einsum("bntd,bdt->b", view.tokens - view.linear, taps) / n_windows
    return SlotShares(view.slot, view.origin, view.geometry, each.sum(axis=2), on_tokens.T, bias)


def _pooled(
    view: SlotWindows | None, weights: FusionWeights, n_images: int
) -> Float[np.ndarray, "batch wide"]:
    """What a slot hands to the fusion: zeros where it is off."""
    return np.zeros((n_images, weights.head.width)) if view is None else view.pooled(weights)


def float64(values: np.ndarray | torch.Tensor) -> np.ndarray:
    """A tensor or array as a float64 array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().double().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
