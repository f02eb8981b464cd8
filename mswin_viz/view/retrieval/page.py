"""The retrieval view as a page: its first queries, ranked by every modality under every rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.query_order import AS_LISTED
from mswin_viz.data.progress import Stop, unheard
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import n_of
from mswin_viz.errors import MswinVizError, OptionError, StoppedError
from mswin_viz.view.page.page_images import (
    chosen_images,
    folderless,
    placeless_failures,
    shown_error,
    without_folders,
)
from mswin_viz.view.page.page_plan import PageAnswer, PagePlan, PageTable, Traits, menu_choice, menu_values
from mswin_viz.view.parts.html import failure_words
from mswin_viz.view.parts.neighbour_rows import NeighbourRows
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.retrieval.controls import RetrievalControls
from mswin_viz.view.retrieval.query_menu import queries
from mswin_viz.view.retrieval.ranked_words import missing_words, summary_html
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.widgets.guarded import problem_words
from mswin_viz.view.widgets.markup import Html, fragment, message_html, text_of

_WORKS = (
    "Works without a kernel: the menu of queries, modality and matching rule. A click marks a result. The summary is of all "
    "queries, not of those in this page alone."
)
_FIXED = (
    "Fixed at {k} results in each list{order}. The search, the order, the jumps to the worst and most changed queries, the window shares of a "
    "result and the figure need the live view."
)
_PART = 4
_NO_RESULTS: Traits = {"query": {}, "lists": [], "pictures": {}, "message": "", "clicked": -1}


@dataclass(frozen=True, eq=False)
class RetrievalPage:
    """Makes the plan of a retrieval view's page, and its answers, from the view's parts.

    ``root`` is the view, ``hidden`` what is left out of it.
    """

    root: widgets.Widget
    samples: Sequence[Sample]
    rankings: Rankings
    controls: RetrievalControls
    html: Mapping[str, Html]
    hidden: Sequence[widgets.Widget]
    _rows: dict[int, NeighbourRows] = field(default_factory=dict, repr=False)  # by the id of the features

    def plan(
        self, embedded: NamedFeatures | None, strip: NeighbourStrip | None, images: int, stop: Stop
    ) -> PagePlan:
        """What the page holds, of at most so many queries. Raises OptionError where nothing is ranked yet."""
        if embedded is None or strip is None:
            raise OptionError(
                'a page needs ranked results: got none yet; press "embed and rank", or call start()'
            )
        c = self.controls
        listed = menu_values(c.query, {})
        places = chosen_images(images, len(listed), [listed.index(c.query.value)])
        shown = [listed[place] for place in places]
        n_choices = len(self.rankings.choices) * len(menu_values(c.rule, {}))
        n_first = n_choices * max(1, len(shown) // _PART)  # queries share most of their pictures
        n_queries = n_of(len(shown), len(queries(self.samples)), "queries")
        return PagePlan(
            title=f"Retrieval: {n_queries}", about=[_WORKS, _FIXED.format(k=strip.k, order=self._order())], root=self.root,
            live=[c.query, c.modality, c.rule],
            changed={
                c.query: menu_choice(c.query, shown, c.query.value), c.count: {"value": fragment(f"in this page: {n_queries}")},
                strip: {**_NO_RESULTS, "row": -1}, **{self.html[name]: {"value": fragment()} for name in ("message", "summary")},
            },
            tables=[PageTable(
                ((c.query, "index"), (c.modality, "value"), (c.rule, "value")),
                self._answers(embedded, strip, shown, strip.k, stop), n_choices * len(shown), n_first, n_queries,
            )],
            hidden=[*self.hidden, c.search, c.order, c.order_note, c.previous, c.following, *c.jumps.values(), c.k], message=self.html["message"],
            words=folderless(self.samples),
        )  # fmt: skip

    def _answers(
        self, embedded: NamedFeatures, strip: NeighbourStrip, shown: Sequence[int], k: int, stop: Stop
    ) -> Iterator[PageAnswer]:
        failed = failure_words(placeless_failures(embedded.failed, self.samples))
        rules = menu_values(self.controls.rule, {})
        for (place, position), choice, rule in product(enumerate(shown), self.rankings.choices, rules):
            try:
                if self.rankings.precisions(choice, rule) is None:
                    self.rankings.rank(embedded, choice, rule, unheard, stop)
                traits, missing = self._results(embedded, position, (choice, rule, k))
                summary = summary_html(self.rankings, choice, rule, said=self._said)
                message = message_html([*missing, *failed])
            except StoppedError:
                raise
            except MswinVizError as problem:
                traits, summary, message = _NO_RESULTS, fragment(), shown_error(problem, self.samples)
            changes = {
                strip: traits,
                self.html["summary"]: {"value": summary},
                self.html["message"]: {"value": message},
            }
            yield PageAnswer((place, choice, rule), changes)  # fmt: skip

    def _results(
        self, embedded: NamedFeatures, position: int, asked: tuple[str, str, int]
    ) -> tuple[Traits, list[str]]:
        """What the strip shows of a query, and why it has no row, if it has none."""
        choice, rule, k = asked
        rows = self._rows_of(self.rankings.lists(embedded, choice))
        row = rows.table.row_of(position, self.rankings.row_modality(choice))
        missing = [missing_words(self.samples[position], self.rankings.words(choice))] if row < 0 else []
        traits: dict[str, Any] = {**_NO_RESULTS, "query": rows.query(row)}
        try:
            results = rows.ranked(row, k=k, rule=rule)
        except MswinVizError as problem:
            return {**traits, "message": self._said(text_of([problem_words(problem)]))}, missing
        return {**traits, "lists": rows.lists(results), "pictures": rows.pictures(results)}, missing

    def _rows_of(self, lists: NamedFeatures) -> NeighbourRows:
        if id(lists) not in self._rows:
            self._rows[id(lists)] = NeighbourRows(lists)
        return self._rows[id(lists)]

    def _order(self) -> str:
        """In which order the queries stand, where it is not that of the samples."""
        c = self.controls
        if c.order.value == AS_LISTED:
            return ""
        return f", and the queries in the order “{c.order.label}” of {self.rankings.words(str(c.modality.value))}, rule {c.rule.value}"

    def _said(self, words: str) -> str:
        return without_folders(words, self.samples)
