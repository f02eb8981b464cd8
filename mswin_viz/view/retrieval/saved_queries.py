"""Which queries are saved as ranked lists, and the features that make a list each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.neighbours import ranked_queries
from mswin_viz.analysis.embeddings.same_images import TablesByName, ranked_features
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import DataError, OptionError
from mswin_viz.view.parts.figure_file import FORMATS
from mswin_viz.view.parts.neighbour_words import list_title

WORST = "worst"
"""The queries of lowest average precision."""


@dataclass(frozen=True, eq=False)
class SavedFeatures:
    """The features that make a list each, as they are ranked, and the modality of their rows that are queries.

    ``given`` are the same before some modalities were joined.
    """

    given: NamedFeatures
    lists: NamedFeatures
    modality: str

    @property
    def queries(self) -> np.ndarray:
        """Rows that may be queries: all but those of the gallery split, ``[n]``."""
        table = self.lists.table
        rows = table.rows(self.modality)
        return rows[table.split[rows] != "gallery"]

    def title(self, name: str) -> str:
        """What a list is called."""
        return list_title(name, is_only=not self.lists.is_named and len(self.lists.of) == 1)


@dataclass(frozen=True)
class ListOptions:
    """Options of :func:`mswin_viz.save_ranked_lists`, checked; see there."""

    rule: str = "camera"
    modality: str | None = None
    kind: str = "png"
    provenance: str = ""
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        for name, value, choices in (("rule", self.rule, RULES), ("kind", self.kind, FORMATS)):
            if value not in choices:
                raise OptionError(f"{name} must be one of {', '.join(choices)}: got {value!r}")


def saved_features(tables: EmbeddingTable | TablesByName, modality: str | None) -> SavedFeatures:
    """One table's features or tables by name, as they are ranked by a modality, by all of them joined if None."""
    given = ranked_features(tables)
    if not given.is_named and np.array_equal(given.table.plain, given.table.enhanced):
        given = given.only("plain")
    wanted = joined_name(given.table.modalities) if modality is None else modality
    return SavedFeatures(given, given.with_modality(wanted), wanted)


def chosen_samples(queries: Any, found: SavedFeatures, n: int, options: ListOptions) -> list[int]:
    """Positions of the samples whose lists are saved, as the first table's ``sample`` counts them."""
    check_counts(1, n=n)
    if isinstance(queries, str):
        if queries != WORST:
            raise OptionError(
                f'queries are "{WORST}", or a list of samples or of their positions: got {short_text(queries, 60)!r}'
            )
        return _worst(found, n, options)
    positions = [_position(one, found.given.table) for one in _listed(queries)]
    return list(dict.fromkeys(positions))


def _worst(found: SavedFeatures, n: int, options: ListOptions) -> list[int]:
    rows, last = found.queries, found.lists.only(found.lists.names[-1])
    ranked = ranked_queries(last, rule=options.rule, queries=rows, report=options.report, stop=options.stop)
    (precisions,) = (each[rows] for each in ranked.precisions.values())
    answered = np.flatnonzero(np.isfinite(precisions))
    if not len(answered):
        why = next(iter(ranked.notes), "").partition(": ")[2] if len(rows) else "there are no queries."
        raise DataError(
            f"the worst queries need at least one with a match under the rule {options.rule!r}: {why} "
            "Name the queries, or rank other images"
        )
    order = answered[np.argsort(np.round(precisions[answered], 9), kind="stable")][:n]
    return [int(sample) for sample in last.table.sample[rows[order]]]


def _listed(queries: Any) -> list[Any]:
    try:
        listed = [] if isinstance(queries, bytes | Mapping | Sample) else list(queries)
    except TypeError:
        listed = []
    if not listed:
        raise OptionError(
            f'queries are "{WORST}", or a list of at least one sample or position: got {value_words(queries)}'
        )
    return listed


def _position(query: Any, table: EmbeddingTable) -> int:
    if isinstance(query, Sample):
        files = set(query.images.values())
        for sample, of_row in zip(table.sample.tolist(), table.files, strict=True):
            if not files.isdisjoint(of_row.values()):
                return sample
        raise OptionError(
            f"a query must be one of the table's samples: got {query.name!r}, none of whose files has a row; embed it too"
        )
    is_number = isinstance(query, int | np.integer) and not isinstance(query, bool)
    if not is_number or query not in table.sample:
        raise OptionError(
            f"a query is a sample, or its position among those that were embedded, 0..{int(table.sample.max())}: got "
            f"{value_words(query)}"
        )
    return int(query)
