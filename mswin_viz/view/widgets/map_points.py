"""From a view of embeddings to the points of the maps: words for the tooltip, and colours."""

from __future__ import annotations

import numpy as np

from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.errors import OptionError
from mswin_viz.view.widgets.labels import COLOURS
from mswin_viz.view.widgets.map_colours import Colouring, by_category, by_value
from mswin_viz.view.widgets.map_places import MapPoints


def map_colouring(view: EmbeddingView, by: str) -> Colouring:
    """Colours of the rows of a view, by one of :data:`mswin_viz.view.widgets.labels.COLOURS`."""
    if by not in COLOURS:
        raise OptionError(f"points can be coloured by {', '.join(COLOURS)}: got {by!r}")
    table = view.table
    if by == "modality":
        order = tuple(map(modality_words, table.modalities))
        return by_category(list(map(modality_words, table.modality)), order=order)
    if by in ("identity", "camera"):
        numbers, name = (table.pid, identity_name) if by == "identity" else (table.camid, camera_name)
        order = dict.fromkeys(name(n) for n in np.unique(numbers))
        return by_category([name(n) for n in numbers], order=tuple(order))
    return by_value(getattr(view, by), signed=by == "ap_change")


def map_points(view: EmbeddingView) -> MapPoints:
    """What the maps show of the rows of a view."""
    table = view.table
    pairs = zip(view.plain_ap, view.enhanced_ap, strict=True)
    words = {
        "identity": [identity_name(pid) for pid in table.pid],
        "camera": [camera_name(camid) for camid in table.camid],
        "modality": list(map(modality_words, table.modality)),
        "AP": [f"{a:.2f} → {b:.2f}" if np.isfinite([a, b]).all() else "no match" for a, b in pairs],
        "neighbours kept": [f"{part:.0%}" if np.isfinite(part) else "-" for part in view.overlap],
    }
    return MapPoints(view.projection.plain, view.projection.enhanced, words, table.feature_names)


def identity_name(pid: int) -> str:
    """An identity in words."""
    return f"{pid}" if pid >= 0 else "unknown"


def camera_name(camid: int) -> str:
    """A camera in words."""
    return f"camera {camid}" if camid >= 0 else "unknown"
