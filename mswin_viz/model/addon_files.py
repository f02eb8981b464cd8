"""Writes a trained add-on under the keys of the host model, so that it goes back into that code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mswin_viz.errors import OptionError
from mswin_viz.model.checkpoints import HOST_WINDOWS, write_state
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor

__all__ = ["KEY_LAYOUTS", "addon_bytes", "file_words", "write_addon"]

KEY_LAYOUTS = ("host", "host-dropout", "bare")
"""As the host model holds it, its last Linear named ``fusion.2``; the same with ``fusion.3`` (a Dropout lies
between); the add-on's own keys alone."""
_USUAL = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")


def write_addon(addon: CLIPMultiScaleFeatureExtractor, path: str | Path, *, layout: str = "host") -> None:
    """Write an add-on, whole or not at all; `load_addon` reads all layouts.

    In the host model, ``model.load_state_dict(torch.load(path), strict=False)`` puts it in its place.

    Parameters
    ----------
    path
        Ending in ``.safetensors``, or in anything else for ``torch.save``.
    layout
        One of `KEY_LAYOUTS`.

    Raises
    ------
    OptionError
        If there is no such layout, or it is another add-on.
    OutputError
        If the file cannot be written.
    """
    _check_layout(layout)
    if not isinstance(addon, CLIPMultiScaleFeatureExtractor):
        raise OptionError(
            f"the host's keys of windows are those of scheme 1: got a {type(addon).__name__}; save_addon writes any add-on"
        )
    state = addon.state_dict()
    if layout != "bare":
        last = "fusion.3." if layout == "host-dropout" else "fusion.2."
        state = {HOST_WINDOWS + key.replace("fusion.2.", last): value for key, value in state.items()}
    write_state(state, path)


def addon_bytes(dim: int, scales: Sequence[int]) -> int:
    """Bytes of the weights of an add-on that `write_addon` writes, in float32; none is made."""
    with torch.device("meta"):
        addon = CLIPMultiScaleFeatureExtractor(dim, scales)
    return sum(weight.nbytes for weight in addon.parameters())


def file_words(path: Path, layout: str = "host") -> str:
    """What `write_addon` would write, in words: file, format, and keys.

    Raises
    ------
    OptionError
        If there is no such layout.
    """
    _check_layout(layout)
    kind = "safetensors" if path.suffix.lower() == ".safetensors" else "a torch.save file"
    usual = "" if path.suffix.lower() in _USUAL else " whatever its ending says"
    keys = f"{'' if layout == 'bare' else HOST_WINDOWS}multi_scale_window.*"
    return f"{path}: {kind}{usual}, a state dict with keys {keys}"


def _check_layout(layout: str) -> None:
    if layout not in KEY_LAYOUTS:
        raise OptionError(f"layout must be one of {', '.join(KEY_LAYOUTS)}: got {layout!r}; choose one")
