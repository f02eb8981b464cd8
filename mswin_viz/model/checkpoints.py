"""Every weight file we read or write: state dicts, add-ons, and the embedded model."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import safetensors.torch
import torch
from safetensors.torch import load_file

from mswin_viz.data.file_writing import write_bytes, write_json
from mswin_viz.data.output_checks import output_file
from mswin_viz.errors import OptionError, ScaleError, WeightsError, WeightsNotFoundError
from mswin_viz.model.checkpoint_report import checked_fit
from mswin_viz.model.embedded_config import REMEDY, ROWS, check_embedded_weights, embedded_config
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.mixture_files import mixture_state
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPWithProjectionMultiScale
from mswin_viz.model.state_dicts import StateDict
from mswin_viz.model.weight_files import first_words, read_state_dict, read_weights

__all__ = [
    "EMBEDDED",
    "EMBEDDED_FILES",
    "HOST_MIXTURE",
    "HOST_WINDOWS",
    "addon_in",
    "load_addon",
    "load_embedded",
    "read_state_dict",
    "save_addon",
    "save_embedded",
    "write_state",
]

EMBEDDED = Path(__file__).parent / "embedded"
"""Folder of the embedded model."""
EMBEDDED_FILES = ("config.json", "clip.safetensors", "addon.safetensors", "card.json")
"""Its files."""

HOST_WINDOWS = "BACKBONE.clip_multi_scale_extractor."
HOST_MIXTURE = "BACKBONE.clip_multi_scale_moe."
"""Where a host-model checkpoint holds its scheme-1 add-on, and its mixture of experts."""
_MIXTURE = "moe_fusion."
_MOST_LAYERS = 64
_STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types that weights are written in."""
_ADDONS = (CLIPMultiScaleFeatureExtractor, CLIPWithProjectionMultiScale, MixtureOfExpertsAddon)


def load_addon(path: str | Path, *, temperature: float | None = None) -> torch.nn.Module:
    """The add-on in a file, in evaluation mode; the scales are read off the kernels.

    Reads bare add-ons of both schemes and the mixture of experts, and the scheme-1 add-on or the mixture inside a
    whole host-model checkpoint, with or without ``module.``, scheme 1's last Linear named ``fusion.2`` or
    ``fusion.3``. Where a checkpoint holds both, the mixture is taken: the windows beside it were never trained.

    Parameters
    ----------
    temperature
        Of a mixture's gate, which no host checkpoint holds (``MOE_TEMPERATURE`` of the run's configuration);
        without it 1 is assumed, with a warning. Files of :func:`save_addon` need none.

    Raises
    ------
    WeightsError
        If the file holds no add-on, or its keys or shapes are not those of one.
    """
    file = read_weights(path)
    state = file.state
    for caution in file.cautions:
        warnings.warn(f"{path}: {caution}", stacklevel=2)
    addon = addon_in(state, path, temperature=1.0 if temperature is None else temperature)
    if addon is None:
        raise WeightsError(
            f"an add-on file holds sliding_windows.* and fusion.* keys: {path} has none; is it a baseline "
            'checkpoint? Load it as the model, with addon="mean"'
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
) -> torch.nn.Module | None:
    """The add-on among the tensors of a file, or None if no key belongs to one."""
    state = _at_the_root(state)
    own = (
        _below(HOST_MIXTURE, state)
        or _below(HOST_WINDOWS, state)
        or {key: value for key, value in state.items() if not key.startswith("BACKBONE.")}
    )
    if any(key.startswith(_MIXTURE) for key in own) or any(key.startswith(HOST_MIXTURE) for key in state):
        return _mixture(own, path, temperature)
    if not any(
        ".fusion.2." in f".{key}" for key in own
    ):  # with a Dropout between, the last Linear is number 3
        own = {re.sub(r"(^|\.)fusion\.3\.", r"\1fusion.2.", key): value for key, value in own.items()}
    if any(key.startswith("multi_scale_extractor.") for key in own):
        return _scheme_2(own, path)
    if not any("sliding_windows." in key for key in own):
        return None
    own = {
        "multi_scale_window." + key.removeprefix("multi_scale_window."): value for key, value in own.items()
    }
    scales, dim = _scales(own, "multi_scale_window.", path)
    return _filled(lambda: CLIPMultiScaleFeatureExtractor(dim, scales), own, path)


def save_addon(module: torch.nn.Module, path: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write an add-on's state dict, whole or not at all: a file of that name is replaced at once, or stays as it was.

    A mixture's temperature, which has no key, is divided into the last layer of its gate: read back at
    temperature 1 the gate is the same. Top-k routing has no key either.

    Parameters
    ----------
    path
        Ending in ``.safetensors``, or in anything else for ``torch.save``; missing folders are made.
    dtype
        To store, for example ``torch.float16``; None keeps the module's.

    Raises
    ------
    OptionError
        If it is no add-on, a mixture with top-k routing, which a file of tensors cannot hold, or the type is no
        floating-point type of torch or too narrow for a weight.
    OutputError
        If the file cannot be written.
    """
    if not isinstance(module, _ADDONS):
        raise OptionError(
            f"an add-on is a module of windows or a mixture of experts, as model.addon: got a {type(module).__name__}"
        )
    if getattr(module, "top_k", None) is not None:
        raise OptionError(
            "an add-on's file holds only tensors, so top-k routing cannot be saved: got a mixture with "
            f"{module.top_k}; set its top_k to None to save the dense mixture, and set it again once it is loaded"
        )
    write_state(_at_temperature_1(module), path, dtype=dtype)


def write_state(
    tensors: Mapping[str, torch.Tensor], path: str | Path, *, dtype: torch.dtype | None = None
) -> None:
    """Write tensors under their keys; `path`, `dtype` and errors as for :func:`save_addon`."""
    if dtype is not None and dtype not in _STORED:
        types = ", ".join(map(str, _STORED))
        raise OptionError(f"dtype is one of {types}, or None for the module's own: got {dtype!r}")
    state = {key: _stored(key, value, dtype) for key, value in tensors.items()}
    path = output_file(path, n_bytes=sum(value.nbytes for value in state.values()))
    write_bytes(path, _weight_file(state, is_safetensors=path.suffix.lower() == ".safetensors"))


def _stored(key: str, value: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    value = value.detach().cpu()
    cast = value.to(dtype or value.dtype).contiguous()
    if dtype is not None and not torch.equal(cast.isfinite(), value.isfinite()):
        raise OptionError(
            f"dtype must hold every weight: {key} has values up to {value.abs().max():.3g}, too large for {dtype}; "
            "choose a wider one"
        )
    return cast


def _weight_file(state: StateDict, *, is_safetensors: bool) -> bytes:
    """The content of a file of tensors; made in memory, since torch may end the program where a disk is full."""
    if is_safetensors:
        return safetensors.torch.save(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def save_embedded(
    clip: open_clip.CLIP, config: Mapping[str, Any], token_ids: Sequence[int], folder: Path
) -> None:
    """Write a CLIP in half precision with only the token embeddings its training used."""
    state = {key: value.detach().cpu() for key, value in clip.state_dict().items()}
    state["token_embedding.weight"] = state["token_embedding.weight"][list(token_ids)]
    halves = {
        key: _stored(key, value, torch.float16) for key, value in state.items() if value.is_floating_point()
    }
    halves[ROWS] = torch.tensor(token_ids, dtype=torch.int32)
    write_bytes(folder / "clip.safetensors", _weight_file(halves, is_safetensors=True))
    write_json(folder / "config.json", config)


def load_embedded(folder: Path = EMBEDDED) -> tuple[open_clip.CLIP, dict[str, Any], frozenset[int]]:
    """The CLIP of :func:`save_embedded`, its configuration, and the token ids it knows."""
    missing = [name for name in ("config.json", "clip.safetensors") if not (folder / name).is_file()]
    if missing:
        raise WeightsNotFoundError(
            f"the embedded model has config.json and clip.safetensors: {folder} lacks {', '.join(missing)}; {REMEDY}"
        )
    config, file = embedded_config(folder / "config.json"), folder / "clip.safetensors"
    stored = _read_safetensors(file)
    check_embedded_weights(stored, config, file)
    state = {key: value.float() for key, value in stored.items()}
    rows = state.pop(ROWS).long()
    table = torch.zeros(config["text_cfg"]["vocab_size"], state["token_embedding.weight"].shape[1])
    table[rows] = state["token_embedding.weight"]
    architecture = {key: dict(config[key]) for key in ("vision_cfg", "text_cfg")}
    clip = open_clip.CLIP(embed_dim=config["embed_dim"], **architecture)
    wanted = {key: tuple(value.shape) for key, value in clip.state_dict().items() if key != "attn_mask"}
    state |= {"token_embedding.weight": table}
    rule = f"the embedded weights must fit their configuration: in {file}"
    checked_fit(wanted, state, rule, unexpected=[key for key in state if key not in wanted])
    clip.load_state_dict(state, strict=False)  # without the text's mask, which is no weight
    return clip.eval(), config, frozenset(rows.tolist())


def _read_safetensors(file: Path) -> StateDict:
    try:
        return load_file(file)
    except Exception as problem:  # a damaged file fails in any way
        raise WeightsError(
            f"a weight file must be whole: {file} cannot be read ({first_words(problem)}); {REMEDY}"
        ) from problem


def _at_the_root(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Without what stands before all of an add-on's keys, where it is not a host's: the name of a module around it."""
    known = re.compile(
        r"(?<![^.])(multi_scale_extractor\.)?(multi_scale_window\.)?sliding_windows\.0\.weight"
    )
    found = [key for key in state if "sliding_windows.0.weight" in key]
    if len(found) != 1 or known.fullmatch(found[0]) or found[0].startswith((HOST_WINDOWS, HOST_MIXTURE)):
        return state
    root = found[0].removesuffix(known.search(found[0])[0])
    return {key.removeprefix(root): value for key, value in state.items() if key.startswith(root)}


def _below(prefix: str, state: Mapping[str, torch.Tensor]) -> StateDict:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _at_temperature_1(module: torch.nn.Module) -> StateDict:
    state = dict(module.state_dict())
    if isinstance(module, MixtureOfExpertsAddon):
        last = f"moe_fusion.gating_network.gate.{len(module.moe_fusion.gating_network.gate) - 1}."
        state |= {last + name: state[last + name] / module.temperature for name in ("weight", "bias")}
    return state


def _scales(state: StateDict, prefix: str, path: str | Path) -> tuple[list[int], int]:
    """Scales, in slot order, and width, off the kernels ``[D, D, s]``."""
    pattern = re.compile(re.escape(prefix) + r"sliding_windows\.(\d{1,4})\.weight", re.A)
    kernels = {int(found[1]): value for key, value in state.items() if (found := pattern.fullmatch(key))}
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


def _scheme_2(state: StateDict, path: str | Path) -> torch.nn.Module:
    scales, wide = _scales(state, "multi_scale_extractor.multi_scale_window.", path)
    first = state.get("projection.projection.0.weight")
    if first is None or first.ndim != 2:
        raise WeightsError(f"a scheme-2 add-on has projection.projection.0.weight: {path} lacks it")
    return _filled(lambda: CLIPWithProjectionMultiScale(first.shape[1], wide, scales), state, path)


def _mixture(state: StateDict, path: str | Path, temperature: float) -> torch.nn.Module:
    state = mixture_state(state, path)
    scales, dim = _scales(state, "multi_scale_extractor.", path)
    experts = _depth(state, r"moe_fusion\.experts\.0\.expert\.(\d+)\.weight")
    gate = _depth(state, r"moe_fusion\.gating_network\.gate\.(\d+)\.weight")
    first = state.get("moe_fusion.experts.0.expert.0.weight")
    if first is None or first.ndim != 2 or not experts or not gate or 0 in first.shape:
        raise WeightsError(
            f"a mixture of experts has moe_fusion.experts.0.expert.0.weight and a gate: {path} lacks them"
        )
    if max(experts, gate) > _MOST_LAYERS:
        raise WeightsError(
            f"experts and gate have at most {_MOST_LAYERS} layers: those of {path} have {experts} and {gate}; "
            "check the file"
        )
    sizes = {"hidden_dim": len(first), "expert_layers": experts, "gate_layers": gate}
    return _filled(lambda: MixtureOfExpertsAddon(dim, scales, **sizes, temperature=temperature), state, path)


def _depth(state: StateDict, pattern: str) -> int:
    """How many Linears of a stack there are: matrices, each of which a LayerNorm may follow."""
    return sum(value.ndim == 2 for key, value in state.items() if re.fullmatch(pattern, key))


def _filled(made: Callable[[], torch.nn.Module], state: StateDict, path: str | Path) -> torch.nn.Module:
    """Load after comparing every key and shape, before memory is taken; nothing is left at its initial value."""
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
