"""The one read-only float64 copy of an add-on: arrays for add-ons of windows, a frozen module for any other."""

from __future__ import annotations

import threading
import weakref
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.analysis.shares.fusion import FusionWeights
from mswin_viz.analysis.shares.fusion_layers import MixtureHead, MlpHead, Normed, NormedLayer
from mswin_viz.analysis.shares.module_map import module_map
from mswin_viz.analysis.shares.projected_layers import ProjectedHead, TokenProjection
from mswin_viz.analysis.token_checks import ADDON
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.parts import GatedExperts, TwoLayers, WindowParts, window_parts
from mswin_viz.model.tokens.tensors import tensors_of, versions

_COPIES: weakref.WeakKeyDictionary[nn.Module, tuple[object, AddonMap]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def fusion_weights(addon: nn.Module | None) -> AddonMap:
    """A read-only float64 copy of an add-on as it is now.

    There is one shared copy for each add-on; it is made again after a weight, or a setting outside its tensors, has
    changed.

    Parameters
    ----------
    addon
        Any module behind a tower, such as ``model.addon``.

    Returns
    -------
    weights
        :class:`FusionWeights` of an add-on of windows; of any other module a frozen copy with the same methods.

    Raises
    ------
    OptionError
        Without an add-on, or if a layer of one has no bias.

    Examples
    --------
    >>> weights = mv.fusion_weights(model.addon)
    >>> weights.scales, weights.kernels[0].dtype
    ((4, 8, 16), dtype('float64'))
    >>> mv.fusion_weights(model.addon) is weights  # one copy for each add-on, until a weight changes
    True
    """
    if addon is None:
        raise OptionError(
            "weights can be copied only from an add-on: got None; decompose() accepts None directly"
        )
    of_kind(addon, nn.Module, *ADDON)
    parts = window_parts(addon)
    settings = () if parts is None else parts.settings
    with _LOCK:
        key = (versions(addon), tuple(_sum_of_bits(tensor) for tensor in tensors_of(addon)), settings)
        kept = _COPIES.get(addon)
        if kept is None or kept[0] != key:
            kept = _COPIES[addon] = (key, module_map(addon) if parts is None else _copied_parts(parts))
        return kept[1]


def no_windows(dim: int) -> FusionWeights:
    """Weights of no slot and no hidden unit: the enhanced CLS is the CLS."""
    head = MlpHead(W1=np.zeros((0, 0)), b1=np.zeros(0), W2=np.zeros((dim, 0)), b2=np.zeros(dim))
    return FusionWeights((), (), (), head)


def _copied_parts(parts: WindowParts) -> FusionWeights:
    convolutions = parts.windows.convolutions
    return FusionWeights(
        scales=parts.windows.scales,
        kernels=tuple(_copied(conv.weight) for conv in convolutions),
        conv_biases=tuple(_copied(conv.bias) for conv in convolutions),
        head=_HEADS[type(parts.fusion)](parts.fusion),
        projection=None if parts.projection is None else _projection(*parts.projection),
    )


def _mlp_head(fusion: TwoLayers) -> MlpHead | ProjectedHead:
    first, last = cast(Any, fusion.first), cast(Any, fusion.last)
    mlp = MlpHead(_copied(first.weight), _copied(first.bias), _copied(last.weight), _copied(last.bias))
    return mlp if fusion.back is None else ProjectedHead(mlp, _normed(*fusion.back))


def _mixture_head(fusion: GatedExperts) -> MixtureHead:
    logits = _linears(fusion.gate)[-1]
    return MixtureHead(
        experts=tuple(_layers(expert) for expert in fusion.experts),
        gate=_layers(fusion.gate),
        logits=_copied(logits.weight),
        logits_bias=_copied(logits.bias),
        temperature=fusion.temperature,
        last=_layers(fusion.last)[0],
        top_k=fusion.thinned,
    )


_HEADS = {TwoLayers: _mlp_head, GatedExperts: _mixture_head}


def _projection(first: Any, norm: Any, last: Any) -> TokenProjection:
    return TokenProjection(_normed(first, norm), _copied(last.weight), _copied(last.bias))


def _normed(linear: Any, norm: Any) -> Normed:
    return Normed(
        _copied(linear.weight), _copied(linear.bias), _copied(norm.weight), _copied(norm.bias), norm.eps
    )


def _layers(modules: nn.Module) -> tuple[NormedLayer, ...]:
    """The Linears that a LayerNorm follows; a gate's last one stands alone."""
    norms = [module for module in modules.modules() if isinstance(module, nn.LayerNorm)]
    return tuple(
        NormedLayer(_normed(linear, norm)) for linear, norm in zip(_linears(modules), norms, strict=False)
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
        raise OptionError("every layer of an add-on must have a bias: got one without; use zeros")
    array = np.array(parameter.detach().double().cpu().numpy())
    array.setflags(write=False)
    return array
