"""From a result to the pictures of a board, and the panels of it that can be pinned."""

from __future__ import annotations

from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow


def pinnable_keys(view: ScaleView) -> list[str]:
    """Panels whose windows can be inspected: those that a fusion reads, or would read were their slot on."""
    return [panel.key for panel in view.panels if panel.key in view.places or panel.key.startswith("scale-")]


def board_rows(result: ExplorerResult) -> list[BoardRow]:
    """The pictures."""
    return [BoardRow(name, picture.png) for name, picture in zip(result.names, result.pictures, strict=True)]
