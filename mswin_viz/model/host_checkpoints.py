"""Whole checkpoints of a re-ID host model -> a tower, with a report of every key.

The published loader copies with broadcasting and leaves what is missing at random values. Here keys and shapes are
compared first, a missing key is an error that names it, and every key that is not used is listed with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch

from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.checkpoint_report import LoadReport, checked_fit
from mswin_viz.model.checkpoints import HOST_MIXTURE, HOST_WINDOWS, addon_in
from mswin_viz.model.config import HostConfig
from mswin_viz.model.host_tower import HostParts, HostTower
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.readout import Readout
from mswin_viz.model.towers import (
    HOST_SIZE,
    POSITIONS,
    Tower,
    activation,
    architecture_of,
    built,
    gelu,
    text_keys,
    without_text,
)

__all__ = ["addon_keys", "host_addon", "host_tower", "is_host", "unused_reason"]

State = Mapping[str, torch.Tensor]
_BASE, _CAMERAS, _NECK, _MAMBA = "BACKBONE.base.", "BACKBONE.cv_embed", "BACKBONE.bottleneck.", "AAM."
_NECK_KEYS = ("weight", "bias", "running_mean", "running_var")
_STRANGE = "no key of the published model"
_HOW = (
    'give the run\'s configuration, config="run.yml", or say it: config=mv.HostConfig(prompt=True, adapter=True, '
    "sie_camera=True, sie_coe=1.0, use_clip_multi_scale=True), each as the run had it"
)
MAMBA_REASON = "Mamba head: needs CUDA-only code, outside"


def is_host(full: State) -> bool:
    """Whether a file's keys are those of a host model."""
    return any(key.startswith("BACKBONE.") for key in full)


def host_tower(
    full: State,
    path: Path,
    image_size: tuple[int, int] | None,
    arch: str | None,
    config: HostConfig | None,
) -> Tower:
    """The tower of a host checkpoint, with the parts that the configuration says it was trained with.

    Parameters
    ----------
    full
        Every tensor of the file.
    path
        Where it came from.
    image_size, arch
        Without a configuration only: another input size, open_clip's architecture.
    config
        None reads the plain tower, if the file leaves no doubt that prompts and adapters were off.

    Raises
    ------
    WeightsError
        If a key is missing or of another shape, or the file alone cannot tell what was on.
    OptionError
        If options contradict the configuration.
    """
    if not any(key.startswith(_BASE) for key in full):
        raise WeightsError(
            f"a host model's tower has keys {_BASE}*: {path} has none; an add-on alone is given as addon=, "
            "beside a model"
        )
    if config is None:
        return _plain_tower(full, path, image_size, arch)
    if image_size is not None or arch is not None:
        raise OptionError(
            "a configuration decides architecture and input size: got image_size or arch beside it; leave them out"
        )
    return _configured_tower(full, path, config)


def host_addon(tower: Tower) -> torch.nn.Module | None:
    """The add-on that belongs to a host tower; None where it was trained without one.

    Raises
    ------
    WeightsError
        If the configuration asks for one that the file lacks, or one of other scales or sizes.
    """
    config, state = tower.config, tower.state or {}
    kind = None if config is None else config.addon_kind
    prefix = {"mixture": HOST_MIXTURE, "windows": HOST_WINDOWS}.get(kind)
    if kind == "none":
        return None
    if prefix is not None and not any(key.startswith(prefix) for key in state):
        inner = "multi_scale_extractor" if kind == "mixture" else "multi_scale_window"
        raise WeightsError(
            f"{config.source} has the multi-scale add-on on: {tower.weights} is a baseline without it, missing "
            f"{prefix}{inner}.sliding_windows.0.weight and all others of {prefix}*; load the checkpoint of that run, "
            'or addon="mean" or None for the tower alone'
        )
    chosen = {key: value for key, value in state.items() if prefix is None or key.startswith(prefix)}
    addon = addon_in(chosen, tower.weights, temperature=1.0 if config is None else config.moe_temperature)
    if config is not None and addon is not None:
        _check_agreement(addon, config, tower.weights)
    return addon


def addon_keys(tower: Tower, addon: torch.nn.Module) -> tuple[str, ...]:
    """Keys of a host checkpoint that an add-on from :func:`host_addon` reads."""
    prefix = HOST_MIXTURE if isinstance(addon, MixtureOfExpertsAddon) else HOST_WINDOWS
    idle = HOST_MIXTURE + "multi_scale_extractor.fusion."
    return tuple(key for key in tower.state or {} if key.startswith(prefix) and not key.startswith(idle))


def unused_reason(key: str, config: HostConfig | None) -> str:
    """Why a key of a host checkpoint is not in a tower of this configuration."""
    given = config or HostConfig(prompt=False, adapter=False, sie_camera=False, mamba=True)
    said = "in the configuration" if config is not None else "taken as off, no configuration says more"
    rules = (
        (r"AAM\.", MAMBA_REASON if given.mamba else "Mamba head: MAMBA is off in the configuration"),
        (r"BACKBONE\.classifier\.|classifier(_fuse)?\.", "classifier of training identities"),
        (r"bottleneck(_fuse)?\.", "BatchNorm neck of the outer model: training only"),
        (r"BACKBONE\.bottleneck\.num_batches_tracked", "a count of training"),
        (r"BACKBONE\.bottleneck\.", "BatchNorm neck: NECK_FEAT is before"),
        (r"BACKBONE\.cv_embed", f"camera embedding: SIE_CAMERA is off {said}" if config is not None else
         "camera embedding: NOT applied, its factor SIE_COE is in no checkpoint; give config="),
        (r"BACKBONE\.base\..*\.adapter_ffn\.", f"adapter: ADAPTER is off {said}" if not given.adapter else _STRANGE),
        (r"BACKBONE\.base\..*\.0\.adapter_transfer\.", "prompts: nothing comes into the first block to be transferred"
         if given.prompt else f"prompts: PROMPT is off {said}"),
        (r"BACKBONE\.base\..*\.adapter_", f"prompts: PROMPT is off {said}" if not given.prompt else _STRANGE),
        (re.escape(HOST_MIXTURE) + r"multi_scale_extractor\.fusion\.", "stored by the mixture, never read"),
        (re.escape(HOST_MIXTURE), "mixture of experts: not in use"),
        (re.escape(HOST_WINDOWS), "multi-scale windows: not in use"),
    )  # fmt: skip
    return next((why for pattern, why in rules if re.match(pattern, key)), _STRANGE)


def _plain_tower(full: State, path: Path, image_size: tuple[int, int] | None, arch: str | None) -> Tower:
    """CLIP's own tower out of a host checkpoint that nothing else was trained in."""
    _refuse_trained_parts(full, path)
    own = {key: value for key, value in _base(full).items() if ".adapter_" not in key}
    state = {f"visual.{k}": v.float() if v.is_floating_point() else v for k, v in own.items()}
    architecture = architecture_of(state, arch)
    quick, assumed = activation(architecture, arch, known_quick=True)
    size = image_size or HOST_SIZE
    clip, positions = built({**architecture, "quick_gelu": quick}, state, size, source=_own_grid(state, size))
    report = _report(full, path, [_BASE + key for key in own], None, clip)
    notes = (*assumed, *_notes(report, full, None))
    return Tower(
        clip, f"host-model checkpoint {path.name}", size, (0.5,) * 3, (0.5,) * 3, gelu(quick), positions,
        state=_addon_state(full), has_text=False, notes=notes, report=report,
    )  # fmt: skip


def _configured_tower(full: State, path: Path, config: HostConfig) -> Tower:
    base = _base(full)
    cameras = (_n_cameras(full, path), config.sie_coe) if config.sie_camera else ()
    parts = HostParts(config.stride_size, config.prompt, config.adapter, *cameras)
    clip = _empty_clip(base, config, parts)
    files = {key: _CAMERAS if key == "cv_embed" else _BASE + key for key in clip.visual.state_dict()}
    tensors = {own: full[key] for own, key in files.items() if key in full}
    rule = f"a host checkpoint must fit its configuration, {config.source}, key by key: in {path.name}"
    wanted = {files[own]: value.shape for own, value in clip.visual.state_dict().items()}
    strange = [_BASE + key for key in base if key not in files and ".adapter_" not in key]
    checked_fit(wanted, full, rule, unexpected=strange)
    clip.visual.load_state_dict(tensors)
    neck = _neck(full, path, clip.visual.proj.shape[1]) if config.neck_feat == "after" else None
    used = [key for key in files.values() if not re.match(r".*\.0\.adapter_transfer\.", key)]
    used += [_NECK + name for name in _NECK_KEYS if neck is not None]
    report = _report(full, path, used, config, clip)
    rows, cols = config.grid
    return Tower(
        clip.eval(), f"host-model checkpoint {path.name}", config.size_test, config.pixel_mean, config.pixel_std,
        "QuickGELU", f"{rows}x{cols}, as stored", state=_addon_state(full), has_text=False,
        notes=_notes(report, full, config), first_camera=config.first_camera, report=report, config=config,
        readout=None if neck is None else Readout(neck),
    )  # fmt: skip


def _empty_clip(base: State, config: HostConfig, parts: HostParts) -> open_clip.CLIP:
    """open_clip's model of the file's width and depth with the host's tower in it; still without weights."""
    own = {f"visual.{key}": value for key, value in base.items() if ".adapter_" not in key}
    architecture = architecture_of(own, None)
    rows, cols = config.grid
    width = architecture["vision_cfg"]["width"]
    if width % 64:
        raise WeightsError(f"heads are 64 wide: a tower {width} wide has no whole number of them")
    vision = {
        **architecture["vision_cfg"],
        "head_width": 64,
        "patch_size": 16,
        "image_size": [16 * rows, 16 * cols],
    }
    clip = open_clip.CLIP(**{**architecture, "vision_cfg": vision, "quick_gelu": True})
    without_text(clip)
    is_plain = parts == HostParts() and config.size_test == (16 * rows, 16 * cols)
    if not is_plain:  # without any part open_clip's own tower runs, bit for bit
        clip.visual = HostTower(clip.visual, config.grid, parts)
    return clip


def _base(full: State) -> dict[str, torch.Tensor]:
    return {key.removeprefix(_BASE): value for key, value in full.items() if key.startswith(_BASE)}


def _addon_state(full: State) -> dict[str, torch.Tensor]:
    return {key: value for key, value in full.items() if key.startswith((HOST_WINDOWS, HOST_MIXTURE))}


def _own_grid(state: State, size: tuple[int, int]) -> tuple[int, int] | None:
    """A trained host file holds positions for its own input: the asked-for grid wherever the count fits."""
    patch = state["visual.conv1.weight"].shape[2]
    target = (size[0] // patch, size[1] // patch)
    return target if target[0] * target[1] == len(state[POSITIONS]) - 1 else None


def _n_cameras(full: State, path: Path) -> int:
    table = full.get(_CAMERAS)
    if table is None or table.ndim != 2 or len(table) == 0:
        got = "none" if table is None else f"one of shape {tuple(table.shape)}"
        raise WeightsError(
            f"SIE_CAMERA is on, so the file must hold a table {_CAMERAS} [cameras, W]: {path} has {got}; take the "
            "configuration of the same run"
        )
    return len(table)


def _neck(full: State, path: Path, dim: int) -> torch.nn.BatchNorm1d:
    neck = torch.nn.BatchNorm1d(dim).eval().requires_grad_(False)
    rule = f"NECK_FEAT is after, so the file must hold the BatchNorm behind the tower: in {path.name}"
    checked_fit({_NECK + name: (dim,) for name in _NECK_KEYS}, full, rule)
    neck.load_state_dict({name: full[_NECK + name] for name in _NECK_KEYS}, strict=False)
    if bool((neck.running_var < 0).any()):
        raise WeightsError(
            f"a variance is at least 0: {_NECK}running_var of {path.name} is not; copy it again"
        )
    return neck


def _refuse_trained_parts(full: State, path: Path) -> None:
    """Whether prompts and adapters were on is in no file: refuse where training has left its mark on them."""
    marks = {
        "PROMPT": r".*\.adapter_prompt_(rgb|nir|tir)$",
        "ADAPTER": r".*\.adapter_ffn\.\d+\.bias$",
    }
    moved = [
        name
        for name, pattern in marks.items()
        if any(
            re.match(pattern, key) and bool((value != 0).any()) for key, value in full.items() if _BASE in key
        )
    ]
    if moved:
        raise WeightsError(
            f"a file cannot tell whether {' and '.join(moved)} was on, and these tensors of {path.name} are not zero, "
            f"as training leaves them: {_HOW}; HostConfig(prompt=False, adapter=False) opens the bare tower"
        )


def _report(
    full: State, path: Path, used: list[str], config: HostConfig | None, clip: open_clip.CLIP
) -> LoadReport:
    taken = set(used)
    unused = {key: unused_reason(key, config) for key in full if key not in taken}
    return LoadReport(path.name, tuple(key for key in full if key in taken), unused, text_keys(clip))


def _notes(report: LoadReport, full: State, config: HostConfig | None) -> tuple[str, ...]:
    """What is to be said aloud."""
    reasons, notes = report.reasons, []
    if MAMBA_REASON in reasons:
        notes.append(
            "the checkpoint's Mamba aggregation (AAM.*) is NOT applied: it needs CUDA-only code; features are "
            "those of each modality, before it"
        )
    if config is None:
        if any(".adapter_" in key for key in full):
            notes.append(
                "prompts and adapter biases in the file are all zero, so both are taken as off; if the run had them "
                f"on, {_HOW}"
            )
        if _CAMERAS in full:
            notes.append(
                "the checkpoint's camera embedding is NOT applied: its factor is in no checkpoint; give config="
            )
        if any(key.startswith(HOST_MIXTURE) for key in full):
            notes.append("MOE_TEMPERATURE is in no checkpoint: 1 is assumed; give config=")
    elif config.unknown:
        notes.append(
            f"keys of {config.source} that are not known, and have no effect: {', '.join(config.unknown)}"
        )
    if config is not None and config.addon_kind == "none" and _addon_state(full):
        notes.append(
            "the file holds a multi-scale add-on that USE_CLIP_MULTI_SCALE, off in the configuration, leaves out"
        )
    if config is not None and config.flops_test and config.sie_camera:
        notes.append(
            "FLOPS_TEST is on: the host reads camera 0 for every image; here the camera given is read"
        )
    if strange := reasons.get(_STRANGE):
        notes.append(f"{len(strange)} keys are of no published model and not used: {', '.join(strange[:4])}")
    return tuple(notes)


def _check_agreement(addon: torch.nn.Module, config: HostConfig, weights: str) -> None:
    """Sizes that the configuration gives must be those of the file."""
    is_mixture = isinstance(addon, MixtureOfExpertsAddon)
    given = {"CLIP_MULTI_SCALE_SCALES": (config.clip_multi_scale_scales, addon.scales)}
    if is_mixture:
        fusion = addon.moe_fusion
        found = (len(fusion.experts[0].expert[0].weight), len(fusion.experts[0].expert) // 4)
        given = {
            "MOE_SCALES": (config.moe_scales, addon.scales),
            "MOE_EXPERT_LAYERS": (config.moe_expert_layers, found[1]),
            "MOE_GATE_LAYERS": (config.moe_gate_layers, len(fusion.gating_network.gate) // 4 + 1),
        }
        if found[1] > 1:  # a single layer has no hidden width
            given["MOE_EXPERT_HIDDEN_DIM"] = (config.moe_expert_hidden_dim, found[0])
    wrong = [
        f"{key} {want} against {have}" for key, (want, have) in given.items() if want not in (None, have)
    ]
    if wrong:
        raise WeightsError(
            f"{config.source} and {weights} must be of one run: {'; '.join(wrong)} in the file; take the "
            "configuration of this checkpoint"
        )
