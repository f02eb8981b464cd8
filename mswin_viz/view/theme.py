"""Whether the page around a widget is dark; nothing is drawn."""

from __future__ import annotations

import anywidget
import traitlets

from mswin_viz.view.heatmap import bundled

__all__ = ["ThemeProbe"]


class ThemeProbe(anywidget.AnyWidget):
    """Put beside what needs to know; the browser sets its one trait, and again when the theme changes.

    Attributes
    ----------
    is_dark
        False until the browser says otherwise.
    """

    _esm = bundled("theme")

    is_dark = traitlets.Bool(False).tag(sync=True)
