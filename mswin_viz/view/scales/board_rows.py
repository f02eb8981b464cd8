"""From what is shown to the pictures of a board."""

from __future__ import annotations

from mswin_viz.view.page.page_images import page_picture
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.board import BoardRow


def board_rows(shown: ShownResults, *, is_small: bool = False) -> list[BoardRow]:
    """The pictures, as they are or as small files."""
    return [
        BoardRow(
            row.name,
            page_picture(row.picture.shown) if is_small else row.picture.png,
            group=row.image,
            is_difference=row.model is None,
        )
        for row in shown.rows
    ]
