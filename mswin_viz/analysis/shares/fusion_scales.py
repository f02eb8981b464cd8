"""Many scales in one slot of a fusion, each in turn: what they hand to it, all of them computed at once.

A resampled scale mixes the taps of a trained kernel, so the kernel is read once, whatever the number of scales.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.shares.fusion import FusionState
from mswin_viz.analysis.shares.slot_batch import SlotBatch, batch_values
from mswin_viz.analysis.shares.slot_windows import Kernels
from mswin_viz.analysis.windows.activations import resampling_matrix
from mswin_viz.analysis.windows.scale_windows import mean_windows, mixed_windows
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["ScaleGroup", "scale_outputs", "scale_values"]


class ScaleGroup(NamedTuple):
    """Scales, all end to end, that stand in one slot in turn: with its own kernel, resampled, or as plain means."""

    index: int
    scales: tuple[int, ...]
    is_mean: bool


def scale_outputs(
    weights: Kernels, tokens: Float[np.ndarray, "batch token wide"], group: ScaleGroup
) -> Float[np.ndarray, "batch window wide"]:
    """The outputs of every window, bias included, one scale behind the other; float32."""
    terms = _terms(weights, tokens, group)
    return terms if group.is_mean else terms + weights.conv_biases[group.index].astype(np.float32)


def scale_values(
    state: FusionState, tokens: Tokens, v: Float[np.ndarray, "batch dim"], value: str, group: ScaleGroup
) -> Float[np.ndarray, "batch window"]:
    """What every window does to the cosine with each scale of a group in the group's slot, one scale behind the other.

    ``value`` is one of :data:`mswin_viz.analysis.shares.part_values.PART_VALUES`; ``state`` has the other slots.
    """
    weights, seen = state.weights, state.weights.seen(tokens)
    read = seen.values if value == "removal" else seen.linear
    counts = np.array([state.n_tokens // scale for scale in group.scales])
    windowing = np.repeat(np.arange(len(counts)), counts)
    terms = _terms(weights, read, group).astype(np.float64) / counts[windowing, None]
    return batch_values(
        state, v, SlotBatch(group.index, _pooled(weights, seen.values, group), terms, windowing), value
    )


def _terms(
    weights: Kernels, tokens: Float[np.ndarray, "batch token wide"], group: ScaleGroup
) -> Float[np.ndarray, "batch window wide"]:
    if group.is_mean:
        return mean_windows(tokens, group.scales)
    return mixed_windows(tokens.astype(np.float32), weights.in_taps(group.index), group.scales)


def _pooled(
    weights: Kernels, tokens: Float[np.ndarray, "batch token wide"], group: ScaleGroup
) -> Float[np.ndarray, "batch scale wide"]:
    """What each scale hands to the fusion; float64, as a gate may hang on it."""
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
