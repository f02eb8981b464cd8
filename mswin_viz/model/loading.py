"""A model from its name, its file, or a host model's configuration and checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mswin_viz.data.deep_images import checked_range
from mswin_viz.errors import DeviceError, OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.addons import addon_of
from mswin_viz.model.backbone import Model
from mswin_viz.model.checkpoints import read_state_dict
from mswin_viz.model.config import HostConfig, read_config
from mswin_viz.model.host_checkpoints import host_tower, is_host
from mswin_viz.model.towers import Tower, embedded_tower, file_tower, tagged_tower

__all__ = ["checked_device", "load_host_model", "load_model"]


def load_model(
    name: str | Path = "embedded",
    *,
    addon: str | Path | None = "default",
    device: str | torch.device = "auto",
    image_size: int | tuple[int, int] | None = None,
    arch: str | None = None,
    config: str | Path | HostConfig | None = None,
    thermal_range: tuple[float, float] | None = None,
) -> Model:
    """A CLIP with an add-on, ready to encode.

    Parameters
    ----------
    name
        ``"embedded"``; an open_clip pair such as ``"ViT-B-16/openai"``; or a path: an OpenAI ``.pt``, an
        open_clip or host-model checkpoint, a ``.safetensors``.
    addon
        ``"default"``: what comes with the weights (the window mean with zero shift where nothing does);
        ``"mean"``: that, always; None; or a path.
    device
        ``"auto"`` takes CUDA, then Apple's GPU, then the CPU.
    image_size
        ``(height, width)`` or one number; None for the size the weights were made for (256x128 for host-model
        checkpoints, which are re-ID models).
    arch
        open_clip's architecture of a local file; None infers it from the shapes.
    config
        The configuration of a host-model checkpoint, a YAML file or a :class:`HostConfig`: whether prompts and
        adapters were on, and what no file holds. Without it a checkpoint whose prompts or adapters were trained is
        refused, and its camera embedding is left out.
    thermal_range
        Of images of more than 8 bits, whatever their modality: the values that become black and white, in the
        units of the files, ``(29315, 30815)`` for 20 to 35 degrees in centikelvin. None stretches each image from
        its own 1st to 99th percentile, so that temperatures of different images do not compare;
        :func:`mswin_viz.thermal_range` finds the range of a data set.

    Raises
    ------
    WeightsNotFoundError, WeightsError
        If the weights are not here and cannot be downloaded, or do not fit. Never random weights in silence.
    ConfigError, ConfigNotFoundError
        If the configuration cannot be read, or a value in it is not of its kind.
    OptionError, DeviceError
        If an option cannot be served.
    """
    place, deep_range = checked_device(device), checked_range(thermal_range)
    with torch.random.fork_rng(devices=[]):  # modules draw initial weights, which are overwritten
        host = config if isinstance(config, HostConfig | None) else read_config(config)
        tower = _tower_of(name, _checked_size(image_size), arch, host)
        width = tower.clip.visual.proj.shape[1]
        module, origin, used = addon_of(addon, name, tower, width)
    if used:
        tower = replace(tower, report=tower.report.taken(used))
    if module is not None and module.feat_dim != width:
        raise WeightsError(
            f"an add-on must have the tower's width: the add-on reads {module.feat_dim}, the tower gives "
            f'{width}; pass another, or addon="mean"'
        )
    tower = replace(tower, thermal_range=deep_range)
    if tower.readout is not None:
        tower.readout.to(place)
    tower.clip.to(place)  # not frozen: attention rounds otherwise when its weights need no gradient
    if module is not None:
        module.to(place).eval().requires_grad_(False)
    for note in tower.notes:
        warnings.warn(f"{tower.weights}: {note}", stacklevel=2)
    return Model(tower, module, origin, place)


def load_host_model(
    config: str | Path | HostConfig,
    weights: str | Path,
    *,
    addon: str | Path | None = "default",
    device: str | torch.device = "auto",
    thermal_range: tuple[float, float] | None = None,
) -> Model:
    """A re-ID host model's image branch as its configuration and its checkpoint have it.

    Camera embedding, prompts, adapters, stride, normalisation, the multi-scale add-on (windows or mixture of experts)
    and DeMo's heads of the modalities are those of the run; what fuses the modalities (Mamba; DeMo's attention and
    experts) is left out, by name. ``print(model.load_report)`` lists what became of every key.

    Parameters
    ----------
    config
        The YAML file as it is (``"MambaPro.yml"``, ``"DeMo.yml"``, ``"MDReID.yml"``), or a :class:`HostConfig`.
    weights
        The checkpoint of the same run, with or without ``module.`` before its keys.
    addon, device, thermal_range
        As in :func:`load_model`.

    Raises
    ------
    As :func:`load_model`.
    """
    return load_model(weights, addon=addon, device=device, config=config, thermal_range=thermal_range)


def _checked_size(image_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Height and width, from one number or two; None stays None."""
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise OptionError(f"image_size is (height, width) in whole pixels, or one number: got {image_size!r}")
    return sides


def _tower_of(
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
