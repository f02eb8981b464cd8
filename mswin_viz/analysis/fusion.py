"""An add-on as plain float64 arrays, with its fusion (MLP or mixture of experts) open to change slot by slot.

The weights are copied once and shared (:func:`fusion_weights`); after that every slot of the fusion can be on, off, or
given another scale (:class:`Slot`) at the cost of a few matrix-vector products, with no torch and no module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from mswin_viz.analysis.activations import Origin, resampling_matrix, windows_module
from mswin_viz.analysis.fusion_heads import Fused, MixtureHead, MlpHead, copied, mixture_head
from mswin_viz.analysis.snapshots import shared_snapshot
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows import WindowGeometry, fallback_geometry, tiles, windows
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.sliding_window import CLIPWithProjectionMultiScale
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = [
    "FusionState",
    "FusionWeights",
    "Slot",
    "SlotWindows",
    "enhanced_cls",
    "float64",
    "fusion_state",
    "fusion_weights",
    "slot_pooled",
]

_KERNELS = ("trained", "mean", "off")


@dataclass(frozen=True)
class Slot:
    """What stands in one slot of the fusion.

    Attributes
    ----------
    scale
        Tokens in a window.
    kernel
        ``"trained"``: the slot's own kernel, resampled if ``scale`` is not the slot's own; ``"mean"``: the
        plain window mean, without a bias; ``"off"``: the slot's pooled vector is zero.
    stride
        Tokens from one window to the next; ``scale`` if None, as in the trained module.
    tile
        ``(rows, cols)`` of 2-D windows in place of runs; plain means only, ``scale`` is their product.
    """

    scale: int
    kernel: Literal["trained", "mean", "off"] = "trained"
    stride: int | None = None
    tile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kernel not in _KERNELS:
            raise OptionError(f"a slot's kernel must be one of {', '.join(_KERNELS)}: got {self.kernel!r}")
        if self.tile is not None and self.kernel == "trained":
            raise OptionError(f"no kernel is trained on 2-D tiles: got {self.tile}; use kernel='mean'")
        if self.tile is not None and self.scale != self.tile[0] * self.tile[1]:
            raise OptionError(
                f"a tile of {self.tile} has {self.tile[0] * self.tile[1]} tokens: got scale {self.scale}"
            )

    def geometry(self, grid: tuple[int, int]) -> WindowGeometry:
        """Which tokens its windows cover."""
        if self.tile is not None:
            return tiles(grid, self.tile, stride=self.stride)
        return windows(grid, self.scale, stride=self.stride)


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
        What fuses the pooled vectors: scheme 1's MLP, or a mixture of experts.
    """

    scales: tuple[int, ...]
    kernels: tuple[Float[np.ndarray, "dim_out dim_in tap"], ...]
    conv_biases: tuple[Float[np.ndarray, " dim"], ...]
    head: MlpHead | MixtureHead

    @property
    def dim(self) -> int:
        """Width ``D`` of the tokens."""
        return self.head.dim

    @property
    def trained_slots(self) -> tuple[Slot, ...]:
        """Every slot on, at its own scale."""
        return tuple(Slot(scale) for scale in self.scales)


@dataclass(frozen=True, eq=False)
class SlotWindows:
    """The windows that one slot sees in a batch.

    Attributes
    ----------
    slot, index
        What stands in the slot, and its place in the fusion.
    origin
        Where its kernel comes from: ``"trained"``, ``"resampled"``, ``"mean"``, ``"fallback"`` (a trained
        scale above N: the mean of all tokens) or ``"off"``.
    geometry
        Which tokens the windows cover; None where the slot is off.
    tokens
        ``[B, n_windows, s, D]``; no window where the slot is off.
    """

    slot: Slot
    index: int
    origin: Origin | Literal["off"]
    geometry: WindowGeometry | None
    tokens: Float[np.ndarray, "batch window tap dim"]

    def pooled(self, weights: FusionWeights) -> Float[np.ndarray, "batch dim"]:
        """p_s: the mean over windows of the convolution, its bias included."""
        if self.origin == "off":
            return np.zeros((self.tokens.shape[0], self.tokens.shape[3]))
        phases = self.tokens.mean(axis=1, keepdims=True)  # [B, 1, s, D]
        return self._terms(phases, weights)[:, 0] + self.bias(weights)

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
        own = (r @ kernel.reshape(len(kernel), -1)).reshape(*r.shape, -1)  # [B, D, S]
        return own if self.origin == "trained" else own @ self._matrix(weights)

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
        flat = taps.reshape(
            batch * n_windows, -1
        )  # one product: a stacked one reads the kernel for each image
        return (flat @ kernel.reshape(len(kernel), -1).T).reshape(batch, n_windows, len(kernel))

    def _matrix(self, weights: FusionWeights) -> Float[np.ndarray, "source target"]:
        return resampling_matrix(weights.scales[self.index], self.slot.scale)


@dataclass(frozen=True, eq=False)
class FusionState:
    """Everything the fusion computes at one input, float64.

    Attributes
    ----------
    cls, enhanced
        The CLS tokens before and after, ``[B, D]``.
    gain
        What the head's answer is multiplied by before it is added, ``[D]``: the scale of the tokens' neck, or ones.
    fused
        What the head gives, and what is frozen there.
    slots
        What each slot sees, in fusion order.
    """

    cls: Float[np.ndarray, "batch dim"]
    enhanced: Float[np.ndarray, "batch dim"]
    gain: Float[np.ndarray, " dim"]
    fused: Fused
    slots: tuple[SlotWindows, ...]

    @property
    def hidden(self) -> Float[np.ndarray, "batch hidden"]:
        """``h`` before the ReLU; of no width in a mixture of experts."""
        return self.fused.hidden

    @property
    def gates(self) -> Bool[np.ndarray, "batch hidden"]:
        """Whether each ReLU gate is open; of no width in a mixture of experts."""
        return self.fused.gates


def fusion_weights(addon: torch.nn.Module) -> FusionWeights:
    """A read-only float64 copy of the weights of a scheme-1 add-on, or a mixture of experts, as they are now.

    There is one shared copy for each add-on; it is made again once a weight has changed.

    Raises
    ------
    OptionError
        For scheme 2, whose LayerNorms are not linear.
    """
    if isinstance(addon, CLIPWithProjectionMultiScale):
        raise OptionError(
            "shares are exact for scheme 1 and the mixture of experts: got a CLIPWithProjectionMultiScale (scheme "
            "2), whose "
            "LayerNorms are not linear in the tokens; use a CLIPMultiScaleFeatureExtractor"
        )
    module = windows_module(addon)
    if module is None:
        raise OptionError("only an add-on has weights to copy: got None; decompose() takes None by itself")
    return shared_snapshot(addon, lambda: _copied_weights(addon, module))


def _copied_weights(addon: torch.nn.Module, module: torch.nn.Module) -> FusionWeights:
    first, last = module.fusion[0], module.fusion[-1]
    head = (
        mixture_head(addon)
        if isinstance(addon, MixtureOfExpertsAddon)
        else MlpHead(*(copied(p) for p in (first.weight, first.bias, last.weight, last.bias)))
    )
    return FusionWeights(
        module.scales,
        tuple(copied(conv.weight) for conv in module.sliding_windows),
        tuple(copied(conv.bias) for conv in module.sliding_windows),
        head,
    )


def fusion_state(
    tokens: Tokens,
    weights: FusionWeights,
    *,
    slots: Sequence[Slot] | None = None,
    pooled: Sequence[Float[np.ndarray, "batch dim"] | None] | None = None,
) -> FusionState:
    """Run the fusion on a batch.

    Parameters
    ----------
    tokens
        Tokens of a batch.
    weights
        From :func:`fusion_weights`.
    slots
        One for each of ``weights.scales``; all on at their own scale if None.
    pooled
        Results of :func:`slot_pooled` kept from before, one for each slot; None where it is to be computed.

    Raises
    ------
    ScaleError
        If a slot's scale is outside 1..N, unless it is the slot's own.
    ShapeError
        If there are not as many slots as scales, or the tokens are not as wide as the weights, are none, or hold NaN
        or infinity.
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
    given = [view.pooled(weights) if p is None else p for view, p in zip(seen, pooled, strict=True)]
    fused = weights.head.fused(given, len(cls))
    gain = np.ones(cls.shape[1]) if tokens.neck is None else float64(tokens.neck.scale)
    return FusionState(cls, cls + gain * fused.shift, gain, fused, seen)


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
    return _slot_windows(_checked_patches(tokens, weights), tokens.grid, weights, index, slot).pooled(weights)


def _slot_windows(
    patches: Float[np.ndarray, "batch token dim"],
    grid: tuple[int, int],
    weights: FusionWeights,
    index: int,
    slot: Slot,
) -> SlotWindows:
    batch, n_tokens, dim = patches.shape
    if slot.kernel == "off":
        return SlotWindows(slot, index, "off", None, np.zeros((batch, 0, 1, dim)))
    own = slot.scale == weights.scales[index]
    if own and slot.scale > n_tokens:
        geometry, origin = fallback_geometry(grid), "fallback"
    else:
        geometry = slot.geometry(grid)
        origin = "mean" if slot.kernel == "mean" else "trained" if own else "resampled"
    return SlotWindows(slot, index, origin, geometry, _windowed(patches, geometry.tokens))


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
