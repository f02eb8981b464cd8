"""A user's module in a file: its state dict under its own keys, and read back into a module of the same form."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.given import checked_sized, copied
from mswin_viz.model.addon.own import Addon, as_addon
from mswin_viz.model.archives.state_dicts import StateDict, WeightFile, bare_key
from mswin_viz.model.weights.load_report import checked_fit


def own_state(module: nn.Module) -> StateDict:
    """The tensors of a user's module, without the wrapper around it; OptionError if it has none, or more than tensors."""
    inner = module.module if isinstance(module, Addon) else module
    state = inner.state_dict()
    strange = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange or not state:
        what = (
            f"{strange[0]} is a {type(state[strange[0]]).__name__}" if strange else "its state dict is empty"
        )
        raise OptionError(
            f"an add-on's file can hold only the tensors of a state dict: {what} in {type(inner).__name__}; store it as "
            "a Parameter or a buffer"
        )
    return {
        key: value.detach().clone() for key, value in state.items()
    }  # tied weights: safetensors wants each whole


def filled(into: nn.Module, file: WeightFile) -> Any:
    """A copy of a module with the tensors of a file; keys, shapes, kinds and values are checked before any is used.

    Raises
    ------
    OptionError
        If it is no module, cannot be copied, or has a lazy layer without a size.
    WeightsError
        If a key is missing or unexpected, or a tensor is of another shape or kind, or not finite.
    """
    if not isinstance(into, nn.Module):
        raise OptionError(f"into= must be the module to fill, such as MyModule(512): got {into!r:.80}")
    addon = copied(as_addon(into))
    inner = checked_sized(addon.module if isinstance(addon, Addon) else addon)
    own = {key: value for key, value in inner.state_dict().items() if isinstance(value, torch.Tensor)}
    keys = {
        bare_key(key): key for key in own
    }  # the reader takes wrappers' names off, which a module may have too
    state = {keys.get(key, key): value for key, value in file.state.items()}
    checked_fit(
        {key: tuple(_real(value).shape) for key, value in own.items()},
        {
            key: _real(value) if key in own and own[key].is_complex() else value
            for key, value in state.items()
        },
        f"a file must fit the module it is read into, {type(inner).__name__}: in {file.path}",
        unexpected=[key for key in state if key not in own],
        whole={key for key, value in own.items() if not _real(value).is_floating_point()},
    )
    inner.load_state_dict(state)
    if isinstance(addon, Addon):
        addon.weights = f"from {file.path.name}"
    return addon.float().eval()


def _real(value: torch.Tensor) -> torch.Tensor:
    """Complex numbers as pairs of real ones, anything else as it is."""
    return torch.view_as_real(value) if value.is_complex() else value
