"""Which queries are saved as ranked lists, and the rows that stand for them in each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.neighbours import ranked_queries
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.images.image_source import Crop, joined_name
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import DataError, OptionError
from mswin_viz.view.parts.figure_file import FORMATS
from mswin_viz.view.widgets.labels import FEATURES

WORST = "worst"
"""The queries of lowest average precision."""


@dataclass(frozen=True, eq=False)
class RankedTable:
    """A table as it is ranked: its name, the modality of its rows that are queries, and the features that make a list.

    ``every`` is the table that was given, in which ``table`` may have joined some modalities.
    """

    name: str
    every: EmbeddingTable
    table: EmbeddingTable
    modality: str
    features: tuple[str, ...]

    @property
    def queries(self) -> np.ndarray:
        """Rows that may be queries: all but those of the gallery split, ``[n]``."""
        rows = self.table.rows(self.modality)
        return rows[self.table.split[rows] != "gallery"]

    def title(self, feature: str) -> str:
        """What the list of a feature is called."""
        words = FEATURES[feature] if len(self.features) > 1 else "plain CLS (no add-on)"
        return f"{self.name}, {words}" if self.name else words


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


def ranked_tables(given: Any, modality: str | None) -> list[RankedTable]:
    """One table, or several by name, as they are ranked; refused unless they are tables of the same samples."""
    several = isinstance(given, Mapping)
    tables = dict(given) if several else {"": given}
    if not tables:
        raise OptionError(
            "ranked lists need at least one table: got an empty dictionary; see mswin_viz.embed()"
        )
    for name, table in tables.items():
        if not isinstance(table, EmbeddingTable) or (
            several and not (isinstance(name, str) and name.strip())
        ):
            raise OptionError(
                "ranked lists are of a table from mswin_viz.embed(), or of a dictionary name -> table: got "
                f"{value_words(table)}{f' under the name {name!r:.40}' if several else ''}"
            )
    found = [_ranked_table(name, table, modality) for name, table in tables.items()]
    first = _files(found[0].every)
    for one in found[1:]:
        other = _files(one.every)
        differing = next((at for at in first.keys() & other.keys() if first[at] != other[at]), None)
        if differing is not None or not first.keys() & other.keys():
            raise OptionError(
                f"tables must be of the same samples to be compared: got {found[0].name!r} and {one.name!r}, which differ"
                f"{'' if differing is None else f' in sample {differing[0]}'}; embed the same list with each model"
            )
    return found


def chosen_samples(queries: Any, tables: Sequence[RankedTable], n: int, options: ListOptions) -> list[int]:
    """Positions of the samples whose lists are saved, as the tables' ``sample`` counts them."""
    check_counts(1, n=n)
    if isinstance(queries, str):
        if queries != WORST:
            raise OptionError(
                f'queries are "{WORST}", or a list of samples or of their positions: got {short_text(queries, 60)!r}'
            )
        return _worst(tables[-1], n, options)
    positions = [_position(one, tables) for one in _listed(queries)]
    return list(dict.fromkeys(positions))


def _ranked_table(name: str, given: EmbeddingTable, modality: str | None) -> RankedTable:
    table, wanted = checked_table(given), joined_name(given.modalities) if modality is None else modality
    if wanted not in table.modalities:
        parts = wanted.split("+")
        missing = [part for part in parts if part not in table.modalities]
        if missing:
            raise OptionError(
                f"modality must be one of the table's {', '.join(table.modalities)}, or several joined by +: got "
                f"{wanted!r}; embed it first, or choose another"
            )
        table = table.concatenated(parts)
    differs = not np.array_equal(table.plain, table.enhanced)
    return RankedTable(name, given, table, wanted, ("plain", "enhanced") if differs else ("plain",))


def _worst(ranked: RankedTable, n: int, options: ListOptions) -> list[int]:
    rows, feature = ranked.queries, ranked.features[-1]
    answers = ranked_queries(
        ranked.table, features=[feature], rule=options.rule, queries=rows, report=options.report, stop=options.stop
    )  # fmt: skip
    precisions = answers.precisions[feature][rows]
    answered = np.flatnonzero(np.isfinite(precisions))
    if not len(answered):
        raise DataError(
            f"the worst queries need at least one with a match: got {len(rows)} {ranked.modality} queries, none with one "
            f'under the rule {options.rule!r}; use rule="none", or name the queries'
        )
    order = answered[np.argsort(np.round(precisions[answered], 9), kind="stable")][:n]
    return [int(sample) for sample in ranked.table.sample[rows[order]]]


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


def _position(query: Any, tables: Sequence[RankedTable]) -> int:
    table = tables[0].every
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


def _files(table: EmbeddingTable) -> dict[tuple[int, str], Mapping[str, Path | Crop]]:
    return dict(
        zip(zip(table.sample.tolist(), table.modality.tolist(), strict=True), table.files, strict=True)
    )
