"""From a result to the pictures of a board."""

from __future__ import annotations

from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow


def board_rows(result: ExplorerResult) -> list[BoardRow]:
    """The pictures."""
    return [BoardRow(name, picture.png) for name, picture in zip(result.names, result.pictures, strict=True)]
