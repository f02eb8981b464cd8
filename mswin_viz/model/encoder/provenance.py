"""Which weights, input and normalisation a tower works with, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mswin_viz.data.images.deep_images import rule_words
from mswin_viz.model.encoder.image_tower import image_tower
from mswin_viz.model.encoder.preprocessing import resizing_words
from mswin_viz.model.host.tower import HostTower
from mswin_viz.model.weights.clip_towers import Tower


def metric_of(tower: Tower) -> str:
    """How retrieval compares features: ``"cosine"``, or ``"euclidean"`` of raw features as a host may (FEAT_NORM)."""
    return "cosine" if tower.config is None or tower.config.feat_norm else "euclidean"


def tower_items(tower: Tower, *, addon: str, device: str) -> dict[str, str]:
    """What is in use; name -> words. ``addon`` says where the add-on comes from, ``device`` where the tower runs."""
    (height, width), (rows, cols) = tower.image_size, image_tower(tower.clip).grid_size
    items = {
        "weights": tower.weights,
        "add-on": addon,
        "activation": tower.activation,
        "input": f"{height}x{width} (height x width), grid {rows}x{cols}, {resizing_words(tower)}",
        "positions": tower.positions,
        "normalisation": f"mean {_numbers(tower.mean)}, std {_numbers(tower.std)}",
        "above 8 bits": rule_words(tower.thermal_range),
        "device": device,
    }
    if isinstance(tower.clip.visual, HostTower):
        items["host parts"] = tower.clip.visual.parts.words
    if tower.readout is not None:
        items |= tower.readout.words
    if tower.config is not None:
        items["configuration"] = tower.config.words
    if metric_of(tower) != "cosine":
        items["ranking"] = "FEAT_NORM no: by the Euclidean distance of features that are not normalised"
    if tower.report is not None:
        items["file"] = tower.report.summary
    if tower.notes:
        items["note"] = "; ".join(tower.notes)
    return items


def _numbers(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else " ".join(f"{value:.3f}" for value in values)
