"""The windows that one slot of a fusion sees, and what its kernel makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mswin_viz.analysis.shares.projected_layers import ProjectedTokens
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.windows.activations import Origin, resampling_matrix
from mswin_viz.analysis.windows.geometry import WindowGeometry, fallback_geometry

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Kernels(Protocol):
    """What a slot needs of the weights: ``K_s [D, D, s]`` and ``c_s [D]`` of each trained scale."""

    @property
    def scales(self) -> tuple[int, ...]:
        """Trained scales, in fusion order."""
        ...

    @property
    def kernels(self) -> tuple[Float[np.ndarray, "dim_out dim_in tap"], ...]:
        """Kernel of each scale."""
        ...

    @property
    def conv_biases(self) -> tuple[Float[np.ndarray, " dim"], ...]:
        """Bias of each scale."""
        ...

    def in_taps(self, index: int) -> Float[np.ndarray, "tap dim_in dim_out"]:
        """The kernel of a scale in float32, tap by tap."""
        ...


@dataclass(frozen=True, eq=False)
class SlotWindows:
    """The windows that slot ``index`` of the fusion sees in a batch, and where their kernel comes from.

    ``linear`` is the part of ``tokens`` that is linear in the patch tokens; all of it without a projection.
    """

    slot: Slot
    index: int
    origin: Origin
    geometry: WindowGeometry
    tokens: Float[np.ndarray, "batch window tap wide"]
    linear: Float[np.ndarray, "batch window tap wide"]

    def pooled(self, weights: Kernels) -> Float[np.ndarray, "batch dim"]:
        """p_s: the mean over windows of the convolution, its bias included."""
        mean_window = self.tokens.mean(axis=1, keepdims=True)  # [B, 1, s, D]
        return self._terms(mean_window, weights)[:, 0] + self.bias(weights)

    def terms(self, weights: Kernels, window: int | slice) -> Float[np.ndarray, "batch window dim"]:
        """sum_k K_s[:, :, k] x of the chosen windows: the convolution without its bias."""
        chosen = slice(window, window + 1) if isinstance(window, int) else window
        return self._terms(self.tokens[:, chosen], weights)

    def every_term(self, weights: Kernels) -> Float[np.ndarray, "batch window dim"]:
        """:meth:`terms` of all windows over their number, the products in float32: a window's part of ``p_s``."""
        windowed = self.tokens.astype(np.float32)
        if self.origin in ("mean", "fallback"):
            return windowed.mean(axis=2, dtype=np.float64) / self.geometry.n_windows
        if self.origin == "resampled":
            windowed = self._matrix(weights).astype(np.float32) @ windowed  # [B, n, S, D]
        batch, n_windows = windowed.shape[:2]
        taps = weights.in_taps(self.index)
        flat = windowed.reshape(batch * n_windows, -1) @ taps.reshape(-1, taps.shape[2])
        return flat.reshape(batch, n_windows, -1).astype(np.float64) / n_windows

    def token_terms(self, weights: Kernels) -> Float[np.ndarray, "batch token dim"]:
        """Each token's part of ``p_s``, through every window it is in, the products in float32; zero where it is in none."""
        batch, n_windows, scale, dim = self.tokens.shape
        if self.origin in ("mean", "fallback"):
            each = self.tokens / scale
        else:
            taps = weights.in_taps(self.index)
            if self.origin == "resampled":
                taps = np.tensordot(self._matrix(weights).T.astype(np.float32), taps, axes=1)
            by_tap = self.tokens.astype(np.float32).transpose(2, 0, 1, 3).reshape(scale, -1, dim)
            each = (by_tap @ taps).reshape(scale, batch, n_windows, -1).transpose(1, 2, 0, 3)
        places, terms = self.geometry.tokens, np.zeros((batch, self.geometry.n_tokens, each.shape[3]))
        for window in range(n_windows):  # windows may overlap, and no token is twice in one
            terms[:, places[window]] += each[:, window]
        return terms / n_windows

    def token_term(self, weights: Kernels, token: int) -> Float[np.ndarray, "batch dim"]:
        """One token's part of ``p_s``, through every window it is in; zero where it is in none."""
        inside = self.geometry.tokens == token
        which = inside.any(axis=1)
        if not which.any():
            return np.zeros((len(self.tokens), self.tokens.shape[3]))
        alone = np.where(inside[which][None, :, :, None], self.tokens[:, which], 0)
        return self._terms(alone, weights).sum(axis=1) / self.geometry.n_windows

    def taps(self, weights: Kernels, r: Float[np.ndarray, "batch dim"]) -> Float[np.ndarray, "batch dim tap"]:
        """r . K_s[:, :, k]: what the slot answers to a token at each place of a window, seen along ``r``."""
        scale = self.tokens.shape[2]
        if self.origin in ("mean", "fallback"):
            return np.repeat(r[:, :, None] / scale, scale, axis=2)
        kernel = weights.kernels[self.index]
        taps = (r @ kernel.reshape(len(kernel), -1)).reshape(*r.shape, -1)  # [B, D, S]
        return taps if self.origin == "trained" else taps @ self._matrix(weights)

    def bias(self, weights: Kernels) -> Float[np.ndarray, " dim"]:
        """c_s; zero where no kernel of the add-on is used."""
        has_kernel = self.origin in ("trained", "resampled")
        return weights.conv_biases[self.index] if has_kernel else np.zeros(self.tokens.shape[3])

    def _terms(self, windowed: np.ndarray, weights: Kernels) -> Float[np.ndarray, "batch window dim"]:
        if self.origin in ("mean", "fallback"):
            return windowed.mean(axis=2)
        taps = windowed.swapaxes(2, 3)  # [B, n, D, s]
        if self.origin == "resampled":
            taps = taps @ self._matrix(weights).T  # [B, n, D, S]
        kernel = weights.kernels[self.index]
        batch, n_windows = taps.shape[:2]
        flat = taps.reshape(batch * n_windows, -1)  # a stacked product would read the kernel for each image
        return (flat @ kernel.reshape(len(kernel), -1).T).reshape(batch, n_windows, len(kernel))

    def _matrix(self, weights: Kernels) -> Float[np.ndarray, "source target"]:
        return resampling_matrix(weights.scales[self.index], self.slot.scale)


def slot_windows(
    seen: ProjectedTokens, grid: tuple[int, int], weights: Kernels, index: int, slot: Slot
) -> SlotWindows | None:
    """The windows of slot ``index`` in a batch; None where it is off."""
    if slot.kernel == "off":
        return None
    is_trained_scale = slot.scale == weights.scales[index]
    origin: Origin
    if is_trained_scale and slot.scale > seen.values.shape[1]:
        geometry, origin = fallback_geometry(grid), "fallback"
    else:
        geometry = slot.geometry(grid)
        origin = "mean" if slot.kernel == "mean" else "trained" if is_trained_scale else "resampled"
    tokens = _windowed(seen.values, geometry.tokens)
    linear = tokens if seen.linear is seen.values else _windowed(seen.linear, geometry.tokens)
    return SlotWindows(slot, index, origin, geometry, tokens, linear)


def _windowed(
    patches: Float[np.ndarray, "batch token dim"], tokens: Int[np.ndarray, "window tap"]
) -> Float[np.ndarray, "batch window tap dim"]:
    """The patches of each window; the design's runs lie one behind the other and need no copy."""
    if np.array_equal(tokens.ravel(), np.arange(tokens.size)):
        return patches[:, : tokens.size].reshape(len(patches), *tokens.shape, patches.shape[2])
    return patches[:, tokens]
