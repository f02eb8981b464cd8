"""One page of findings in the browser: pictures, words and the images that show them; a click chooses."""

from __future__ import annotations

import anywidget
import traitlets

from mswin_viz.data.shown_text import counted
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.lifetime import ClosedWhole


class FindingList(ClosedWhole, anywidget.AnyWidget):
    """Items of one page; the traits are the whole state.

    ``selected`` has the numbers of the findings that are chosen, which need not be on this page.
    """

    _esm = script("findings")
    _css = style("list_box", "findings")

    items = traitlets.List(traitlets.Dict()).tag(sync=True)
    pictures = traitlets.List(traitlets.Bytes()).tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)  # in place of the list where it is empty

    def __repr__(self) -> str:
        return f"FindingList({counted(len(self.items), 'items')}, {len(self.selected)} chosen)"

    def release(self) -> None:
        """Release the pictures."""
        self.items, self.pictures = [], []
