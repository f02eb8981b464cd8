"""The ranked lists of the retrieval view: made with the first table, then kept and filled anew."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.retrieval.pair_work import Pair
from mswin_viz.view.widgets.guarded import Guard, show_as_out_of_date


class RankedLists(widgets.VBox):
    """Holds the strip of a query's results, None until there is a table; ``clicked()`` is called when one is chosen."""

    def __init__(self, *, has_addon: bool, clicked: Callable[[], None], guarded: Guard) -> None:
        self._has_addon = has_addon
        self._clicked, self._guarded = clicked, guarded
        self.strip: NeighbourStrip | None = None
        super().__init__()

    @property
    def results(self) -> dict[str, Neighbours]:
        """The records behind the lists, by feature; empty where there are none."""
        return {} if self.strip is None else dict(self.strip.results)

    @property
    def pair(self) -> Pair | None:
        """The query and the result that was clicked."""
        strip = self.strip
        return None if strip is None or strip.clicked < 0 else (strip.table, strip.row, strip.clicked)

    def show(self, table: EmbeddingTable, row: int, *, k: int, rule: str) -> None:
        """Show the results of one row."""
        if self.strip is None:
            self.strip = NeighbourStrip(table, has_addon=self._has_addon, row=row, k=k, rule=rule)
            guarded = self._guarded("splitting a similarity")
            self.strip.observe(guarded(lambda _change: self._clicked()), "clicked")
            self.children = [self.strip]
            return
        self.strip.show(table, row, k=k, rule=rule)

    def mark(self, *, is_old: bool) -> None:
        """Mark the lists as out of date, or take the mark away."""
        show_as_out_of_date(self, is_old and self.strip is not None)
