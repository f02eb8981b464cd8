"""The choice of the query: a search, an order, the menu of the queries found, and steps through them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mswin_viz.analysis.embeddings.query_order import AS_LISTED, order_parts
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.view.parts.tag_bar import Keep, Shown
from mswin_viz.view.retrieval.controls import RetrievalControls
from mswin_viz.view.retrieval.query_choice import matching, query_name
from mswin_viz.view.retrieval.query_sorting import EXPLAINED, QuerySorting
from mswin_viz.view.widgets.guarded import Guard

_MOST_LISTED = 600  # queries in the menu at once; a search narrows them down


@dataclass(eq=False)
class QueryMenu:
    """The controls that choose the query, and their owner, whose trait ``query`` is its position among all samples."""

    owner: Any
    controls: RetrievalControls
    samples: Sequence[Sample]
    sorting: QuerySorting
    guarded: Guard
    _keep: Keep | None = field(default=None, repr=False)
    _found: Sequence[int] = field(default_factory=list, repr=False)
    _shown: tuple[object, ...] = field(default=(), repr=False)  # key of the order that the menu is in
    _is_filling: threading.Event = field(default_factory=threading.Event, repr=False)

    def observe(self) -> None:
        """From now on, follow the controls."""
        c, guarded = self.controls, self.guarded
        c.search.observe(guarded("searching")(lambda change: self.find(change["new"])), "value")
        c.query.observe(guarded("choosing a query")(lambda change: self._on_listed(change["new"])), "value")
        c.previous.on_click(guarded("going to the previous query")(lambda _: self._step(-1)))
        c.following.on_click(guarded("going to the next query")(lambda _: self._step(1)))

    def keep_only(self, keep: Keep | None) -> Shown:
        """List only the queries of samples that are kept, or all again; how many of all these are."""
        if keep is not self._keep:
            self._keep = keep
            self.find(self.controls.search.value)
        every = queries(self.samples)
        n_kept = len(every) if keep is None else sum(keep(self.samples[at]) for at in every)
        return n_kept, len(every), "queries"

    def find(self, search: str) -> None:
        """List the queries that a search finds; choose the first of them if the present one is not among them."""
        keep = self._keep
        positions = [at for at in queries(self.samples, search) if keep is None or keep(self.samples[at])]
        if not positions:
            self.controls.count.value = "no query matches"
            return
        self._found = positions
        listed = self.sorting.sorted(positions)
        if self.owner.query not in positions:
            self.owner.query = listed[0]
        self._fill(listed)

    def sort(self) -> None:
        """List the queries in the present order, and choose the first of them."""
        listed = self.sorting.sorted(self._found)
        if listed and self.sorting.now() is not None:
            self.owner.query = listed[0]
        self._fill(listed)

    def show(self) -> None:
        """Choose the query in the menu, and list it if it is not there; list all anew where their order has changed."""
        if self._shown != self.sorting.key:
            self._fill(self.sorting.sorted(self._found))
        elif self.controls.query.value != self.owner.query:
            self._fill([position for _, position in self.controls.query.options])

    def _fill(self, positions: Sequence[int]) -> None:
        shown, menu, now = list(positions[:_MOST_LISTED]), self.controls.query, self.sorting.now()
        if self.owner.query not in shown:
            shown.insert(0, self.owner.query)
        names = {at: query_name(self.samples[at]) for at in shown}
        if now is not None:
            names = {at: f"{now.words(at)} | {name}" for at, name in names.items()}
        self._is_filling.set()  # new options choose the first of them
        try:
            menu.options = [(names[at], at) for at in shown]
            menu.value = self.owner.query
        finally:
            self._is_filling.clear()
        self._shown = self.sorting.key
        n = len(self._found)
        self.controls.count.value = (
            f"first {_MOST_LISTED} of {n}" if n > _MOST_LISTED else counted(n, "queries")
        )
        self._explain(is_sorted=now is not None)

    def _explain(self, *, is_sorted: bool) -> None:
        order = self.owner.order
        words = EXPLAINED[order_parts(order)[0]] if is_sorted else ""
        if order != AS_LISTED and not is_sorted:
            words = "Not in this order yet: not all queries are ranked; press the button below."
        self.controls.order_note.value = words

    def _on_listed(self, position: int | None) -> None:
        if position is not None and not self._is_filling.is_set():
            self.owner.query = position

    def _step(self, by: int) -> None:
        listed = [position for _, position in self.controls.query.options]
        place = listed.index(self.owner.query) if self.owner.query in listed else -1
        self.owner.query = listed[max(0, min(len(listed) - 1, place + by))]


def queries(samples: Sequence[Sample], search: str = "") -> list[int]:
    """Positions of the samples that a search finds and that may be queries: all but the gallery."""
    return [i for i in matching(samples, search) if samples[i].split != "gallery"]
