"""By which modality the retrieval view ranks, one alone or all of them joined, and how well every query is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.list_changes import ListChange, list_changes
from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.neighbours import RankedQueries, ranked_queries
from mswin_viz.analysis.embeddings.query_values import QueryValues
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

ALL = "all, raw"
"""All modalities joined as they are: the longer feature has more say (as MambaPro and related models do)."""
ALL_EQUALISED = "all, equalised"
"""All modalities joined, each of unit length first."""


@dataclass(frozen=True, eq=False)
class Rankings:
    """What was joined and ranked of the modalities that :func:`rankable` returned, kept for the next look."""

    modalities: tuple[str, ...]
    _lists: dict[str, NamedFeatures] = field(default_factory=dict, repr=False)
    _ranked: dict[tuple[str, str], RankedQueries] = field(default_factory=dict, repr=False)
    _changes: dict[tuple[str, str], tuple[ListChange, ...]] = field(default_factory=dict, repr=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be ranked by: each modality, and, of several, all."""
        return (*self.modalities, *((ALL, ALL_EQUALISED) if len(self.modalities) > 1 else ()))

    def words(self, choice: str) -> str:
        """A choice as it is called on screen."""
        return modality_words(self.row_modality(choice), is_equalised=choice == ALL_EQUALISED)

    def lists(self, given: NamedFeatures, choice: str) -> NamedFeatures:
        """What is ranked: the features given, or those of their joined modalities (DataError if no sample has all)."""
        if choice not in (ALL, ALL_EQUALISED):
            return given
        if choice not in self._lists:
            self._lists[choice] = given.concatenated(self.modalities, equalised=choice == ALL_EQUALISED)
        return self._lists[choice]

    def row_modality(self, choice: str) -> str:
        """The modality of that table's query rows."""
        return joined_name(self.modalities) if choice in (ALL, ALL_EQUALISED) else choice

    def values(self, choice: str, rule: str) -> Mapping[str, QueryValues] | None:
        """What is known of every row, by list, NaN in rows of other modalities; None until ranked."""
        ranked = self._ranked.get((choice, rule))
        return None if ranked is None else ranked.values

    def precisions(self, choice: str, rule: str) -> Mapping[str, Float[np.ndarray, " row"]] | None:
        """Average precision of every row, by list, NaN in rows of other modalities; None until ranked."""
        ranked = self._ranked.get((choice, rule))
        return None if ranked is None else ranked.precisions

    def notes(self, choice: str, rule: str) -> tuple[str, ...]:
        """What to know about :meth:`values` besides its numbers, in sentences."""
        return self._ranked[choice, rule].notes

    def changes(self, choice: str, rule: str) -> tuple[ListChange, ...]:
        """Every list against the first, over the queries with a match; nothing until ranked, or without one."""
        return self._changes.get((choice, rule), ())

    def rank(self, given: NamedFeatures, choice: str, rule: str, report: Report, stop: Stop) -> None:
        """Rank every query of a choice; :meth:`values` has the results."""
        lists = self.lists(given, choice)
        rows = lists.table.rows(self.row_modality(choice))
        ranked = ranked_queries(lists[rows], rule=rule, stop=stop, report=report)
        values = {name: found.spread(rows, len(lists)) for name, found in ranked.values.items()}
        self._changes[choice, rule] = list_changes(values, lists.table.pid)
        self._ranked[choice, rule] = replace(ranked, values=values)


def rankable(
    samples: Sequence[Sample], wanted: Sequence[str], table: EmbeddingTable | None
) -> tuple[str, ...]:
    """The modalities that can be ranked by, of those wanted; refused if no modality is left, or the table is of other samples."""
    there = {name for sample in samples for name in sample.images} if table is None else set(table.modalities)
    found = tuple(name for name in wanted if name in there)
    if not samples or not found:
        raise DataError(
            f"the retrieval view needs samples with {' or '.join(wanted) or 'a modality'}: got {counted(len(samples), 'samples')} "
            f"with {', '.join(sorted(there)) or 'none'}; see mswin_viz.samples() and mswin_viz.embed()"
        )
    if table is not None and int(table.sample.max(initial=-1)) >= len(samples):
        raise OptionError(
            f"a table must be of the samples it is shown with: got {counted(len(samples), 'samples')} and a row of sample "
            f"{int(table.sample.max())}; pass those that were embedded"
        )
    return found
