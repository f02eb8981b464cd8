"""The choice of the query: a search, the menu of the queries it finds, and steps through them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mswin_viz.data.sample import Sample
from mswin_viz.view.retrieval.controls import RetrievalControls
from mswin_viz.view.retrieval.query_choice import matching, query_name
from mswin_viz.view.widgets.guarded import Guard

_MOST_LISTED = 600  # queries in the menu at once; a search narrows them down


@dataclass(frozen=True, eq=False)
class QueryMenu:
    """The controls that choose the query, and their owner, whose trait ``query`` is its position among all samples."""

    owner: Any
    controls: RetrievalControls
    samples: Sequence[Sample]
    guarded: Guard
    _is_filling: threading.Event = field(default_factory=threading.Event, repr=False)

    def observe(self) -> None:
        """From now on, follow the controls."""
        c, guarded = self.controls, self.guarded
        c.search.observe(guarded("searching")(lambda change: self.find(change["new"])), "value")
        c.query.observe(guarded("choosing a query")(lambda change: self._on_listed(change["new"])), "value")
        c.previous.on_click(guarded("going to the previous query")(lambda _: self._step(-1)))
        c.following.on_click(guarded("going to the next query")(lambda _: self._step(1)))

    def find(self, search: str) -> None:
        """List the queries that a search finds; choose the first of them if the present one is not among them."""
        positions = queries(self.samples, search)
        if not positions:
            self.controls.count.value = "no query matches"
            return
        if self.owner.query not in positions:
            self.owner.query = positions[0]
        self._fill(positions)

    def show(self) -> None:
        """Choose the query in the menu, and list it if it is not there."""
        if self.controls.query.value != self.owner.query:
            self._fill([position for _, position in self.controls.query.options])

    def _fill(self, positions: Sequence[int]) -> None:
        shown, menu = list(positions[:_MOST_LISTED]), self.controls.query
        if self.owner.query not in shown:
            shown.insert(0, self.owner.query)
        self._is_filling.set()  # new options choose the first of them
        try:
            menu.options = [(query_name(self.samples[i]), i) for i in shown]
            menu.value = self.owner.query
        finally:
            self._is_filling.clear()
        n = len(positions)
        self.controls.count.value = f"first {_MOST_LISTED} of {n}" if n > _MOST_LISTED else f"{n} queries"

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
