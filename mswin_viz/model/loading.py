"""A model from its name, its file, or a host model's configuration and checkpoint."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import open_clip
import torch

from mswin_viz.data.options import options_of
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import DeviceError, OptionError, WeightsNotFoundError
from mswin_viz.model.addon.own import AddonSource, checked_width
from mswin_viz.model.addon_loading import addon_of
from mswin_viz.model.archives.state_dicts import WeightFile
from mswin_viz.model.archives.weight_files import read_weights
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.host.checkpoint import as_host_file, host_tower, is_host
from mswin_viz.model.weights.architectures import near_architectures
from mswin_viz.model.weights.clip_towers import Tower, embedded_tower, tagged_tower
from mswin_viz.model.weights.config_files import read_config
from mswin_viz.model.weights.file_towers import file_tower
from mswin_viz.model.weights.host_config import HostConfig
from mswin_viz.model.weights.hub import HUB, hub_folder
from mswin_viz.model.weights.tower_options import LoadOptions, TowerOptions, checked_precision


def load_model(
    name: str | Path = "embedded",
    *,
    addon: AddonSource | Path | None = "default",
    device: str | torch.device = "auto",
    config: str | Path | HostConfig | None = None,
    precision: str = "auto",
    **options: Unpack[LoadOptions],
) -> Model:
    """A CLIP with an add-on, ready to encode.

    Parameters
    ----------
    name
        ``"embedded"``; an open_clip pair such as ``"ViT-B-16/openai"``; ``"hf-hub:ORGANISATION/NAME"``; or a path:
        an OpenAI ``.pt``, an open_clip, Hugging Face or host-model checkpoint (``.pt``, ``.pth``, ``.bin``,
        ``.ckpt``, ``.safetensors``), or a folder of open_clip or Hugging Face.
    addon
        ``"default"``: what comes with the weights (the window mean with zero shift where nothing does);
        ``"mean"``: that, always; None; a path; a module of yours (a copy of it, in float32 and evaluation mode; see
        :class:`mswin_viz.Addon`), or what makes it, called without arguments; or ``"package.module:Name"``, which
        imports, and so runs, that code. A file of your module's weights: ``addon=load_addon(path, into=module)``.
    device
        ``"auto"`` takes CUDA, then Apple's GPU, then the CPU.
    config
        The configuration of a host-model checkpoint, a YAML file or a :class:`HostConfig`: whether prompts and
        adapters were on, and what no file holds. Without it a checkpoint whose prompts or adapters were trained is
        refused, and its camera embedding is left out.
    precision
        ``"float32"``; ``"mixed"``, on CUDA; ``"auto"`` is mixed on CUDA and float32 elsewhere.
    image_size : int or (int, int), optional
        ``(height, width)`` or one number; None for the size the weights were made for (256x128 for host-model
        checkpoints, which are re-ID models).
    arch : str, optional
        open_clip's architecture of a local file; None infers it from the shapes.
    thermal_range : (float, float), optional
        Of images of more than 8 bits, whatever their modality: the values that become black and white, in the
        units of the files, ``(29315, 30815)`` for 20 to 35 degrees in centikelvin. None stretches each image from
        its own 1st to 99th percentile, so that temperatures of different images do not compare;
        :func:`mswin_viz.thermal_range` finds the range of a data set.
    activation : str, optional
        ``"gelu"`` or ``"quick_gelu"``, of a plain file, which does not tell; None infers it, and says so.
    mean, std : float or sequence of float, optional
        Pixel normalisation of a plain file, three numbers or one for all channels, of pixels from 0 to 1; None takes
        OpenAI's, and says so.

    Returns
    -------
    model
        In evaluation mode, on ``device``, in the precision asked for; its add-on is frozen.

    Raises
    ------
    WeightsNotFoundError, WeightsError
        If the weights are not here and cannot be downloaded, or do not fit. Weights are never left random without an error.
    ConfigError, ConfigNotFoundError
        If the configuration cannot be read, or a value in it is not of its kind.
    OptionError, DeviceError
        If an option cannot be served.

    Examples
    --------
    >>> model = mv.load_model()  # the weights that come with the package; nothing is downloaded
    >>> model.image_size, model.grid, model.dim, model.addon.scales
    ((256, 128), (16, 8), 512, (4, 8, 16))
    >>> plain = mv.load_model(addon=None, image_size=(128, 64))  # the CLIP alone, at another input size
    >>> plain.grid, plain.addon is None
    ((8, 4), True)
    >>> mv.load_model("nosuch.pth")
    Traceback (most recent call last):
        ...
    mswin_viz.errors.WeightsNotFoundError: a model is "embedded", an open_clip pair such as ...
    """
    place = checked_device(device)
    precision = checked_precision(precision, place.type)
    tower_options = options_of(TowerOptions, options, function="load_model")
    # modules draw initial weights, which are overwritten; weights of inference mode would have no gradients
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        host = config if isinstance(config, HostConfig | None) else read_config(config)
        tower = _tower_of(name, tower_options, host)
        chosen = addon_of(addon, name, tower)
        # the CLIP is not frozen: its attention rounds differently if the weights need no gradient
        for part in (tower.readout, tower.clip, chosen.module):
            if part is not None:
                part.to(place)
    if chosen.module is not None:
        checked_width(chosen.module, tower.dim).eval().requires_grad_(False)
    report = tower.report.taken(chosen.keys) if tower.report is not None else None
    tower = replace(tower, report=report, thermal_range=tower_options.thermal_range)
    for note in tower.notes:
        warnings.warn(f"{tower.weights}: {note}", stacklevel=2)
    return Model(tower, chosen.module, chosen.origin, place, precision)


def load_host_model(
    config: str | Path | HostConfig,
    weights: str | Path,
    *,
    addon: AddonSource | Path | None = "default",
    device: str | torch.device = "auto",
    thermal_range: tuple[float, float] | None = None,
    precision: str = "auto",
) -> Model:
    """A re-ID host model's image branch, by its configuration and its checkpoint.

    Camera embedding, prompts, adapters, stride, normalisation, the multi-scale add-on (windows or mixture of experts)
    and DeMo's heads of the modalities are those of the run; what fuses the modalities (Mamba; DeMo's attention and
    experts) is left out, by name. ``print(model.load_report)`` lists what became of every key.

    Parameters
    ----------
    config
        The YAML file as it is (``"MambaPro.yml"``, ``"DeMo.yml"``, ``"MDReID.yml"``), or a :class:`HostConfig`.
    weights
        The checkpoint of the same run, with or without ``module.`` before its keys.
    addon, device, thermal_range, precision
        As in :func:`load_model`.

    Returns
    -------
    model
        As :func:`load_model` returns it; ``model.load_report`` has every key of the checkpoint.

    Raises
    ------
    WeightsNotFoundError, WeightsError, ConfigError, ConfigNotFoundError, OptionError, DeviceError
        As in :func:`load_model`.

    Examples
    --------
    >>> tower = model.visual.state_dict()  # stands for a checkpoint without prompts and adapters
    >>> torch.save({f"BACKBONE.base.{key}": value for key, value in tower.items()}, "run.pth")
    >>> config = mv.HostConfig(prompt=False, adapter=False, sie_camera=False, dataset="RGBNT201")
    >>> host = mv.load_host_model(config, "run.pth")  # yours: "MambaPro.yml", "MambaPro_best.pth"
    >>> host.grid, host.dim, host.tower.has_text
    ((16, 8), 512, False)
    """
    return load_model(
        weights, addon=addon, device=device, config=config, thermal_range=thermal_range, precision=precision
    )


def _tower_of(name: str | Path, options: TowerOptions, config: HostConfig | None) -> Tower:
    """The tower of a name or file, as :func:`mswin_viz.load_model` takes them."""
    if not isinstance(name, (str, os.PathLike)):
        raise OptionError(f'a model is a name, such as "embedded", or a path: got {name!r}')
    path = hub_folder(str(name)) if str(name).startswith(HUB) else Path(name)
    path = Path(os.path.expanduser(path))
    if name != "embedded" and str(name) and os.path.exists(path):
        file = as_host_file(read_weights(path))
        if is_host(file.state):
            tower = host_tower(file.state, file.path, options.image_size, options.arch, config)
            return _as_read(_agreeing(tower, options), file)
        if config is None:
            return _as_read(file_tower(file, options), file)
    if config is not None:
        raise OptionError(
            f"a configuration belongs to a host-model checkpoint, a file with keys BACKBONE.*: got {str(name)!r}; "
            "check the path, or leave config= out"
        )
    if options.arch is not None:
        raise OptionError(
            f"arch= names the architecture of a local file: got {options.arch!r} with {str(name)!r}; leave it out"
        )
    return _named_tower(str(name), options)


def _named_tower(name: str, options: TowerOptions) -> Tower:
    """The embedded model, or an open_clip pair."""
    if name == "embedded":
        return _agreeing(embedded_tower(options.image_size), options)
    head, _, tag = name.partition("/")
    looks_like_path = head in ("", ".", "..") or head.startswith("~") or ":" in head or Path(name).suffix
    if tag and "/" not in tag and not looks_like_path:
        if open_clip.get_model_config(head) or near_architectures(head):
            return tagged_tower(name, options)
        raise WeightsNotFoundError(
            f"a pair names an architecture of open_clip, such as ViT-B-16/openai: got {name!r}, and no architecture "
            f'has a name like {head!r}; a repository of the Hugging Face Hub is written "{HUB}{name}"'
        )
    raise WeightsNotFoundError(
        'a model is "embedded", an open_clip pair such as "ViT-B-16/openai", "hf-hub:ORGANISATION/NAME", or an '
        f"existing file or folder: got {short_text(name, 300)!r}; check the path, or download the file"
    )


def _agreeing(tower: Tower, options: TowerOptions) -> Tower:
    """The tower, if it has the activation and normalisation that the options give."""
    where = tower.weights if tower.config is None else tower.config.source
    options.refuse_contradictions(tower.activation, tower.mean, tower.std, where)
    return tower


def _as_read(tower: Tower, file: WeightFile) -> Tower:
    """The tower, with notes on how its file was read."""
    report = tower.report and replace(tower.report, reading=tower.report.reading or file.notes)
    return replace(tower, notes=(*file.cautions, *tower.notes), report=report)


def checked_device(device: str | torch.device) -> torch.device:
    """The device of a name, if it exists here; ``"auto"`` takes the fastest."""
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
