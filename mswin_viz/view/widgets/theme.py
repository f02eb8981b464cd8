"""Whether the page around a widget is dark; nothing is drawn. Its style lends the page's colours to the maps' toolbars."""

from __future__ import annotations

import anywidget
import traitlets

from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.lifetime import close_view


class ThemeProbe(anywidget.AnyWidget):
    """Put it anywhere in a view; the browser sets its one trait, and sets it again when the theme changes.

    Attributes
    ----------
    is_dark
        False until the browser says otherwise.
    """

    _esm = script("theme")
    _css = style("theme")

    is_dark = traitlets.Bool(False).tag(sync=True)

    def close(self) -> None:
        """Close it with its layout."""
        close_view(self)
