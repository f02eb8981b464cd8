"""Writes an add-on to a file under its own keys, or under the host model's, so that the host's code can load it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.weights.checkpoints import HOST_WINDOWS, StoredAddon
from mswin_viz.model.weights.own_files import own_state

KEY_LAYOUTS = ("host", "host-dropout", "bare")
"""The host model's keys, its last Linear named ``fusion.2`` or (behind a Dropout) ``fusion.3``; the add-on's own keys."""
_USUAL = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def save_addon(
    module: nn.Module, path: str | Path, *, dtype: torch.dtype | None = None, layout: str = "bare"
) -> None:
    """Write an add-on's state dict, whole or not at all: an existing file is replaced at once, or stays as it was.

    A mixture's temperature has no key; the last layer of its gate is divided by it, so that the gate is the same when
    read back at temperature 1. :func:`mswin_viz.load_addon` reads all layouts; of a module of yours its own keys are
    written, without those of :class:`mswin_viz.Addon` around it, and ``load_addon(path, into=module)`` reads them.

    Parameters
    ----------
    module
        An add-on of the package, or a module of yours, in an :class:`mswin_viz.Addon` or not.
    path
        Ending in ``.safetensors``, or in anything else for ``torch.save``; missing folders are made.
    dtype
        To store, for example ``torch.float16``; None keeps the module's.
    layout
        ``"bare"``, the add-on's own keys; for the windows of scheme 1 also ``"host"`` and ``"host-dropout"``, the host
        model's keys: there ``model.load_state_dict(torch.load(path), strict=False)`` puts the add-on in its place.

    Raises
    ------
    OptionError
        If ``module`` is no module, holds no or more than tensors, or is a mixture with top-k routing, which a file of tensors cannot hold; if it
        has no such layout; or if ``dtype`` is not a floating-point type, or too narrow for a weight.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> mv.save_addon(model.addon, "addon.safetensors", dtype=torch.float16)
    >>> round(Path("addon.safetensors").stat().st_size / 2**20, 1)  # MiB; twice that in float32
    16.0
    >>> mv.save_addon(model.addon, "for_the_host.pth", layout="host")
    >>> list(torch.load("for_the_host.pth"))[0]
    'BACKBONE.clip_multi_scale_extractor.multi_scale_window.sliding_windows.0.weight'
    """
    _check_layout(layout)
    if not isinstance(module, nn.Module):
        raise OptionError(f"an add-on is a module, such as model.addon: got a {type(module).__name__}")
    if layout != "bare" and not isinstance(module, CLIPMultiScaleFeatureExtractor):
        raise OptionError(
            f"only windows of scheme 1 have keys in the host: got a {type(module).__name__}; "
            'layout="bare" writes any add-on'
        )
    if isinstance(module, MixtureOfExpertsAddon) and module.top_k is not None:
        raise OptionError(
            "an add-on's file holds only tensors, so top-k routing cannot be saved: got a mixture with "
            f"{module.top_k}; set its top_k to None to save the dense mixture, and set it again once it is loaded"
        )
    if dtype is not None and dtype not in _DTYPES:
        types = ", ".join(map(str, _DTYPES))
        raise OptionError(f"dtype is one of {types}, or None for the module's own: got {dtype!r}")
    state = tensors_as(dtype, _state(module, layout))
    path = output_file(path, n_bytes=sum(value.nbytes for value in state.values()))
    write_bytes(path, weight_bytes(state, is_safetensors=path.suffix.lower() == ".safetensors"))


def tensors_as(dtype: torch.dtype | None, tensors: Mapping[str, torch.Tensor]) -> StateDict:
    """Tensors in the type to store (None keeps their own); OptionError if it cannot hold a value."""
    cast = {
        key: value.detach().cpu().to((value.is_floating_point() and dtype) or value.dtype).contiguous()
        for key, value in tensors.items()
    }
    for key, value in tensors.items():
        if dtype is not None and not torch.equal(cast[key].isfinite(), value.detach().cpu().isfinite()):
            raise OptionError(
                f"dtype must hold every weight: {key} has values up to {value.abs().max():.3g}, too large for {dtype}; "
                "choose a wider one"
            )
    return cast


def weight_bytes(state: StateDict, *, is_safetensors: bool) -> bytes:
    """The content of a file of tensors; made in memory, since torch may end the program if the disk is full."""
    if is_safetensors:
        return safetensors.torch.save(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def module_bytes(module: nn.Module) -> int:
    """Bytes of a module's tensors."""
    return sum(value.nbytes for value in (*module.parameters(), *module.buffers()))


def addon_bytes(dim: int, scales: Sequence[int]) -> int:
    """Bytes of the float32 weights of a scheme-1 add-on, without making one."""
    with torch.device("meta"):
        addon = CLIPMultiScaleFeatureExtractor(dim, scales)
    return sum(weight.nbytes for weight in addon.parameters())


def file_words(path: Path, layout: str = "host", *, keys: str = "multi_scale_window.*") -> str:
    """What :func:`save_addon` would write, in words: file, format, and keys."""
    _check_layout(layout)
    kind = "safetensors" if path.suffix.lower() == ".safetensors" else "a torch.save file"
    usual = "" if path.suffix.lower() in _USUAL else " whatever its ending says"
    prefix = "" if layout == "bare" else HOST_WINDOWS
    return f"{path}: {kind}{usual}, a state dict with keys {prefix}{keys}"


def _check_layout(layout: str) -> None:
    if layout not in KEY_LAYOUTS:
        raise OptionError(f"layout must be one of {', '.join(KEY_LAYOUTS)}: got {layout!r}; choose one")


def _state(module: nn.Module, layout: str) -> StateDict:
    if not isinstance(module, StoredAddon):
        return own_state(module)
    state = dict(module.state_dict())
    if isinstance(module, MixtureOfExpertsAddon):
        last = f"moe_fusion.gating_network.gate.{len(module.moe_fusion.gating_network.gate) - 1}."
        state |= {last + name: state[last + name] / module.temperature for name in ("weight", "bias")}
    if layout == "bare":
        return state
    last = "fusion.3." if layout == "host-dropout" else "fusion.2."
    return {HOST_WINDOWS + key.replace("fusion.2.", last): value for key, value in state.items()}
