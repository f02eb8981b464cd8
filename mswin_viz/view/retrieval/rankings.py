"""By which modality the retrieval view ranks, one alone or all of them joined, and how well every query is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.neighbours import RankedQueries, ranked_queries
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
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
    _tables: dict[str, EmbeddingTable] = field(default_factory=dict, repr=False)
    _ranked: dict[tuple[str, str], RankedQueries] = field(default_factory=dict, repr=False)

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be ranked by: each modality, and, of several, all."""
        return (*self.modalities, *((ALL, ALL_EQUALISED) if len(self.modalities) > 1 else ()))

    def words(self, choice: str) -> str:
        """A choice as it is called on screen."""
        return modality_words(self.row_modality(choice), is_equalised=choice == ALL_EQUALISED)

    def table(self, table: EmbeddingTable, choice: str) -> EmbeddingTable:
        """The table that is ranked: the one given, or that of its joined modalities (DataError if no sample has all)."""
        if choice not in (ALL, ALL_EQUALISED):
            return table
        if choice not in self._tables:
            self._tables[choice] = table.concatenated(self.modalities, equalised=choice == ALL_EQUALISED)
        return self._tables[choice]

    def row_modality(self, choice: str) -> str:
        """The modality of that table's query rows."""
        return joined_name(self.modalities) if choice in (ALL, ALL_EQUALISED) else choice

    def precisions(
        self, choice: str, rule: str
    ) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]] | None:
        """Plain and enhanced average precision of every row, NaN in rows of other modalities; None until ranked."""
        ranked = self._ranked.get((choice, rule))
        return None if ranked is None else (ranked.precisions["plain"], ranked.precisions["enhanced"])

    def notes(self, choice: str, rule: str) -> tuple[str, ...]:
        """What to know about :meth:`precisions` besides its numbers, in sentences."""
        return self._ranked[choice, rule].notes

    def rank(self, table: EmbeddingTable, choice: str, rule: str, report: Report, stop: Stop) -> None:
        """Rank every query of a choice; :meth:`precisions` has the results."""
        table = self.table(table, choice)
        rows = table.rows(self.row_modality(choice))
        ranked = ranked_queries(table[rows], rule=rule, stop=stop, report=report)
        precisions = {name: np.full(len(table), np.nan) for name in ranked.precisions}
        for name, values in ranked.precisions.items():
            precisions[name][rows] = values
        self._ranked[choice, rule] = replace(ranked, precisions=precisions)


def rankable(
    samples: Sequence[Sample], wanted: Sequence[str], table: EmbeddingTable | None
) -> tuple[str, ...]:
    """The modalities that can be ranked by, of those wanted; refused if no modality is left, or the table is of other samples."""
    there = {name for sample in samples for name in sample.images} if table is None else set(table.modalities)
    found = tuple(name for name in wanted if name in there)
    if not samples or not found:
        raise DataError(
            f"the retrieval view needs samples with {' or '.join(wanted) or 'a modality'}: got {len(samples)} samples "
            f"with {', '.join(sorted(there)) or 'none'}; see mswin_viz.samples() and mswin_viz.embed()"
        )
    if table is not None and int(table.sample.max(initial=-1)) >= len(samples):
        raise OptionError(
            f"a table must be of the samples it is shown with: got {len(samples)} samples and a row of sample "
            f"{int(table.sample.max())}; pass those that were embedded"
        )
    return found
