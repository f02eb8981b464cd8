"""The style that marks what is out of date, for a view without a board of heatmaps (the board has it)."""

from __future__ import annotations

import anywidget

from mswin_viz.view.widgets.assets import style
from mswin_viz.view.widgets.lifetime import close_view


class MarkStyle(anywidget.AnyWidget):
    """Put anywhere in a view; nothing is drawn."""

    _esm = "export default { render() {} };"
    _css = style("marks")

    def close(self) -> None:
        """Close it with its layout."""
        close_view(self)
