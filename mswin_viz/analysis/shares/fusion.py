"""What an add-on's fusion (MLP or mixture of experts) computes in float64 arrays, open to change slot by slot.

Every slot of the fusion can be on, off, or given another scale (:class:`Slot`) at the cost of a few matrix-vector
products, with no torch and no module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.shares.fusion_layers import Fused
from mswin_viz.analysis.shares.fusion_weights import FusionWeights, Slot
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.activations import Origin, resampling_matrix
from mswin_viz.analysis.windows.geometry import WindowGeometry, fallback_geometry
from mswin_viz.errors import ShapeError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class SlotWindows:
    """The windows that slot ``index`` of the fusion sees in a batch, and where their kernel comes from."""

    slot: Slot
    index: int
    origin: Origin
    geometry: WindowGeometry
    tokens: Float[np.ndarray, "batch window tap dim"]

    def pooled(self, weights: FusionWeights) -> Float[np.ndarray, "batch dim"]:
        """p_s: the mean over windows of the convolution, its bias included."""
        mean_window = self.tokens.mean(axis=1, keepdims=True)  # [B, 1, s, D]
        return self._terms(mean_window, weights)[:, 0] + self.bias(weights)

    def terms(self, weights: FusionWeights, window: int | slice) -> Float[np.ndarray, "batch window dim"]:
        """sum_k K_s[:, :, k] x of the chosen windows: the convolution without its bias."""
        chosen = slice(window, window + 1) if isinstance(window, int) else window
        return self._terms(self.tokens[:, chosen], weights)

    def taps(
        self, weights: FusionWeights, r: Float[np.ndarray, "batch dim"]
    ) -> Float[np.ndarray, "batch dim tap"]:
        """r . K_s[:, :, k]: what the slot answers to a token at each place of a window, seen along ``r``."""
        scale = self.tokens.shape[2]
        if self.origin in ("mean", "fallback"):
            return np.repeat(r[:, :, None] / scale, scale, axis=2)
        kernel = weights.kernels[self.index]
        taps = (r @ kernel.reshape(len(kernel), -1)).reshape(*r.shape, -1)  # [B, D, S]
        return taps if self.origin == "trained" else taps @ self._matrix(weights)

    def bias(self, weights: FusionWeights) -> Float[np.ndarray, " dim"]:
        """c_s; zero where no kernel of the add-on is used."""
        has_kernel = self.origin in ("trained", "resampled")
        return weights.conv_biases[self.index] if has_kernel else np.zeros(self.tokens.shape[3])

    def _terms(self, windowed: np.ndarray, weights: FusionWeights) -> Float[np.ndarray, "batch window dim"]:
        if self.origin in ("mean", "fallback"):
            return windowed.mean(axis=2)
        taps = windowed.swapaxes(2, 3)  # [B, n, D, s]
        if self.origin == "resampled":
            taps = taps @ self._matrix(weights).T  # [B, n, D, S]
        kernel = weights.kernels[self.index]
        batch, n_windows = taps.shape[:2]
        flat = taps.reshape(batch * n_windows, -1)  # a stacked product would read the kernel for each image
        return (flat @ kernel.reshape(len(kernel), -1).T).reshape(batch, n_windows, len(kernel))

    def _matrix(self, weights: FusionWeights) -> Float[np.ndarray, "source target"]:
        return resampling_matrix(weights.scales[self.index], self.slot.scale)


@dataclass(frozen=True, eq=False)
class FusionState:
    """Everything the fusion computes at one input, float64; a slot that is off is None.

    ``gain`` multiplies what the head gives before it is added: the scale of the tokens' neck, or ones.
    """

    cls: Float[np.ndarray, "batch dim"]
    enhanced: Float[np.ndarray, "batch dim"]
    gain: Float[np.ndarray, " dim"]
    fused: Fused
    slots: tuple[SlotWindows | None, ...]


def fusion_state(
    tokens: Tokens,
    weights: FusionWeights,
    *,
    slots: Sequence[Slot] | None = None,
    pooled: Sequence[Float[np.ndarray, "batch dim"] | None] | None = None,
) -> FusionState:
    """Run the fusion on a batch.

    ``slots`` has one for each of ``weights.scales``; None turns all on at their own scale. ``pooled`` has a result of
    :func:`slot_pooled` for each slot, or None where it must be computed. Raises ScaleError if a slot's scale is outside
    1..N, unless it is the slot's own; ShapeError if the number of slots, or the tokens, do not fit the weights.
    """
    slots = weights.trained_slots if slots is None else tuple(slots)
    pooled = [None] * len(slots) if pooled is None else list(pooled)
    if not len(slots) == len(pooled) == len(weights.scales):
        raise ShapeError(
            f"a fusion of scales {weights.scales} has {len(weights.scales)} slots: got {len(slots)} slots "
            f"and {len(pooled)} pooled vectors"
        )
    tokens = checked_tokens(tokens)
    cls, patches = float64(tokens.cls), _checked_patches(tokens, weights)
    seen = tuple(_slot_windows(patches, tokens.grid, weights, i, slot) for i, slot in enumerate(slots))
    vectors = [
        _pooled(view, weights, len(cls)) if p is None else p for view, p in zip(seen, pooled, strict=True)
    ]
    fused = weights.head.fused(vectors, len(cls))
    gain = np.ones(cls.shape[1]) if tokens.neck is None else float64(tokens.neck.scale)
    return FusionState(cls=cls, enhanced=cls + gain * fused.shift, gain=gain, fused=fused, slots=seen)


def enhanced_cls(
    tokens: Tokens, weights: FusionWeights, slots: Sequence[Slot] | None = None
) -> Float[np.ndarray, "batch dim"]:
    """The enhanced CLS tokens of a batch, with any :class:`Slot` in each place of the fusion; float64."""
    return fusion_state(tokens, weights, slots=slots).enhanced


def slot_pooled(
    tokens: Tokens, weights: FusionWeights, index: int, slot: Slot | None = None
) -> Float[np.ndarray, "batch dim"]:
    """The vector that slot ``index`` hands to the fusion; by default with its own scale and kernel."""
    slot = weights.trained_slots[index] if slot is None else slot
    tokens = checked_tokens(tokens)
    view = _slot_windows(_checked_patches(tokens, weights), tokens.grid, weights, index, slot)
    return _pooled(view, weights, len(tokens))


def _slot_windows(
    patches: Float[np.ndarray, "batch token dim"],
    grid: tuple[int, int],
    weights: FusionWeights,
    index: int,
    slot: Slot,
) -> SlotWindows | None:
    if slot.kernel == "off":
        return None
    is_trained_scale = slot.scale == weights.scales[index]
    origin: Origin
    if is_trained_scale and slot.scale > patches.shape[1]:
        geometry, origin = fallback_geometry(grid), "fallback"
    else:
        geometry = slot.geometry(grid)
        origin = "mean" if slot.kernel == "mean" else "trained" if is_trained_scale else "resampled"
    tokens = _windowed(patches, geometry.tokens)
    return SlotWindows(slot=slot, index=index, origin=origin, geometry=geometry, tokens=tokens)


def _pooled(
    view: SlotWindows | None, weights: FusionWeights, n_images: int
) -> Float[np.ndarray, "batch dim"]:
    """What a slot hands to the fusion: zeros where it is off."""
    return np.zeros((n_images, weights.dim)) if view is None else view.pooled(weights)


def _windowed(
    patches: Float[np.ndarray, "batch token dim"], tokens: Int[np.ndarray, "window tap"]
) -> Float[np.ndarray, "batch window tap dim"]:
    """The patches of each window; the design's runs lie one behind the other and need no copy."""
    if np.array_equal(tokens.ravel(), np.arange(tokens.size)):
        return patches[:, : tokens.size].reshape(len(patches), *tokens.shape, patches.shape[2])
    return patches[:, tokens]


def _checked_patches(tokens: Tokens, weights: FusionWeights) -> Float[np.ndarray, "batch token dim"]:
    if tokens.patches.shape[2] != weights.dim:
        raise ShapeError(
            f"tokens must be as wide as the add-on's, {weights.dim}: got patches "
            f"{tuple(tokens.patches.shape)}; use the add-on that was trained for this model"
        )
    return float64(tokens.patches)


def float64(values: np.ndarray | torch.Tensor) -> np.ndarray:
    """A tensor or array as a float64 array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().double().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
