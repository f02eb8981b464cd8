"""From a result to the pictures of a board, and the panels of it that can be pinned."""

from __future__ import annotations

from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow


def pinnable_keys(view: ScaleView) -> list[str]:
    """Panels whose windows can be inspected: those that a fusion reads, or would read were their slot on."""
    return [panel.key for panel in view.panels if panel.key in view.places or panel.key.startswith("scale-")]


def board_rows(result: ExplorerResult, *, has_free_means: bool = False) -> list[BoardRow]:
    """The pictures; with ``has_free_means`` also what the browser needs to compute plain window means itself."""
    nothing = [None] * len(result.names)
    tokens = result.subject.seen_values if has_free_means else nothing
    along = result.subject.live_direction if has_free_means else None
    directions = nothing if along is None else along
    pngs = [picture.png for picture in result.pictures]
    return list(map(BoardRow, result.names, pngs, tokens, directions))
