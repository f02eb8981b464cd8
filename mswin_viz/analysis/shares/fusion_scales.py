"""An add-on of windows with each of many scales in a slot in turn, all of them computed at once; float64.

A resampled scale mixes the taps of a trained kernel. So each slot's kernel is read twice, whatever the number of scales:
once for what the scales hand to the fusion, once for how the score looks from their windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from mswin_viz.analysis.shares.fusion_layers import Fused, FusedWithout, PulledBack
from mswin_viz.analysis.shares.projected_layers import ProjectedTokens
from mswin_viz.analysis.shares.slot_windows import Kernels
from mswin_viz.analysis.windows.activations import resampling_matrix

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FusionScales", "PlacedScales", "ScaleGroup", "run_of_scales", "tap_weights"]


class Head(Protocol):
    """What turns the pooled vectors of a batch into what is added to the CLS."""

    def fused(self, pooled: Sequence[np.ndarray], n_images: int) -> Fused:
        """What it gives."""
        ...

    def pulled_back(self, v: np.ndarray, fused: Fused) -> PulledBack:
        """How a direction looks from each slot."""
        ...

    def without(self, fused: Fused, index: int, removed: np.ndarray) -> FusedWithout:
        """What it gives without parts of a slot."""
        ...


class FusedWeights(Kernels, Protocol):
    """Kernels, and what fuses their windows."""

    @property
    def head(self) -> Head:
        """Of the pooled vectors."""
        ...


class ScaleGroup(NamedTuple):
    """Scales, all end to end, that stand in one slot in turn: with its own kernel, resampled, or as plain means."""

    index: int
    scales: tuple[int, ...]
    kernel: str  # "trained" or "mean"


@dataclass(frozen=True, eq=False)
class PlacedScales:
    """A group of scales at a batch; rows are scales, and within each the images.

    ``taps`` says how much of each tap of the kernel a token gets at its place; None for plain means.
    """

    group: ScaleGroup
    taps: Float[np.ndarray, "scale tap token"] | None
    fused: Fused
    enhanced: Float[np.ndarray, "scale batch dim"]


@dataclass(frozen=True, eq=False)
class FusionScales:
    """The fusion with each scale of several groups in a slot, see :meth:`AddonMap.run_scales`."""

    weights: FusedWeights
    seen: ProjectedTokens
    gain: Float[np.ndarray, " dim"]
    placed: tuple[PlacedScales, ...]

    @property
    def enhanced(self) -> Float[np.ndarray, "scale batch dim"]:
        """The enhanced CLS with each scale, group after group."""
        return np.concatenate([placed.enhanced for placed in self.placed])

    def shares(self, v: Float[np.ndarray, "scale batch dim"]) -> list[Float[np.ndarray, "batch window"]]:
        """Of each scale's windows along a direction of each scale and image, all that is not linear held."""
        shares, first = [], 0
        for placed in self.placed:
            n_scales = len(placed.group.scales)
            shares += self._shares(placed, v[first : first + n_scales])
            first += n_scales
        return shares

    def _shares(self, placed: PlacedScales, v: np.ndarray) -> list[Float[np.ndarray, "batch window"]]:
        (index, scales, _), (n_scales, n_images, dim) = placed.group, v.shape
        back = self.weights.head.pulled_back((v * self.gain).reshape(-1, dim), placed.fused)
        r = back.directions[index].reshape(n_scales, n_images, -1)
        n_tokens = self.seen.linear.shape[1]
        on_tokens = np.empty((n_images, n_scales, n_tokens))
        if placed.taps is None:
            for image, tokens in enumerate(self.seen.linear):
                on_tokens[image] = (r[:, image] @ tokens.T) * _mean_weights(scales, n_tokens)
        else:
            kernel = self.weights.kernels[index]
            n_taps = kernel.shape[2]
            seen = (r.reshape(n_scales * n_images, -1) @ kernel.reshape(len(kernel), -1)).reshape(
                n_scales, n_images, -1, n_taps
            )
            for image, tokens in enumerate(self.seen.linear):
                along = seen[:, image].transpose(1, 0, 2).reshape(tokens.shape[1], -1)
                answers = (tokens @ along).reshape(n_tokens, n_scales, n_taps)
                on_tokens[image] = np.einsum("skn,nsk->sn", placed.taps, answers, optimize=False)
        return [summed(on_tokens[:, i], scale) for i, scale in enumerate(scales)]


def run_of_scales(
    weights: FusedWeights,
    seen: ProjectedTokens,
    plain: tuple[Float[np.ndarray, "batch dim"], Float[np.ndarray, " dim"]],
    pooled: Sequence[Float[np.ndarray, "batch wide"]],
    groups: Sequence[ScaleGroup],
) -> FusionScales:
    """The fusion with each scale of each group in its slot.

    ``plain`` is the CLS and what multiplies the head's answer before it is added; ``pooled`` what every slot hands to
    the fusion where no other scale stands in it.
    """
    cls, gain = plain
    placed = []
    for group in groups:
        taps, vectors = _pooled(weights, seen.values, group)
        n_scales = len(group.scales)
        shape = (n_scales, *cls.shape[:1])
        every = [np.broadcast_to(p, (*shape, p.shape[1])).reshape(-1, p.shape[1]) for p in pooled]
        every[group.index] = vectors.reshape(-1, vectors.shape[2])
        fused = weights.head.fused(every, len(every[0]))
        enhanced = cls + gain * fused.shift.reshape(*shape, -1)
        placed.append(PlacedScales(group, taps, fused, enhanced))
    return FusionScales(weights, seen, gain, tuple(placed))


def summed(on_tokens: Float[np.ndarray, "batch token"], scale: int) -> Float[np.ndarray, "batch window"]:
    """What the tokens of each window add up to, windows end to end."""
    n_images, n_tokens = on_tokens.shape
    n_windows = n_tokens // scale
    return on_tokens[:, : n_windows * scale].reshape(n_images, n_windows, scale).sum(axis=2)


def _pooled(
    weights: Kernels, tokens: Float[np.ndarray, "batch token wide"], group: ScaleGroup
) -> tuple[Float[np.ndarray, "scale tap token"] | None, Float[np.ndarray, "scale batch wide"]]:
    """What each scale of a group hands to the fusion."""
    index, scales, kind = group
    n_images, n_tokens, width = tokens.shape
    if kind == "mean":
        return None, np.stack([_mean_weights(scales, n_tokens) @ each for each in tokens], axis=1)
    kernel = weights.kernels[index]
    n_taps = kernel.shape[2]
    taps = tap_weights(n_taps, scales, n_tokens)
    flat = taps.reshape(-1, n_tokens)
    mixed = np.stack([(flat @ each).reshape(len(scales), n_taps, width) for each in tokens], axis=1)
    rows = mixed.swapaxes(2, 3).reshape(len(scales) * n_images, -1)  # a kernel lies (out, in, tap)
    vectors = rows @ kernel.reshape(len(kernel), -1).T + weights.conv_biases[index]
    return taps, vectors.reshape(len(scales), n_images, -1)


@lru_cache(maxsize=8)
def tap_weights(n_taps: int, scales: tuple[int, ...], n_tokens: int) -> Float[np.ndarray, "scale tap token"]:
    """How much of each token each tap of a kernel sees on average over the windows of each scale; read-only."""
    weights = np.zeros((len(scales), n_taps, n_tokens))
    for row, scale in zip(weights, scales, strict=True):
        n_windows = n_tokens // scale
        row[:, : n_windows * scale] = np.tile(resampling_matrix(n_taps, scale) / n_windows, n_windows)
    weights.setflags(write=False)
    return weights


def _mean_weights(scales: tuple[int, ...], n_tokens: int) -> Float[np.ndarray, "scale token"]:
    """The same of plain means: each covered token counts as much."""
    covered = np.array([n_tokens // scale * scale for scale in scales])[:, None]
    return (np.arange(n_tokens) < covered) / covered
