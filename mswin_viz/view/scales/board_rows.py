"""From a result to the pictures of a board."""

from __future__ import annotations

from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow


def board_rows(result: ExplorerResult, *, has_free_means: bool = False) -> list[BoardRow]:
    """The pictures; with ``has_free_means`` also what the browser needs to compute plain window means itself."""
    nothing = [None] * len(result.names)
    patches = result.subject.patches if has_free_means else nothing
    directions = result.subject.direction if has_free_means else nothing
    pngs = [picture.png for picture in result.pictures]
    return list(map(BoardRow, result.names, pngs, patches, directions))
