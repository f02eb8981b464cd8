"""The tower in a whole checkpoint of a re-ID host model, with a report of every key.

The published loader copies with broadcasting and leaves what is missing at random values. Here keys and shapes are
compared first, a missing key is an error that names it, and every key that is not used is listed with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import open_clip
import torch

from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.archives.state_dicts import WeightFile
from mswin_viz.model.host.blocks import HostParts
from mswin_viz.model.host.parts import CAMERAS, HEAD_NAMES, camera_table, host_parts, host_readout
from mswin_viz.model.host.report import HOW_TO_SAY_IT, host_notes, unused_reason
from mswin_viz.model.host.tower import HostTower
from mswin_viz.model.weights.architectures import activation, architecture_of, gelu
from mswin_viz.model.weights.checkpoints import HOST_MIXTURE, HOST_WINDOWS
from mswin_viz.model.weights.clip_towers import HOST_SIZE, Tower, built, grid_of, text_keys, without_text
from mswin_viz.model.weights.host_config import HostConfig
from mswin_viz.model.weights.host_families import DEMO, MAMBAPRO, MDREID, family_of_state
from mswin_viz.model.weights.load_report import LoadReport, checked_fit

State = Mapping[str, torch.Tensor]
_BASE = "BACKBONE.base."
_SECOND = f"{_BASE}add_image_token"


def is_host(full: State) -> bool:
    """Whether a file's keys are those of a host model."""
    return any(key.startswith("BACKBONE.") for key in full)


def as_host_file(file: WeightFile) -> WeightFile:
    """The file; the state dict of ``model.BACKBONE`` alone gets that prefix back."""
    if is_host(file.state) or not {"base.class_embedding", "base.conv1.weight"} <= file.state.keys():
        return file
    state = {f"BACKBONE.{key}": value for key, value in file.state.items()}
    note = "keys of the host's BACKBONE alone, its prefix added again"
    return replace(file, state=state, notes=(*file.notes, note))


def host_tower(
    full: State,
    path: Path,
    image_size: tuple[int, int] | None,
    arch: str | None,
    config: HostConfig | None,
) -> Tower:
    """The tower of a host checkpoint, with the parts that the configuration says it was trained with.

    Without a configuration the parts are read that the keys of DeMo and MDReID show, and a MambaPro tower as a plain
    one, if the file leaves no doubt that prompts and adapters were off; ``image_size`` and ``arch`` are for that case.
    """
    if not any(key.startswith(_BASE) for key in full):
        raise WeightsError(
            f"a host model's tower has keys {_BASE}*: {path} has none; pass an add-on alone as addon=, beside a model"
        )
    if config is None:
        implied = _of_the_keys(full, image_size)
        if implied is None:
            return _plain_tower(full, path, image_size, arch)
        if arch is not None:
            raise OptionError(
                f"the keys of a file of {implied.family} decide its architecture: got arch={arch!r}; leave it out"
            )
        return _configured_tower(full, path, implied, is_given=False)
    if image_size is not None or arch is not None:
        raise OptionError(
            "a configuration decides architecture and input size: got image_size or arch beside it; leave them out"
        )
    return _configured_tower(full, path, _of_this_file(config, full, path))


def _of_this_file(config: HostConfig, full: State, path: Path) -> HostConfig:
    """The configuration; where it does not name the code base, the file's keys decide."""
    family = family_of_state(full)
    # without the second token a file of MDReID is laid out as one of DeMo
    if family in (None, config.family) or {family, config.family} == {DEMO, MDREID}:
        return config
    if "family" in config.defaulted:
        return config.as_family(family)
    raise WeightsError(
        f"configuration and checkpoint must come from one code base: {config.source} belongs to {config.family}, the keys of "
        f"{path.name} to {family}; give the configuration of the run, or family={family!r} to read_config"
    )


def _of_the_keys(full: State, image_size: tuple[int, int] | None) -> HostConfig | None:
    """What the keys of a file of DeMo or MDReID say was on: there a part that is off has no keys."""
    family = family_of_state(full)
    if family in (None, MAMBAPRO):
        return None
    size = image_size or HOST_SIZE
    return HostConfig(
        family=family,
        prompt=any(".adapter_prompt_" in key for key in full),
        adapter=any(".adapter_ffn." in key for key in full),
        global_local=any(key.startswith(HEAD_NAMES) for key in full),
        add_share=_SECOND in full,
        sie_camera=False,
        size_train=size,
        size_test=size,
        source="the file's keys",
    )


def _plain_tower(full: State, path: Path, image_size: tuple[int, int] | None, arch: str | None) -> Tower:
    """CLIP's own tower in a host checkpoint in which no other part was trained."""
    _refuse_trained_parts(full, path)
    base = {key: value for key, value in _base(full).items() if ".adapter_" not in key}
    state = {f"visual.{k}": v.float() if v.is_floating_point() else v for k, v in base.items()}
    architecture = architecture_of(state, arch)
    quick, assumed = activation(architecture, arch, known_quick=True)
    size = image_size or HOST_SIZE
    # a trained host file holds positions for its own input: the requested grid wherever the count fits
    source = grid_of(size, architecture["vision_cfg"]["patch_size"], state)
    made = built({**architecture, "quick_gelu": quick}, state, size, source=source)
    report = _report(full, path, [_BASE + key for key in base], None, made.clip)
    return Tower(
        clip=made.clip,
        weights=f"host-model checkpoint {path.name}",
        image_size=size,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        activation=gelu(quick),
        positions=made.positions,
        state=_addon_state(full),
        has_text=False,
        notes=(*assumed, *host_notes(report, full, None)),
        report=report,
    )


def _configured_tower(full: State, path: Path, config: HostConfig, *, is_given: bool = True) -> Tower:
    """The tower of a configuration; one that is not ``is_given`` was inferred from the file's keys."""
    table, camera_notes = camera_table(full, path, config)
    parts = host_parts(full, config, table)
    clip = _empty_clip(_base(full), config, parts)
    visual = clip.get_submodule("visual")
    files = {key: CAMERAS if key == "cv_embed" else _BASE + key for key in visual.state_dict()}
    stored = {**full, CAMERAS: table} if table is not None else full
    if _SECOND in full and not parts.leading_token:
        raise WeightsError(
            f"a second token, {_SECOND}, is in {path.name}, as a run of MDReID with ADD_SHARE on saves it: it is off in "
            f"{config.source}; give the configuration of the run, or add_share=True"
        )
    if _SECOND in full and full[_SECOND].ndim == 2:
        stored = {**stored, _SECOND: full[_SECOND].flatten()}  # as it is before CLIP's weights are put in
    rule = f"a host checkpoint must fit its configuration, {config.source}, key by key: in {path.name}"
    if {"family", "prompt"} <= set(config.defaulted):
        rule = (
            f"a host checkpoint must fit its configuration, {config.source} (PROMPT is not in it: on, as in MambaPro; "
            f'give family="DeMo" or "MDReID" if it is from one of those), key by key: in {path.name}'
        )
    wanted = {files[key]: value.shape for key, value in visual.state_dict().items()}
    strange = [key for key in full if key.startswith(_BASE) and key not in wanted and ".adapter_" not in key]
    checked_fit(wanted, stored, rule, unexpected=strange)
    visual.load_state_dict({key: stored[file_key] for key, file_key in files.items()})
    readout = host_readout(full, path, config, clip.get_parameter("visual.proj").shape[1])
    used = [key for key in files.values() if not re.match(r".*\.0\.adapter_transfer\.", key)]
    reported = config if is_given else None
    report = _report(full, path, [*used, *readout.keys], reported, clip)
    rows, cols = config.grid
    return Tower(
        clip=clip.eval(),
        weights=f"host-model checkpoint {path.name}",
        image_size=config.size_test,
        mean=config.pixel_mean,
        std=config.pixel_std,
        activation="QuickGELU",
        positions=f"{rows}x{cols}, as stored",
        state=_addon_state(full),
        has_text=False,
        notes=(*host_notes(report, full, reported), *camera_notes),
        first_camera=config.first_camera,
        report=report,
        config=reported,
        readout=readout.module,
    )


def _empty_clip(base: State, config: HostConfig, parts: HostParts) -> open_clip.CLIP:
    """open_clip's model of the file's width and depth, with the host's tower in it but no weights yet."""
    state = {f"visual.{key}": value for key, value in base.items() if ".adapter_" not in key}
    architecture = architecture_of(state, None)
    rows, cols = config.grid
    width = architecture["vision_cfg"]["width"]
    if width % 64:
        raise WeightsError(f"heads are 64 wide, so the tower's width must be a multiple of 64: got {width}")
    sizes = {"head_width": 64, "patch_size": 16, "image_size": [16 * rows, 16 * cols]}
    vision = {**architecture["vision_cfg"], **sizes}
    clip = open_clip.CLIP(**{**architecture, "vision_cfg": vision, "quick_gelu": True})
    without_text(clip)
    is_plain = parts == HostParts() and config.size_test == (16 * rows, 16 * cols)
    if not is_plain:  # without any part open_clip's own tower runs, bit for bit
        clip.add_module("visual", HostTower(clip.visual, config.grid, parts))  # pyright: ignore[reportArgumentType]  # not a timm tower
    return clip


def _base(full: State) -> dict[str, torch.Tensor]:
    return {key.removeprefix(_BASE): value for key, value in full.items() if key.startswith(_BASE)}


def _addon_state(full: State) -> dict[str, torch.Tensor]:
    return {key: value for key, value in full.items() if key.startswith((HOST_WINDOWS, HOST_MIXTURE))}


def _refuse_trained_parts(full: State, path: Path) -> None:
    """No file says whether prompts and adapters were on: refuse where training has left its mark on them."""
    trained = [key for key, value in _base(full).items() if ".adapter_" in key and bool((value != 0).any())]
    marks = {"PROMPT": r".*\.adapter_prompt_(rgb|nir|tir)$", "ADAPTER": r".*\.adapter_ffn\.\d+\.bias$"}
    moved = [name for name, pattern in marks.items() if any(re.match(pattern, key) for key in trained)]
    if moved:
        raise WeightsError(
            f"a file cannot tell whether {' and '.join(moved)} was on, and these tensors of {path.name} are not zero, "
            f"as training leaves them: {HOW_TO_SAY_IT}; HostConfig(prompt=False, adapter=False) opens the bare tower"
        )


def _report(
    full: State, path: Path, used: list[str], config: HostConfig | None, clip: open_clip.CLIP
) -> LoadReport:
    taken = set(used)
    return LoadReport(
        file=path.name,
        used=tuple(key for key in full if key in taken),
        unused={key: unused_reason(key, config) for key in full if key not in taken},
        missing=text_keys(clip),
    )
