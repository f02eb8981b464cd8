"""What the retrieval view does with all queries: embed and rank them, jump to one of them, put them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.query_order import AS_LISTED
from mswin_viz.analysis.embeddings.query_table import query_frame
from mswin_viz.data.progress import Report, Stop, portion, unheard
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError
from mswin_viz.view.retrieval.query_choice import JUMPS, QueryJumps
from mswin_viz.view.retrieval.query_menu import QueryMenu
from mswin_viz.view.retrieval.ranked_lists import RankedLists
from mswin_viz.view.retrieval.ranked_words import missing_words, summary_html
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.retrieval.source import RetrievalSource
from mswin_viz.view.widgets.markup import Html

if TYPE_CHECKING:
    import pandas as pd

_EMBEDDING = 0.8  # part of the progress bar that embedding takes
_QUICK = 700  # samples whose ranking against each other needs no button


@dataclass(eq=False)
class RankingWork:
    """Ranks by the traits ``modality`` and ``rule`` of ``owner``, whose trait ``query`` it may change.

    ``refresh()`` shows the lists anew; ``html`` are the words above them.
    """

    owner: Any
    source: RetrievalSource
    rankings: Rankings
    menu: QueryMenu
    html: Mapping[str, Html]
    refresh: Callable[[], None]
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _jumps: QueryJumps = field(default_factory=QueryJumps, repr=False)
    _pending: str = ""  # a jump or the order, for when all is ranked

    @property
    def choice(self) -> tuple[str, str]:
        """By what queries are ranked now, and under which rule."""
        return self.owner.modality, self.owner.rule

    def show(self, given: NamedFeatures, on: RankedLists) -> list[str]:
        """Show the lists of the present query, and the measures over all where these take no time; why it has no lists."""
        o, samples = self.owner, self.owner._samples
        lists = self.rankings.lists(given, o.modality)
        row = lists.table.row_of(o.query, self.rankings.row_modality(o.modality))
        on.show(lists, row, k=o.k, rule=o.rule)
        if not self.menu.sorting.is_ranked and len(samples) <= _QUICK:
            self.rankings.rank(given, *self.choice, unheard, lambda: False)
        self.menu.show()
        self.summarise()
        return [missing_words(samples[o.query], self.rankings.words(o.modality))] if row < 0 else []

    def summarise(self) -> None:
        """Say how well all queries are answered, or that nothing is embedded yet."""
        if self.source.lists is None:
            samples = self.owner._samples
            n = sum(len(sample.images) for sample in samples)
            words = f"{counted(len(samples), 'samples')}, {counted(n, 'images')}, not embedded yet: press “embed and rank”."
            self.html["summary"].value = words
        else:
            self.html["summary"].value = summary_html(self.rankings, *self.choice)

    def run(self, report: Report, stop: Stop) -> None:
        """Embed if there is no table, rank every query, then jump or sort if that was asked for."""
        source = self.source
        if source.lists is None and source.model is not None:
            table = embed(
                source.model, self.owner._samples, modalities=self.rankings.modalities, progress=False, stop=stop,
                report=portion(report, 0, _EMBEDDING),
            )  # fmt: skip
            source.take(table)
            self.refresh()
        if source.lists is not None:
            self.rankings.rank(source.lists, *self.choice, portion(report, _EMBEDDING, 1), stop)
        self.summarise()
        pending, self._pending = self._pending, ""
        if pending in JUMPS:
            self.jump(pending)
        elif pending:
            self.sort()
        self.menu.show()

    def jump(self, kind: str) -> None:
        """Go to a query of ``JUMPS``, once all are ranked."""
        with self.lock:
            precisions, lists = self.rankings.precisions(*self.choice), self.source.lists
            if lists is None or precisions is None:
                self._pending = kind
                self.owner.start()
                return
            row, words = self._jumps.next(kind, precisions)
            if row is not None:
                self.owner.query = int(self.rankings.lists(lists, self.owner.modality).table.sample[row])
            self.html["jump"].value = words

    def sort(self) -> None:
        """Put the queries in the chosen order and go to the first, once all are ranked."""
        with self.lock:
            if self.owner.order != AS_LISTED and not self.menu.sorting.is_ranked:
                self._pending = "order"
                self.owner.start()
            self.menu.sort()

    def queries(self) -> pd.DataFrame:
        """What the lists make of every query; an `OptionError` if nothing is embedded yet."""
        lists, (modality, rule) = self.source.lists, self.choice
        if lists is None:
            raise OptionError(
                'queries need embeddings: got none yet; press "embed and rank", or call start()'
            )
        with self.lock:
            values = self.rankings.values(modality, rule)
            if values is None:
                self.rankings.rank(lists, modality, rule, unheard, lambda: False)
                values = self.rankings.values(modality, rule) or {}
        shown, notes = self.rankings.lists(lists, modality), self.rankings.notes(modality, rule)
        row_modality = self.rankings.row_modality(modality)
        return query_frame(shown.table, values, k=self.owner.k, notes=notes, modality=row_modality)
