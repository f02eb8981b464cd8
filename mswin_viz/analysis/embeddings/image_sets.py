"""Sets of a table's images that are queries or a gallery: of one modality, of several joined, or of several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import chosen_rows
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import matching
from mswin_viz.analysis.measures.paired_retrieval import PairedRetrieval, paired_retrieval
from mswin_viz.analysis.measures.protocol_options import ProtocolRequest
from mswin_viz.analysis.measures.ranking import compared_rows
from mswin_viz.analysis.measures.retrieval import RetrievalRequest, report_of
from mswin_viz.errors import DataError, OptionError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

JOINED, AT_ONCE = "+", "|"
"""Between modalities of one image whose features are joined; and between those that a set holds side by side."""


@dataclass(frozen=True, eq=False)
class ImageSets:
    """A table with the images that may be queries and those that may be in the gallery; sets are taken from it by name."""

    table: EmbeddingTable
    request: ProtocolRequest
    queries: EmbeddingTable
    gallery: EmbeddingTable

    def cell(self, query: str, gallery: str) -> PairedRetrieval:
        """Retrieval of one set in another, plain and enhanced; every image is there once, whichever sets it is in."""
        names = list(dict.fromkeys([*parts_of(query), *parts_of(gallery)]))
        parts = [part_of(self.table, name) for name in names]
        starts = np.cumsum([0, *map(len, parts)])

        def rows(wanted: str, chosen: EmbeddingTable) -> np.ndarray:
            """Of the images of a set, in the order of its parts."""
            places = [names.index(name) for name in parts_of(wanted)]
            return np.concatenate(
                [starts[at] + np.flatnonzero(_among(parts[at], chosen, names[at])) for at in places]
            )

        return paired_cell(
            parts, self.request, query=rows(query, self.queries), gallery=rows(gallery, self.gallery)
        )


def image_sets(table: EmbeddingTable, request: ProtocolRequest) -> ImageSets:
    """The table, and the parts of it that queries and gallery come from; all of it where nothing was chosen."""
    rows = (chosen_rows(getattr(request, name), len(table), name) for name in ("query", "gallery"))
    return ImageSets(table, request, *(table[some] for some in rows))


def parts_of(name: str) -> list[str]:
    """The sets of which one holds the images side by side."""
    return name.split(AT_ONCE)


def part_of(table: EmbeddingTable, name: str) -> EmbeddingTable:
    """The rows of one modality, or of several joined: those that are in the table, or else joined from it.

    Raises DataError if there is no such row; OptionError if a modality is named twice.
    """
    if len(rows := table.rows(name)):
        return table[rows]
    each = name.split(JOINED)
    missing = [one for one in each if not len(table.rows(one))]
    if missing:
        raise DataError(
            f"the set {name!r} needs {missing[0] or 'named'} rows: got a table with {', '.join(table.modalities) or 'no row'}; "
            "name its modalities, joined by + as in 'NI+TI', or side by side with | as in 'NI|TI'"
        )
    return table.concatenated(each)


def check_comparable(query: str, gallery: str) -> None:
    """Refuse sets whose features are not those of as many modalities each."""
    counts = {part: part.count(JOINED) + 1 for part in (*parts_of(query), *parts_of(gallery))}
    if len(set(counts.values())) > 1:
        words = ", ".join(f"{part} ({n} joined)" if n > 1 else part for part, n in counts.items())
        raise OptionError(
            f"images are compared if as many modalities are joined in each: got a query of {query!r} and a gallery of "
            f"{gallery!r}, that is {words}; join as many on both sides, or put them side by side with |, as in 'NI|TI'"
        )


def paired_cell(
    parts: Sequence[EmbeddingTable], request: ProtocolRequest, *, query: np.ndarray, gallery: np.ndarray
) -> PairedRetrieval:
    """Plain and enhanced retrieval among the rows of some tables, one after another, of which some are queries.

    All images of the query's own shot are left out, in whatever modality. Raises DataError if there is no query or
    no gallery image.
    """
    for name, rows in (("query", query), ("gallery", gallery)):
        if not len(rows):
            raise DataError(f"there must be at least one {name} image: got none; choose others with {name}=")
    about = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("pid", "camid", "scene", "sample")
    }
    who = matching(about["pid"], about["camid"], rule=request.rule, scenes=about["scene"])
    who = replace(who, shots=about["sample"])
    metric = parts[0].metric
    retrieving = RetrievalRequest(
        query=query, gallery=gallery, ranks=request.ranks, rule=request.rule, metric=metric,
        reranking=request.reranking,
    )  # fmt: skip
    reports = [
        report_of(_compared(parts, feature, metric), who, retrieving) for feature in ("plain", "enhanced")
    ]
    return paired_retrieval(*reports, draws=request.draws, flips=request.flips, seed=request.seed)


def _compared(parts: Sequence[EmbeddingTable], feature: str, metric: str) -> Float[np.ndarray, "image dim"]:
    return np.concatenate([compared_rows(getattr(part, feature), metric, feature) for part in parts])


def _among(part: EmbeddingTable, table: EmbeddingTable, name: str) -> Bool[np.ndarray, " row"]:
    """Which rows of a part are also in a table of some of the images."""
    try:
        return np.isin(part.sample, part_of(table, name).sample)
    except DataError:
        return np.zeros(len(part), bool)
