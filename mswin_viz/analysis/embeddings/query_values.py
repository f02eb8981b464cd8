"""What is known of each query once its candidates are ranked, a block of queries at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.matching import Matching
from mswin_viz.analysis.measures.ranking import (
    DIGITS,
    average_precision,
    inverse_penalty,
    match_ranks,
    similar_blocks,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MOST_FIRST = 24
"""How many of each query's first candidates are kept."""


@dataclass(frozen=True, eq=False)
class QueryValues:
    """One value for each row of a table; NaN where the row has no match, or is no query.

    Attributes
    ----------
    average_precision
        0..1, ``[n]``.
    inverse_penalty
        Number of matches divided by the rank of the last one, 0..1, ``[n]``; its mean is mINP (Ye et al., 2021).
    first_match
        Rank, from 1, of the first match, ``[n]``.
    margin
        Similarity of the best wrong candidate minus that of the worst match, ``[n]``: above 0 where something wrong comes
        before a match. By Euclidean distance, the distance of the worst match minus that of the best wrong candidate. A
        candidate of unknown identity counts as wrong. NaN, too, where nothing is wrong.
    first
        Rows of the first candidates, ``[n, 24]``; -1 where there are fewer.
    """

    average_precision: Float[np.ndarray, " row"]
    inverse_penalty: Float[np.ndarray, " row"]
    first_match: Float[np.ndarray, " row"]
    margin: Float[np.ndarray, " row"]
    first: Int[np.ndarray, "row first"]

    def spread(self, rows: Int[np.ndarray, " some"], n: int) -> QueryValues:
        """The same in a table of ``n`` rows of which these are ``rows``; NaN and -1 elsewhere."""
        made = empty_values(n)
        for field in fields(self):
            getattr(made, field.name)[rows] = getattr(self, field.name)
        is_row = made.first >= 0
        made.first[is_row] = rows[made.first[is_row]]
        return made


def empty_values(n: int) -> QueryValues:
    """Nothing known of ``n`` rows."""
    nothing = (np.full(n, np.nan) for _ in range(4))
    return QueryValues(*nothing, first=np.full((n, MOST_FIRST), -1))


def fill_values(
    values: QueryValues,
    features: Float[np.ndarray, "row dim"],
    who: Matching,
    of: tuple[Int[np.ndarray, " query"], Int[np.ndarray, " gallery"]],
    *,
    metric: str,
) -> Counter[str]:
    """Write what is known of some queries, ranked against a gallery, into ``values``; why queries have no match.

    ``of`` holds the rows of queries and of gallery images, ``features`` are as the metric compares them. Equal
    similarities keep the gallery's order.
    """
    query, gallery = of
    galleries = who.of(gallery)
    place = np.full(len(who), -1)
    place[gallery] = np.arange(len(gallery))
    causes: Counter[str] = Counter()
    blocks = similar_blocks(features, query, gallery, metric=metric)
    each = (similar for block in blocks for similar in np.round(block, DIGITS))
    for row, similar in zip(query.tolist(), each, strict=True):
        matches, dropped = galleries.around(row)
        similar[dropped] = -np.inf
        if place[row] >= 0:  # also where its identity is not known
            similar[place[row]] = -np.inf
        top = _first_places(similar)
        values.first[row, : len(top)] = gallery[top]
        if not len(matches):
            causes[galleries.cause(row, dropped)] += 1
            continue
        ranks = match_ranks(similar, matches)
        values.average_precision[row] = average_precision(ranks)
        values.inverse_penalty[row] = inverse_penalty(ranks)
        values.first_match[row] = ranks[0]
        pair = _margin_pair(similar, matches)
        if pair is not None:
            wrong, right = (_closeness(features[row], features[gallery[at]], metric) for at in pair)
            values.margin[row] = wrong - right
    return causes


def _first_places(similar: Float[np.ndarray, " gallery"]) -> Int[np.ndarray, " first"]:
    """Places of the most similar, nearest first; equal ones keep their order."""
    n = min(MOST_FIRST, len(similar))
    least = np.partition(similar, len(similar) - n)[len(similar) - n]
    places = np.flatnonzero((similar >= least) & np.isfinite(similar))
    return places[np.argsort(-similar[places], kind="stable")][:n]


def _margin_pair(
    similar: Float[np.ndarray, " gallery"], matches: Int[np.ndarray, " match"]
) -> tuple[int, int] | None:
    """Places of the best wrong candidate and of the worst match; None where nothing is wrong."""
    worst = int(matches[np.argmin(similar[matches])])
    kept = similar[matches]
    similar[matches] = -np.inf
    best = int(np.argmax(similar))
    is_there = np.isfinite(similar[best])
    similar[matches] = kept
    return (best, worst) if is_there else None


def _closeness(query: np.ndarray, candidate: np.ndarray, metric: str) -> float:
    """The cosine, or minus the distance."""
    return float(query @ candidate) if metric == "cosine" else -float(np.linalg.norm(query - candidate))
