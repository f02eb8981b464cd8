"""The ranked lists of the retrieval view: made with the first features, then kept and filled anew."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.retrieval.pair_work import Pair
from mswin_viz.view.widgets.guarded import Guard, show_as_out_of_date


class RankedLists(widgets.VBox):
    """Holds the strip of a query's results, None until there are features; ``clicked()`` is called when one is chosen."""

    def __init__(self, *, clicked: Callable[[], None], guarded: Guard) -> None:
        self._clicked, self._guarded = clicked, guarded
        self.strip: NeighbourStrip | None = None
        super().__init__()

    @property
    def results(self) -> dict[str, Neighbours]:
        """The records behind the lists, by list; empty where there are none."""
        return {} if self.strip is None else dict(self.strip.results)

    @property
    def is_chosen(self) -> bool:
        """Whether a result was clicked."""
        return self.strip is not None and self.strip.clicked >= 0

    def pair(self, name: str) -> Pair | None:
        """The query and the result that was clicked, in the table of a list."""
        strip = self.strip
        if strip is None or strip.clicked < 0:
            return None
        table, _ = strip.rows.lists_of.of[name]
        return table, strip.row, strip.clicked

    def show(self, lists: NamedFeatures, row: int, *, k: int, rule: str) -> None:
        """Show the results of one row."""
        if self.strip is None:
            self.strip = NeighbourStrip(lists, row=row, k=k, rule=rule)
            guarded = self._guarded("splitting a similarity")
            self.strip.observe(guarded(lambda _change: self._clicked()), "clicked")
            self.children = [self.strip]
            return
        self.strip.show(lists, row, k=k, rule=rule)

    def mark(self, *, is_old: bool) -> None:
        """Mark the lists as out of date, or take the mark away."""
        show_as_out_of_date(self, is_old and self.strip is not None)
