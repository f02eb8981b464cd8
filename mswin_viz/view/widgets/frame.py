"""What every view has in the page: keys of its own, names for screen readers, marks, and a word when the kernel is gone."""

from __future__ import annotations

import anywidget

from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.lifetime import ClosedWhole

VIEW = "mswin-view"
"""The class of a view's root, inside which a frame stands."""


class Frame(ClosedWhole, anywidget.AnyWidget):
    """Nothing is drawn until the kernel dies, restarts or is shut down; then it says so."""

    _esm = script("frame")
    _css = style("marks", "frame")
