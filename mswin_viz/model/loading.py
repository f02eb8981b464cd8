"""From what :func:`mswin_viz.load_model` is asked for to a tower, an add-on and a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mswin_viz.errors import DeviceError, OptionError, WeightsNotFoundError
from mswin_viz.model.checkpoints import EMBEDDED, load_addon, read_state_dict
from mswin_viz.model.config import HostConfig
from mswin_viz.model.host_checkpoints import addon_keys, host_addon, host_tower, is_host
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPWithProjectionMultiScale
from mswin_viz.model.towers import Tower, embedded_tower, file_tower, tagged_tower

__all__ = ["Addon", "addon_of", "checked_device", "checked_size", "tower_of"]

Addon = CLIPMultiScaleFeatureExtractor | CLIPWithProjectionMultiScale | MixtureOfExpertsAddon
_UNTRAINED = "untrained window mean, zero shift"


def checked_size(image_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Height and width, from one number or two; None stays None."""
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise OptionError(f"image_size is (height, width) in whole pixels, or one number: got {image_size!r}")
    return sides


def tower_of(
    name: str | Path, size: tuple[int, int] | None, arch: str | None, config: HostConfig | None
) -> Tower:
    """The tower of a name or file, as :func:`mswin_viz.load_model` takes them."""
    path = Path(name).expanduser()
    if name != "embedded" and path.is_file():
        state = read_state_dict(path)
        if is_host(state):
            return host_tower(state, path, size, arch, config)
        if config is None:
            return file_tower(state, path, size, arch)
    if config is not None:
        raise OptionError(
            f"a configuration belongs to a host-model checkpoint, a file with keys BACKBONE.*: got {str(name)!r}; "
            "check the path, or leave config= out"
        )
    if arch is not None:
        raise OptionError(
            f"arch= names the architecture of a local file: got {arch!r} with {str(name)!r}; leave it out"
        )
    if name == "embedded":
        return embedded_tower(size)
    head, _, tag = str(name).partition("/")
    if tag and "/" not in tag and head not in (".", "..", "~", "") and not path.suffix:
        return tagged_tower(str(name), size)
    raise WeightsNotFoundError(
        'a model is "embedded", an open_clip pair such as "ViT-B-16/openai", or an existing file: got '
        f"{str(name)!r}; check the path, or download the file"
    )


def addon_of(
    addon: str | Path | None, name: str | Path, tower: Tower, width: int
) -> tuple[Addon | None, str, tuple[str, ...]]:
    """The add-on, where it comes from, and the keys of the tower's file that it took."""
    if addon is None:
        return None, "none: plain CLIP", ()
    if addon == "mean":
        return CLIPMultiScaleFeatureExtractor(width, init="mean"), _UNTRAINED, ()
    if addon != "default":
        module = load_addon(addon)
        return module, f"{_in_words(module)} from {Path(addon).name}", ()
    if name == "embedded" and (EMBEDDED / "addon.safetensors").is_file():
        module = load_addon(EMBEDDED / "addon.safetensors")
        return module, f"{_in_words(module)}, trained here on synthetic pedestrians", ()
    found = host_addon(tower) if tower.state is not None else None
    if found is not None:
        return found, f"{_in_words(found)}, from the same file", addon_keys(tower, found)
    mean = CLIPMultiScaleFeatureExtractor(width, init="mean")
    return mean, f"none comes with these weights: {_UNTRAINED}", ()


def checked_device(device: str | torch.device) -> torch.device:
    """The device asked for, if it is there; ``"auto"`` takes the fastest."""
    if device == "auto":
        accelerators = (("cuda", torch.cuda.is_available), ("mps", torch.backends.mps.is_available))
        return torch.device(next((name for name, is_there in accelerators if is_there()), "cpu"))
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as problem:
        raise DeviceError(
            f'a device is "auto", "cpu", "cuda" or "mps", and must be there: got {device} '
            f'({str(problem).splitlines()[0]}); use device="auto"'
        ) from problem
    return place


def _in_words(module: Addon) -> str:
    scales = f"scales {'/'.join(str(scale) for scale in module.scales)}"
    if not isinstance(module, MixtureOfExpertsAddon):
        return scales
    return f"mixture of experts, {scales}, temperature {module.temperature:g}"
