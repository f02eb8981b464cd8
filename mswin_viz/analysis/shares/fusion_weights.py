"""The one read-only float64 copy of an add-on's weights, and what may stand in each slot of its fusion."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.shares.fusion_layers import MixtureHead, MlpHead, NormedLayer
from mswin_viz.analysis.windows.activations import windows_module
from mswin_viz.analysis.windows.geometry import WindowGeometry, tiles, windows
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow, CLIPWithProjectionMultiScale
from mswin_viz.model.tokens.tensors import tensors_of, versions

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FusionWeights", "Slot", "fusion_weights", "no_windows"]

_KERNELS = ("trained", "mean", "off")
_COPIES: weakref.WeakKeyDictionary[nn.Module, tuple[object, FusionWeights]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Slot:
    """What stands in one slot of the fusion.

    Attributes
    ----------
    scale
        Tokens in a window.
    kernel
        ``"trained"``: the slot's kernel, resampled if ``scale`` is not the slot's own; ``"mean"``: the plain window
        mean, without a bias; ``"off"``: the slot's pooled vector is zero.
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


def fusion_weights(addon: nn.Module | None) -> FusionWeights:
    """A read-only float64 copy of the weights of a scheme-1 add-on, or a mixture of experts, as they are now.

    Everything that needs them shares one copy for each add-on; it is made again once a weight or a setting of the
    gate has changed. Raises OptionError for scheme 2, whose LayerNorms are not linear, and without an add-on.
    """
    if isinstance(addon, CLIPWithProjectionMultiScale):
        raise OptionError(
            "shares are exact for scheme 1 and the mixture of experts: got a CLIPWithProjectionMultiScale (scheme "
            "2), whose LayerNorms are not linear in the tokens; use a CLIPMultiScaleFeatureExtractor"
        )
    module = windows_module(addon)
    if addon is None or module is None:
        raise OptionError("only an add-on has weights to copy: got None; decompose() takes None by itself")
    settings = (addon.temperature, addon.top_k) if isinstance(addon, MixtureOfExpertsAddon) else ()
    with _LOCK:
        key = (versions(addon), tuple(_sum_of_bits(tensor) for tensor in tensors_of(addon)), settings)
        kept = _COPIES.get(addon)
        if kept is None or kept[0] != key:
            kept = _COPIES[addon] = (key, _copied_weights(addon, module))
        return kept[1]


def no_windows(dim: int) -> FusionWeights:
    """Weights of no slot and no hidden unit: the enhanced CLS is the CLS."""
    head = MlpHead(W1=np.zeros((0, 0)), b1=np.zeros(0), W2=np.zeros((dim, 0)), b2=np.zeros(dim))
    return FusionWeights((), (), (), head)


def _copied_weights(addon: nn.Module, module: CLIPMultiScaleSlidingWindow) -> FusionWeights:
    return FusionWeights(
        scales=module.scales,
        kernels=tuple(_copied(conv.weight) for conv in module.convolutions),
        conv_biases=tuple(_copied(conv.bias) for conv in module.convolutions),
        head=_mixture_head(addon) if isinstance(addon, MixtureOfExpertsAddon) else _mlp_head(module),
    )


def _mlp_head(module: CLIPMultiScaleSlidingWindow) -> MlpHead:
    first, last = _linears(module.fusion)
    return MlpHead(
        W1=_copied(first.weight), b1=_copied(first.bias), W2=_copied(last.weight), b2=_copied(last.bias)
    )


def _mixture_head(addon: MixtureOfExpertsAddon) -> MixtureHead:
    gate = addon.moe_fusion.gating_network.gate
    logits = _linears(gate)[-1]
    return MixtureHead(
        experts=tuple(_layers(expert) for expert in addon.moe_fusion.experts),
        gate=_layers(gate),
        logits=_copied(logits.weight),
        logits_bias=_copied(logits.bias),
        temperature=addon.temperature,
        last=_layers(addon.moe_fusion.final_fusion)[0],
        top_k=addon.top_k,
    )


def _layers(modules: nn.Module) -> tuple[NormedLayer, ...]:
    """The Linears that a LayerNorm follows; a gate's last one stands alone."""
    norms = [module for module in modules.modules() if isinstance(module, nn.LayerNorm)]
    return tuple(
        NormedLayer(
            W=_copied(linear.weight),
            b=_copied(linear.bias),
            scale=_copied(norm.weight),
            offset=_copied(norm.bias),
            eps=norm.eps,
        )
        for linear, norm in zip(_linears(modules), norms, strict=False)
    )


def _linears(modules: nn.Module) -> list[nn.Linear]:
    return [module for module in modules.modules() if isinstance(module, nn.Linear)]


def _sum_of_bits(tensor: torch.Tensor) -> int:
    """Changes that torch does not count, those of ``parameter.data`` and inference mode, change this sum.

    A few milliseconds for an add-on.
    """
    bits = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if bits.device.type != "cpu":
        return int(bits.sum(dtype=torch.int64))
    array = bits.numpy()
    whole = len(array) - len(array) % 8
    return int(np.add.reduce(array[:whole].view(np.int64))) + int(array[whole:].sum(dtype=np.int64))


def _copied(parameter: torch.Tensor | None) -> np.ndarray:
    if parameter is None:
        raise OptionError("every layer of an add-on has a bias: got one without; use zeros")
    array = np.array(parameter.detach().double().cpu().numpy())
    array.setflags(write=False)
    return array
