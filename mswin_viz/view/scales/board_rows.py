"""From what is shown to the pictures of a board, and the panels of it that can be pinned."""

from __future__ import annotations

from mswin_viz.analysis.scales.token_panels import PATCH_PANELS
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.view.page.page_images import page_picture
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.board import BoardRow


def pinnable_keys(shown: ShownResults) -> list[str]:
    """Panels whose windows or patches can be inspected, in a model at least."""
    every = {key for result in shown.results for key in pinnable_in(result.view)}
    return [panel.key for panel in shown.panels if panel.key in every]


def pinnable_in(view: ScaleView) -> list[str]:
    """Those of one model: what a fusion reads, or would read were their slot on."""
    patches = () if view.patch_slots is None else PATCH_PANELS
    keys = [panel.key for panel in view.panels]
    return [key for key in keys if key in view.places or key in patches or key.startswith("scale-")]


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
