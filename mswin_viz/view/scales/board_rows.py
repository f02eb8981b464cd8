"""From what is shown to the pictures of a board, and the panels of it that can be pinned."""

from __future__ import annotations

from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.board import BoardRow


def pinnable_keys(shown: ShownResults) -> list[str]:
    """Panels whose windows can be inspected, in a model at least."""
    every = {key for result in shown.results for key in pinnable_in(result.view)}
    return [panel.key for panel in shown.panels if panel.key in every]


def pinnable_in(view: ScaleView) -> list[str]:
    """Those of one model: a fusion reads their windows, or would were their slot on."""
    return [panel.key for panel in view.panels if panel.key in view.places or panel.key.startswith("scale-")]


def board_rows(shown: ShownResults) -> list[BoardRow]:
    """The pictures."""
    return [
        BoardRow(row.name, row.picture.png, group=row.image, is_difference=row.model is None)
        for row in shown.rows
    ]
