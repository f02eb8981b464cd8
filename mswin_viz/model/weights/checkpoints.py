"""The add-on in a file: its kind and sizes are read from its keys and shapes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, overload

import torch
from torch import nn

from mswin_viz.errors import OptionError, ScaleError, WeightsError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.mixture_files import mixture_state
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.archives.weight_files import read_weights
from mswin_viz.model.weights.load_report import checked_fit
from mswin_viz.model.weights.own_files import filled

HOST_WINDOWS = "BACKBONE.clip_multi_scale_extractor."
HOST_MIXTURE = "BACKBONE.clip_multi_scale_moe."
"""Where a host-model checkpoint holds its scheme-1 add-on, and its mixture of experts."""
StoredAddon = CLIPMultiScaleFeatureExtractor | CLIPWithProjectionMultiScale | MixtureOfExpertsAddon
"""An add-on that a file is recognised as."""
_MIXTURE = "moe_fusion."
_MOST_LAYERS = 64


@overload
def load_addon(path: str | Path, *, temperature: float | None = None) -> StoredAddon: ...
@overload
def load_addon(path: str | Path, *, into: nn.Module) -> Addon: ...
def load_addon(
    path: str | Path, *, temperature: float | None = None, into: nn.Module | None = None
) -> StoredAddon | Addon:
    """The add-on in a file, in evaluation mode; the scales are read from the kernels. No code of the file runs.

    Reads bare add-ons of both schemes and the mixture of experts, and the scheme-1 add-on or the mixture inside a
    whole host-model checkpoint, with or without ``module.``, scheme 1's last Linear named ``fusion.2`` or
    ``fusion.3``. Where a checkpoint holds both, the mixture is taken: the windows beside it were never trained.

    Parameters
    ----------
    path
        The file: safetensors or ``torch.save``, of an add-on alone or of a whole host model.
    temperature
        Of a mixture's gate, which no host checkpoint holds (``MOE_TEMPERATURE`` of the run's configuration);
        without it 1 is assumed, with a warning. Files of :func:`save_addon` need none.
    into
        A module of yours, whose state dict the file holds: the result is a copy with these weights, wrapped as
        :class:`mswin_viz.Addon`; yours stays as it is.

    Returns
    -------
    addon
        On the CPU, in float32; pass it to ``load_model(..., addon=addon)``.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file.
    WeightsError
        If the file holds no add-on, or its keys or shapes are not those of one, or of ``into``.
    OptionError
        If ``into`` is no module, or a temperature is given with it.

    Examples
    --------
    >>> mv.save_addon(model.addon, "addon.safetensors")
    >>> addon = mv.load_addon("addon.safetensors")
    >>> type(addon).__name__, addon.scales, addon.feat_dim
    ('CLIPMultiScaleFeatureExtractor', (4, 8, 16), 512)
    >>> bool(torch.equal(addon(tokens.patches), model.addon(tokens.patches)))
    True
    """
    if into is not None and temperature is not None:
        raise OptionError(f"temperature= is of a mixture's gate: got {temperature} with into=; leave it out")
    file = read_weights(path)
    state = file.state
    for caution in file.cautions:
        warnings.warn(f"{path}: {caution}", stacklevel=2)
    if into is not None:
        return filled(into, file)
    addon = addon_in(state, path, temperature=1.0 if temperature is None else temperature)
    if addon is None:
        raise WeightsError(
            f"an add-on file holds sliding_windows.* and fusion.* keys: {path} has none; is it a baseline "
            'checkpoint? Load it as the model, with addon="mean"; weights of a module of yours are read by '
            "load_addon(path, into=module)"
        )
    is_ours = any(key.startswith("multi_scale_extractor.") for key in state)
    if temperature is None and isinstance(addon, MixtureOfExpertsAddon) and not is_ours:
        warnings.warn(
            f"{path}: a host checkpoint does not hold its gate's temperature: 1 is assumed; load_addon(path, temperature=...) "
            "takes another, and save_addon keeps it",
            stacklevel=2,
        )
    return addon


def addon_in(
    state: Mapping[str, torch.Tensor], path: str | Path, *, temperature: float = 1.0
) -> StoredAddon | None:
    """The add-on among the tensors of a file, or None if no key belongs to one."""
    state = _at_the_root(state)
    tensors = _below(HOST_MIXTURE, state) or _below(HOST_WINDOWS, state)
    if not tensors:
        tensors = {key: value for key, value in state.items() if not key.startswith("BACKBONE.")}
    if any(key.startswith(_MIXTURE) for key in tensors) or any(key.startswith(HOST_MIXTURE) for key in state):
        return _mixture(tensors, path, temperature)
    if not any(".fusion.2." in f".{key}" for key in tensors):  # behind a Dropout the last Linear is number 3
        tensors = {re.sub(r"(^|\.)fusion\.3\.", r"\1fusion.2.", key): value for key, value in tensors.items()}
    if any(key.startswith("multi_scale_extractor.") for key in tensors):
        return _scheme_2(tensors, path)
    if not any("sliding_windows." in key for key in tensors):
        return None
    prefix = "multi_scale_window."
    tensors = {prefix + key.removeprefix(prefix): value for key, value in tensors.items()}
    scales, dim = _scales(tensors, prefix, path)
    return _filled(lambda: CLIPMultiScaleFeatureExtractor(dim, scales), tensors, path)


def _at_the_root(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """The tensors without the name of a module around the add-on, where it stands before all keys; a host's stays."""
    first = [key for key in state if "sliding_windows.0.weight" in key]
    if len(first) != 1 or first[0].startswith((HOST_WINDOWS, HOST_MIXTURE)):
        return state
    pattern = r"(?<![^.])(multi_scale_extractor\.)?(multi_scale_window\.)?sliding_windows\.0\.weight"
    match = re.search(pattern, first[0])
    return _below(first[0].removesuffix(match[0]) if match is not None else "", state)


def _below(prefix: str, state: Mapping[str, torch.Tensor]) -> StateDict:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _scales(state: StateDict, prefix: str, path: str | Path) -> tuple[list[int], int]:
    """Scales, in slot order, and width, from the kernels ``[D, D, s]``."""
    pattern = re.compile(re.escape(prefix) + r"sliding_windows\.(\d{1,4})\.weight", re.A)
    kernels = {int(match[1]): value for key, value in state.items() if (match := pattern.fullmatch(key))}
    shapes = {slot: tuple(kernel.shape) for slot, kernel in sorted(kernels.items())}
    if not shapes or list(shapes) != list(range(len(shapes))):
        raise WeightsError(
            f"an add-on has kernels sliding_windows.0, 1, ...: {path} has slots {list(shapes)}"
        )
    dim = (*shapes[0], 0)[0]
    if any(0 in shape or len(shape) != 3 or shape[:2] != (dim, dim) for shape in shapes.values()):
        raise WeightsError(
            f"an add-on's kernels are [D, D, scale] of one D: {path} has {list(shapes.values())}"
        )
    return [shape[2] for shape in shapes.values()], dim


def _scheme_2(state: StateDict, path: str | Path) -> StoredAddon:
    scales, wide = _scales(state, "multi_scale_extractor.multi_scale_window.", path)
    first = state.get("projection.projection.0.weight")
    if first is None or first.ndim != 2:
        raise WeightsError(f"a scheme-2 add-on has projection.projection.0.weight: {path} lacks it")
    return _filled(lambda: CLIPWithProjectionMultiScale(first.shape[1], wide, scales), state, path)


def _mixture(state: StateDict, path: str | Path, temperature: float) -> StoredAddon:
    state = mixture_state(state, path)
    scales, dim = _scales(state, "multi_scale_extractor.", path)
    sizes = mixture_sizes(state, path)
    if max(sizes.expert_layers, sizes.gate_layers) > _MOST_LAYERS:
        raise WeightsError(
            f"experts and gate have at most {_MOST_LAYERS} layers: those of {path} have {sizes.expert_layers} and "
            f"{sizes.gate_layers}; check the file"
        )
    made = partial(MixtureOfExpertsAddon, dim, scales, **sizes._asdict(), temperature=temperature)
    return _filled(made, state, path)


class MixtureSizes(NamedTuple):
    """Width inside an expert, and how many Linears an expert and the gate have."""

    hidden_dim: int
    expert_layers: int
    gate_layers: int


def mixture_sizes(state: Mapping[str, torch.Tensor], path: str | Path) -> MixtureSizes:
    """Sizes of a mixture of experts, from its tensors; WeightsError if it has no expert or no gate."""
    experts = _depth(state, r"moe_fusion\.experts\.0\.expert\.(\d+)\.weight")
    gate = _depth(state, r"moe_fusion\.gating_network\.gate\.(\d+)\.weight")
    first = state.get("moe_fusion.experts.0.expert.0.weight")
    if first is None or first.ndim != 2 or not experts or not gate or 0 in first.shape:
        raise WeightsError(
            f"a mixture of experts has moe_fusion.experts.0.expert.0.weight and a gate: {path} lacks them"
        )
    return MixtureSizes(len(first), experts, gate)


def _depth(state: Mapping[str, torch.Tensor], pattern: str) -> int:
    """How many Linears a stack has: matrices, each perhaps followed by a LayerNorm."""
    return sum(value.ndim == 2 for key, value in state.items() if re.fullmatch(pattern, key))


def _filled(made: Callable[[], StoredAddon], state: StateDict, path: str | Path) -> StoredAddon:
    """The module with its weights; keys and shapes are compared before memory is reserved, and none may be missing."""
    try:
        with torch.device("meta"):
            module = made()
    except ScaleError as problem:
        raise WeightsError(f"{path} cannot be used: {problem}") from problem
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    rule = f"an add-on file must fit its kernels' scales and width: in {path}"
    checked_fit(wanted, state, rule, unexpected=[key for key in state if key not in wanted])
    module.to_empty(device="cpu").load_state_dict(state)
    return module.float().eval()
