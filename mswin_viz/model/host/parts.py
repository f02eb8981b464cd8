"""What a host checkpoint holds beside its tower: the camera rows of its table, and the layers behind the tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import WeightsError
from mswin_viz.model.host.blocks import HostParts
from mswin_viz.model.tokens.readout import Readout, modality_head
from mswin_viz.model.weights.host_config import HostConfig
from mswin_viz.model.weights.load_report import checked_fit

State = Mapping[str, torch.Tensor]
CAMERAS = "BACKBONE.cv_embed"
"""Key of the camera table."""
HEAD_NAMES = ("rgb_reduce.", "nir_reduce.", "tir_reduce.")
"""Heads of the modalities, in the order of ``MODALITIES``."""
_BASE, _NECK = "BACKBONE.base.", "BACKBONE.bottleneck."
_NECK_KEYS = ("weight", "bias", "running_mean", "running_var")


def host_parts(full: State, config: HostConfig, table: torch.Tensor | None) -> HostParts:
    """What the tower of a configuration has beside CLIP's own, with the sizes that the file says."""
    first = full.get(f"{_BASE}transformer.resblocks.0.adapter_ffn.0.weight")
    inner = len(first) if config.adapter and first is not None and first.ndim == 2 else None
    return HostParts(
        stride=config.stride_size,
        has_prompts=bool(config.prompt),
        has_adapters=bool(config.adapter),
        n_cameras=0 if table is None else len(table),
        sie_coe=1.0 if table is None else config.sie_coe,
        adapter_width=inner or None,
        has_heads=config.global_local,
        leading_token=config.token if config.add_share else None,
    )


class HostReadout(NamedTuple):
    """The module between the tower's tokens and the feature, None for a tower without one, and its keys."""

    module: Readout | None
    keys: tuple[str, ...]


class CameraTable(NamedTuple):
    """The rows ``[cameras, W]`` of the camera table that are cameras (None: no table), and a note on the others."""

    rows: torch.Tensor | None
    notes: tuple[str, ...] = ()


def host_readout(full: State, path: Path, config: HostConfig, dim: int) -> HostReadout:
    """The neck or the heads of a checkpoint, as its configuration has them on."""
    if config.has_neck:
        return HostReadout(Readout(_neck(full, path, dim)), tuple(_NECK + name for name in _NECK_KEYS))
    if not config.global_local:
        return HostReadout(None, ())
    heads, keys = [], []
    rule = f"GLOBAL_LOCAL is on, so the file must hold a head for each modality: in {path.name}"
    for prefix in HEAD_NAMES:
        head = modality_head(dim).eval().requires_grad_(False)
        shapes = {prefix + name: value.shape for name, value in head.state_dict().items()}
        checked_fit(shapes, full, rule)
        head.load_state_dict({key.removeprefix(prefix): full[key] for key in shapes})
        heads.append(head)
        keys += shapes
    return HostReadout(Readout(heads=heads), tuple(keys))


def camera_table(full: State, path: Path, config: HostConfig) -> CameraTable:
    """The rows of the camera table that are cameras.

    MambaPro stores the table as ``[rows, W]``, DeMo and MDReID as ``[rows, 1, W]``. One built with views has a row for
    each pair of camera and view; the host reads only the first ``cameras`` rows.
    """
    if not config.sie_camera:
        return CameraTable(None)
    table = full.get(CAMERAS)
    if table is None or table.ndim not in (2, 3) or len(table) == 0 or table.shape[1:-1] not in ((), (1,)):
        got = "none" if table is None else f"one of shape {tuple(table.shape)}"
        raise WeightsError(
            f"SIE_CAMERA is on, so the file must hold a table {CAMERAS}, [cameras, W] or [cameras, 1, W]: {path} has "
            f"{got}; take a configuration in which SIE_CAMERA is as it was in the run"
        )
    table = table.flatten(0, 1) if table.ndim == 3 else table
    known, rows = config.cameras, len(table)
    if (config.n_cameras or 0) > rows:
        raise WeightsError(
            f"n_cameras= is at most the rows of the camera table, {rows} in {path.name}: got {config.n_cameras}"
        )
    if known == rows or (config.n_cameras is None and not config.sie_view):
        return CameraTable(table)
    if known is None or known > rows:
        note = (
            f"SIE_VIEW is on: the camera table has {counted(rows, 'rows')}, and nothing says which of them are cameras; all are "
            "taken as cameras, in the mean camera too. Give n_cameras= of HostConfig"
        )
        return CameraTable(table, (note,))
    note = (
        f"the first {known} of the {counted(rows, 'rows')} of the camera table are cameras; the host never reads the others, "
        "and they are left out of the mean camera"
    )
    return CameraTable(table[:known], (note,))


def _neck(full: State, path: Path, dim: int) -> torch.nn.BatchNorm1d:
    neck = torch.nn.BatchNorm1d(dim).eval().requires_grad_(False)
    rule = f"NECK_FEAT is after, so the file must hold the BatchNorm behind the tower: in {path.name}"
    checked_fit({_NECK + name: (dim,) for name in _NECK_KEYS}, full, rule)
    neck.load_state_dict({name: full[_NECK + name] for name in _NECK_KEYS}, strict=False)
    if bool((full[f"{_NECK}running_var"] < 0).any()):
        raise WeightsError(
            f"a variance must be at least 0: {_NECK}running_var of {path.name} has a negative value; copy it again"
        )
    return neck
