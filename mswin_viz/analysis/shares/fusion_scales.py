"""Many scales in one slot of a fusion, each in turn: what they hand to it, all of them computed at once.

A resampled scale mixes the taps of a trained kernel, so the kernel is read once, whatever the number of scales.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.shares.fusion import FusionState, FusionWeights
from mswin_viz.analysis.shares.fusion_layers import Fused
from mswin_viz.analysis.shares.projected_layers import ProjectedTokens
from mswin_viz.analysis.shares.slot_batch import SlotBatch, batch_values, fused_with
from mswin_viz.analysis.windows.activations import resampling_matrix
from mswin_viz.analysis.windows.scale_windows import mean_windows, mixed_windows, split_by_scale
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


class ScaleGroup(NamedTuple):
    """Scales, all end to end, that stand in one slot in turn: with its own kernel, resampled, or as plain means."""

    index: int
    scales: tuple[int, ...]
    is_mean: bool


class _Pooled(NamedTuple):
    """What each scale hands to the fusion, ``[B, S, wide]``; whether the products are in float64, or in float32 as the windows'."""

    vectors: Float[np.ndarray, "batch scale wide"]
    is_exact: Bool[np.ndarray, " scale"]


@dataclass(frozen=True, eq=False)
class EveryWindow:
    """What the windows of every scale of some tokens answer, whatever the target and whatever is shown of them.

    Each group of scales is computed when it is first asked for, and kept.
    """

    weights: FusionWeights
    tokens: Tokens
    _kept: dict[tuple[ScaleGroup, bool], np.ndarray] = field(default_factory=dict, repr=False)
    _kept_pooled: dict[ScaleGroup, _Pooled] = field(default_factory=dict, repr=False)

    @cached_property
    def seen(self) -> ProjectedTokens:
        """The tokens as the windows see them."""
        return self.weights.seen(self.tokens)

    def outputs(self, group: ScaleGroup) -> Float[np.ndarray, "batch window wide"]:
        """The outputs of every window, bias included, one scale behind the other; float32."""
        terms = self._terms(group, is_linear=False)
        return terms if group.is_mean else terms + self.weights.conv_biases[group.index].astype(np.float32)

    def batch(self, state: FusionState, group: ScaleGroup, *, is_linear: bool) -> SlotBatch:
        """Every scale in the group's slot in turn; ``is_linear``: of what is linear in the patch tokens alone."""
        counts = np.array([state.n_tokens // scale for scale in group.scales])
        windowing = np.repeat(np.arange(len(counts)), counts)
        terms = self._terms(group, is_linear=is_linear) / counts[windowing, None].astype(np.float64)
        return SlotBatch(group.index, self._fused(state, group), terms, windowing)

    def _fused(self, state: FusionState, group: ScaleGroup) -> Fused:
        """The fusion with each scale; where a gate hangs on rounding, from products in float64."""
        pooled, is_exact = self._pooled(group)
        fused = fused_with(state, group.index, pooled)
        unsure = state.weights.head.near_a_switch(fused).any(axis=0) & ~is_exact
        if not unsure.any():
            return fused
        scales = tuple(scale for scale, is_unsure in zip(group.scales, unsure, strict=True) if is_unsure)
        pooled[:, unsure] = exact_pooled(self.weights, self.seen.values, group._replace(scales=scales))
        is_exact[unsure] = True
        return fused_with(state, group.index, pooled)

    def _pooled(self, group: ScaleGroup) -> _Pooled:
        n_tokens, n_scales = self.seen.values.shape[1], len(group.scales)
        if group in self._kept_pooled:
            return self._kept_pooled[group]
        if group.is_mean:
            vectors = exact_pooled(self.weights, self.seen.values, group)
        else:
            each = split_by_scale(self._terms(group, is_linear=False), group.scales, n_tokens)
            means = [terms.mean(axis=1, dtype=np.float64) for terms in each]
            vectors = np.stack(means, axis=1) + self.weights.conv_biases[group.index]
        self._kept_pooled[group] = _Pooled(vectors, np.full(n_scales, group.is_mean))
        return self._kept_pooled[group]

    def _terms(self, group: ScaleGroup, *, is_linear: bool) -> Float[np.ndarray, "batch window wide"]:
        is_linear = is_linear and self.seen.linear is not self.seen.values
        tokens = self.seen.linear if is_linear else self.seen.values
        key = (group, is_linear)
        if key not in self._kept:
            self._kept[key] = (
                mean_windows(tokens, group.scales)
                if group.is_mean
                else mixed_windows(tokens.astype(np.float32), self.weights.in_taps(group.index), group.scales)
            )
        return self._kept[key]


def scale_values(
    state: FusionState, windows: EveryWindow, v: Float[np.ndarray, "batch dim"], value: str, group: ScaleGroup
) -> Float[np.ndarray, "batch window"]:
    """What every window does to the cosine with each scale of a group in the group's slot, one scale behind the other.

    ``value`` is one of :data:`mswin_viz.analysis.shares.part_values.PART_VALUES`; ``state`` has the other slots.
    """
    return batch_values(state, v, windows.batch(state, group, is_linear=value != "removal"), value)


def exact_pooled(
    weights: FusionWeights, tokens: Float[np.ndarray, "batch token wide"], group: ScaleGroup
) -> Float[np.ndarray, "batch scale wide"]:
    """What each scale hands to the fusion, the products in float64."""
    index, scales, is_mean = group
    n_images, n_tokens, width = tokens.shape
    if is_mean:
        covered = np.array([n_tokens // scale * scale for scale in scales])[:, None]
        return (np.arange(n_tokens) < covered) / covered @ tokens
    kernel = weights.kernels[index]
    n_taps = kernel.shape[2]
    seen = _tap_weights(n_taps, scales, n_tokens) @ tokens  # [B, scale and tap, wide]
    flat = seen.reshape(n_images * len(scales), n_taps, width).swapaxes(1, 2)  # a kernel lies (out, in, tap)
    vectors = flat.reshape(len(flat), -1) @ kernel.reshape(len(kernel), -1).T + weights.conv_biases[index]
    return vectors.reshape(n_images, len(scales), -1)


@lru_cache(maxsize=8)
def _tap_weights(
    n_taps: int, scales: tuple[int, ...], n_tokens: int
) -> Float[np.ndarray, "scale_and_tap token"]:
    """How much of each token each tap of a kernel sees on average over the windows of each scale; read-only."""
    weights = np.zeros((len(scales), n_taps, n_tokens))
    for row, scale in zip(weights, scales, strict=True):
        n_windows = n_tokens // scale
        row[:, : n_windows * scale] = np.tile(resampling_matrix(n_taps, scale) / n_windows, n_windows)
    weights.setflags(write=False)
    return weights.reshape(-1, n_tokens)
