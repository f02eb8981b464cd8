"""Tags in the retrieval view: of the chosen result, or else of the query; and queries shown or hidden by their tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.tag_bar import TagBar
from mswin_viz.view.retrieval.query_menu import QueryMenu
from mswin_viz.view.retrieval.ranked_lists import RankedLists

if TYPE_CHECKING:
    import pandas as pd


class QueryTags:
    """The ``bar`` of a retrieval view; ``query()`` is the position of its query among the samples."""

    def __init__(
        self, samples: Sequence[Sample], lists: RankedLists, menu: QueryMenu, query: Callable[[], int]
    ) -> None:
        self._samples, self._lists, self._query = samples, lists, query
        self.bar = TagBar(samples, chosen=self._chosen, table=self.frame, on_filter=menu.keep_only)

    def say(self) -> None:
        """Say what is selected."""
        self.bar.say("selected: the chosen result" if self._lists.is_chosen else "selected: the query")

    def frame(self) -> pd.DataFrame:
        """The row of the chosen result, or of the query, with its tags; empty where the query has no row."""
        strip = self._lists.strip
        if strip is None:
            raise OptionError(
                'a selection needs ranked results: got none yet; press "embed and rank", or call start()'
            )
        row = strip.clicked if self._lists.is_chosen else strip.row
        return self.bar.rows_frame(strip.table, [row] if row >= 0 else [])

    def _chosen(self) -> list[Sample]:
        strip = self._lists.strip
        if strip is not None and self._lists.is_chosen:
            return [self._samples[int(strip.table.sample[strip.clicked])]]
        return [self._samples[self._query()]]
