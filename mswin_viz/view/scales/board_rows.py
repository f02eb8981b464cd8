"""From a result to the pictures of a board, and the panels of it that can be pinned."""

from __future__ import annotations

from mswin_viz.analysis.scales.token_panels import PATCH_PANELS
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow


def pinnable_keys(view: ScaleView) -> list[str]:
    """Panels whose windows or patches can be inspected: what a fusion reads, or would read were their slot on."""
    patches = () if view.patch_slots is None else PATCH_PANELS
    keys = [panel.key for panel in view.panels]
    return [key for key in keys if key in view.places or key in patches or key.startswith("scale-")]


def board_rows(result: ExplorerResult) -> list[BoardRow]:
    """The pictures."""
    return [BoardRow(name, picture.png) for name, picture in zip(result.names, result.pictures, strict=True)]
