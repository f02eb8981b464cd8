"""A row's nearest neighbours in a table of embeddings, with right and wrong marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import check_counts, chosen_rows
from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.given import of_table
from mswin_viz.analysis.embeddings.named_features import NamedFeatures, features_of
from mswin_viz.analysis.embeddings.query_values import QueryValues, empty_values, fill_values
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import Matching, matching, unanswered_words
from mswin_viz.analysis.measures.ranking import DIGITS, average_precision, ranked, similarities
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import OptionError, ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

MARKS = ("right", "wrong", "unknown")
_AT_ONCE = 256  # queries between two looks at the stop


@dataclass(frozen=True, eq=False, kw_only=True)
class Neighbours:
    """The first ``k`` candidates of one query, nearest first.

    Attributes
    ----------
    query, feature, rule
        Row of the table, ``"plain"`` or ``"enhanced"``, and the matching rule.
    rows
        Rows of the table, ``[k]``; fewer where there are fewer candidates.
    similarity
        Cosines; or, where ``metric`` is ``"euclidean"``, Euclidean distances of the raw features; ``[k]``.
    right
        Whether each has the query's identity, ``[k]``; false where that is not known.
    known
        Whether both identities are known, ``[k]``.
    first_right
        Rank, from 1, of the first right one among all candidates; None where there is none.
    average_precision
        Of this query over all candidates, 0..1; NaN where there is no right one.
    n_candidates, n_right, n_dropped
        How many were ranked, how many of those are right, and how many the rule left out beside the query.
    metric
        The table's: ``"cosine"`` (nearest is largest) or ``"euclidean"`` (nearest is smallest).

    Examples
    --------
    >>> table = mv.embed(model, samples[:16], modalities=["RGB"], progress=False)
    >>> found = mv.neighbours(table, 0, k=3, feature="enhanced")
    >>> found.rows.shape, found.right.tolist(), found.marks
    ((3,), [True, True, False], ('right', 'right', 'wrong'))
    >>> found.n_candidates, found.n_right, found.n_dropped, found.first_right
    (14, 2, 1, 1)
    """

    query: int
    feature: str
    rule: str
    rows: Int[np.ndarray, " k"]
    similarity: Float[np.ndarray, " k"]
    right: Bool[np.ndarray, " k"]
    known: Bool[np.ndarray, " k"]
    first_right: int | None
    average_precision: float
    n_candidates: int
    n_right: int
    n_dropped: int
    metric: str = "cosine"

    @property
    def marks(self) -> tuple[str, ...]:
        """One of ``MARKS`` for each."""
        pairs = zip(self.right.tolist(), self.known.tolist(), strict=True)
        return tuple(MARKS[2] if not known else MARKS[0] if right else MARKS[1] for right, known in pairs)


def neighbours(
    table: EmbeddingTable,
    query: int,
    *,
    k: int = 10,
    feature: str = "plain",
    rule: str = "camera",
    candidates: Sequence[int] | None = None,
) -> Neighbours:
    """Rank rows of a table by the table's metric with one of them, as re-ID evaluation does.

    The query itself is never its own neighbour. Equal similarities keep the candidates' order, as in
    :func:`mswin_viz.retrieval`, whose average precision it is.

    Parameters
    ----------
    table, query
        The table, and the row of it that is the query.
    k
        How many, at most.
    feature
        ``"plain"`` or ``"enhanced"``.
    rule
        ``"camera"`` leaves out rows of the query's identity and camera, ``"scene"`` of its identity and scene (as
        MSVR310 is measured), ``"none"`` nothing. A camera or scene that is not known (-1) is like no other.
    candidates
        Rows that are ranked; if None those of the query's modality in the gallery (in the training split where the
        query is of it).

    Returns
    -------
    neighbours
        Rows, similarities and marks ``[k]``, and the query's rank and average precision.

    Raises
    ------
    OptionError
        If the query or a candidate is not a row of the table, or there is no such option.
    ShapeError
        If no candidate is left, or a feature has no direction.

    Examples
    --------
    >>> table = mv.embed(model, samples[:16], modalities=["RGB"], progress=False)
    >>> found = mv.neighbours(table, query=0, k=5)
    >>> table.pid[found.rows].tolist(), bool((np.diff(found.similarity) <= 0).all())
    ([1, 1, 4, 4, 4], True)
    >>> mv.neighbours(table, query=0, rule="none").n_dropped  # the query's own camera stays in the gallery
    0
    """
    of_table(table)
    rows = _candidates(table, query, candidates)
    check_counts(1, k=k)
    features, who = _compared(table, feature, np.append(rows, query)), _matching(table, rule)
    dropped = who.left_out(query, rows)
    left = rows[~dropped]
    if not len(left):
        others = counted(len(rows), "other rows")
        way_out = ' use rule="none", or' if rule != "none" and len(rows) else ""
        raise ShapeError(
            f"a query needs at least one candidate: the rule {rule!r} leaves none of {others} for row {query};{way_out} embed more images"
        )
    similarity = similarities(features[[query]], features[left], table.metric)[0]
    order = ranked(similarity)
    ranks, top = np.flatnonzero(who.same(query, left[order])) + 1, left[order[:k]]
    if table.metric == "cosine":
        values = np.round(similarity[order[:k]], DIGITS)
    else:
        values = np.linalg.norm(features[top] - features[query], axis=1)
    return Neighbours(
        query=int(query),
        feature=feature,
        rule=rule,
        rows=top,
        similarity=values,
        right=who.same(query, top),
        known=(who.pids[top] >= 0) & bool(who.pids[query] >= 0),
        first_right=int(ranks[0]) if len(ranks) else None,
        average_precision=average_precision(ranks),
        n_candidates=len(left),
        n_right=len(ranks),
        n_dropped=int(dropped.sum()),
        metric=table.metric,
    )


@dataclass(frozen=True, eq=False)
class RankedQueries:
    """How well every row of a table is answered by all that :func:`neighbours` ranks for it.

    ``values`` has what is known of each row, by list. ``notes`` say over how many of the queries they are, what the rule
    could not do for want of numbers, and how many images have no row.
    """

    values: Mapping[str, QueryValues]
    notes: tuple[str, ...]

    @property
    def precisions(self) -> dict[str, Float[np.ndarray, " row"]]:
        """The average precision of each row, by list; NaN where nothing is right."""
        return {name: values.average_precision for name, values in self.values.items()}


def ranked_queries(
    table: EmbeddingTable | NamedFeatures,
    *,
    features: Sequence[str] = FEATURES,
    rule: str = "camera",
    queries: Int[np.ndarray, " query"] | None = None,
    stop: Stop | None = None,
    report: Report | None = None,
) -> RankedQueries:
    """Rank the candidates of every row, or of those in ``queries``, once for each list, as in :func:`neighbours`.

    The lists are those features of one table, or what is named. ``report(progress)`` is called, and ``stop()`` asked,
    before each block of queries and at the end. Raises ShapeError if a feature has no direction; StoppedError if
    ``stop`` said so.
    """
    lists = features_of(table, features)
    first, who, unanswered, n_queries = lists.table, _matching(lists.table, rule), Counter[str](), 0
    found = {name: empty_values(len(first)) for name in lists.names}
    n_rows = len(first) if queries is None else len(queries)
    steps = StepCounter(n_rows * len(found), reporter(report), stop, f"ranking {counted(n_rows, 'queries')}")
    for query, gallery in _rounds(first, queries):
        causes = Counter[str]()  # the same for every list
        for name, values in found.items():
            if steps.stopping():
                raise StoppedError(
                    f"ranking was stopped after {steps.done} of {counted(steps.total, 'queries')}"
                )
            own, feature = lists.of[name]
            rows = _compared(own, feature, np.concatenate([gallery, query]))
            causes = fill_values(values, rows, who, (query, gallery), metric=own.metric)
            steps.passed(len(query))
        unanswered += causes
        n_queries += len(query)
    notes = (
        *_unanswered_notes(unanswered, n_queries, rule),
        *who.notes(),
        *lists.notes,
        *failed_words(lists),
    )
    return RankedQueries(found, notes)


def _unanswered_notes(unanswered: Counter[str], n_queries: int, rule: str) -> list[str]:
    missing = sum(unanswered.values())
    if not missing:
        return []
    return [
        f"Over {n_queries - missing} of {counted(n_queries, 'queries')}: {counted(missing, 'queries have', 'query has')} "
        f"no match ({unanswered_words(unanswered, rule)})."
    ]


def failed_words(table: EmbeddingTable | NamedFeatures) -> list[str]:
    """How many images have no row, and the first reason; nothing where all have one."""
    if not table.failed:
        return []
    (path, reason), n = table.failed[0], len(table.failed)
    return [
        f"{counted(n, 'images')} could not be embedded and {'is' if n == 1 else 'are'} left out, so "
        f"measures are over fewer queries than there are samples; the first: {path.name} ({reason})."
    ]


def _candidates(table: EmbeddingTable, query: int, chosen: Sequence[int] | None) -> Int[np.ndarray, " row"]:
    """The rows that are ranked for a query, without it."""
    if not isinstance(query, (int, np.integer)) or not 0 <= query < len(table):
        raise OptionError(f"a query is one of the table's rows 0..{len(table) - 1}: got {query!r:.80}")
    if chosen is None:
        rows = _gallery(table, table.modality[query], table.split[query])
    else:
        rows = chosen_rows(chosen, len(table), "candidates")
    return rows[rows != query]


def _gallery(table: EmbeddingTable, modality: str, split: str) -> Int[np.ndarray, " row"]:
    """Rows of a modality that are ranked for a query of some split, unless others are named."""
    rows = table.rows(modality)
    wanted = ("train",) if split == "train" else ("gallery", "test", "")
    return rows[np.isin(table.split[rows], wanted)]


def _rounds(
    table: EmbeddingTable, queries: Int[np.ndarray, " query"] | None
) -> Iterator[tuple[Int[np.ndarray, " query"], Int[np.ndarray, " gallery"]]]:
    """Query rows, a block at a time, and their candidates; queries without candidates are left out."""
    is_query = np.ones(len(table), bool) if queries is None else np.isin(np.arange(len(table)), queries)
    for modality in table.modalities:
        rows = table.rows(modality)
        rows = rows[is_query[rows]]
        for split in np.unique(table.split[rows]):
            query, gallery = rows[table.split[rows] == split], _gallery(table, modality, split)
            for start in range(0, len(query) if len(gallery) else 0, _AT_ONCE):
                yield query[start : start + _AT_ONCE], gallery


def _matching(table: EmbeddingTable, rule: str) -> Matching:
    return matching(table.pid, table.camid, rule=rule, scenes=table.scene)


def _compared(table: EmbeddingTable, feature: str, rows: np.ndarray) -> Float[np.ndarray, "row dim"]:
    """Features of every row as the table's metric compares them; those of some rows are checked."""
    features = table.compared(feature)
    bad = rows[~np.isfinite(features[rows]).all(axis=1)]
    if len(bad):
        raise ShapeError(
            f"features must be finite and not all 0 to be ranked: got {len(bad)} that are not, the first in "
            f"row {bad[0]} ({shown_text(table.path[bad[0]].name)}); leave those rows out"
        )
    return features
