"""A row's nearest neighbours in a table of embeddings, with right and wrong marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import check_counts, chosen_rows
from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.matching import RULES, Matching, matching, unanswered_words
from mswin_viz.analysis.pair_shares import PairShares, SideShares, pair_window_shares
from mswin_viz.analysis.ranking import DIGITS, similarities
from mswin_viz.analysis.retrieval import measured_queries
from mswin_viz.data.progress import Progress, Report, Stop, reporter
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError, ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = [
    "MARKS",
    "RULES",
    "Neighbours",
    "PairShares",
    "SideShares",
    "failed_words",
    "neighbours",
    "pair_window_shares",
    "query_precisions",
    "ranking_notes",
]

MARKS = ("right", "wrong", "unknown")
_AT_ONCE = 256  # queries between two looks at the stop


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The first ``k`` candidates of one query, nearest first.

    Attributes
    ----------
    query, feature, rule
        What was asked: row of the table, ``"plain"`` or ``"enhanced"``, and the rule.
    rows
        Rows of the table, ``[k]``; fewer where there are fewer candidates.
    similarity
        Cosines; or, where ``metric`` is ``"euclidean"``, Euclidean distances of the raw features; ``[k]``.
    right
        Whether each has the query's identity, ``[k]``; false where that is not known.
    known
        Whether that is known, ``[k]``: both identities are.
    first_right
        Rank, from 1, of the first right one among all candidates; None where there is none.
    average_precision
        Of this query over all candidates, 0..1; NaN where there is no right one.
    n_candidates, n_right, n_dropped
        How many were ranked, how many of those are right, and how many the rule left out, the query not counted.
    metric
        The table's: ``"cosine"`` (nearest is largest) or ``"euclidean"`` (nearest is smallest).
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
    :func:`mswin_viz.analysis.retrieval.retrieval`, whose average precision it is.

    Parameters
    ----------
    table, query
        The table, and the row that asks.
    k
        How many, at most.
    feature
        ``"plain"`` or ``"enhanced"``.
    rule
        ``"camera"`` drops rows of the query's identity and camera, ``"scene"`` of its identity and scene (as
        MSVR310 is measured), ``"none"`` nothing. A camera or scene that is not known (-1) is like no other.
    candidates
        Rows that may answer; all of the query's modality if None, of those the gallery (training rows where the
        query is one).

    Raises
    ------
    OptionError
        If the query is no row, a candidate is none, or an option is not one of those on offer.
    ShapeError
        If no candidate is left, or a feature has no direction.
    """
    ranked = _candidates(table, query, candidates)
    check_counts(1, k=k)
    features, who = _compared(table, feature, np.append(ranked, query)), _matching(table, rule)
    dropped = who.left_out(query, ranked)
    left = ranked[~dropped]
    if not len(left):
        raise ShapeError(
            f"a query needs at least one candidate: the rule {rule!r} drops all {len(ranked)} for row {query}; "
            'use rule="none" or more candidates'
        )
    similarity = np.round(similarities(features[[query]], features[left], table.metric)[0], DIGITS)
    order = np.argsort(-similarity, kind="stable")
    hits = who.same(query, left)[order]
    places = np.flatnonzero(hits) + 1
    top = left[order[:k]]
    if table.metric == "cosine":
        values = similarity[order[:k]]
    else:
        values = np.linalg.norm(features[top] - features[query], axis=1)
    return Neighbours(
        query=int(query),
        feature=feature,
        rule=rule,
        rows=top,
        similarity=values,
        right=hits[:k],
        known=(who.pids[top] >= 0) & bool(who.pids[query] >= 0),
        first_right=int(places[0]) if len(places) else None,
        average_precision=float(np.mean(np.arange(1, len(places) + 1) / places))
        if len(places)
        else float("nan"),
        n_candidates=len(left),
        n_right=len(places),
        n_dropped=int(dropped.sum()),
        metric=table.metric,
    )


def query_precisions(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    rule: str = "camera",
    stop: Stop | None = None,
    report: Report | None = None,
) -> Float[np.ndarray, " row"]:
    """Average precision of every row over all that :func:`neighbours` ranks for it; NaN where nothing is right.

    Parameters
    ----------
    table, feature, rule
        As in :func:`neighbours`.
    stop
        Asked now and then; true ends the work.
    report
        Called now and then with the queries done, of how many.

    Raises
    ------
    ShapeError
        If a feature has no direction.
    StoppedError
        If ``stop`` said so.
    """
    report = reporter(report)
    who, found, n_done = _matching(table, rule), np.full(len(table), np.nan), 0
    for asking, gallery in _rounds(table):
        if stop is not None and stop():
            raise StoppedError(f"ranking was stopped after {n_done} of {len(table)} queries")
        features = _compared(table, feature, np.concatenate([gallery, asking]))
        found[asking] = measured_queries(features, who, asking, gallery, metric=table.metric)[0]
        n_done += len(asking)
        if report is not None:
            report(Progress(n_done, len(table), f"ranking: {n_done} of {len(table)} queries"))
    return found


def ranking_notes(table: EmbeddingTable, *, rule: str = "camera") -> list[str]:
    """What to know about :func:`query_precisions` besides its numbers, in sentences.

    Over how many of the queries they are, where not over all, and why; what the rule could not do for want of numbers;
    and how many images have no row.
    """
    who, unanswered, n_asked = _matching(table, rule), Counter(), 0
    for asking, gallery in _rounds(table):
        unanswered += who.of(gallery).unanswered(asking)
        n_asked += len(asking)
    missing = sum(unanswered.values())
    words = []
    if missing:
        queries = "query has" if missing == 1 else "queries have"
        words.append(
            f"Over {n_asked - missing} of {n_asked} queries: {missing} {queries} no match "
            f"({unanswered_words(unanswered, rule)})."
        )
    return [*words, *who.notes(), *failed_words(table)]


def failed_words(table: EmbeddingTable) -> list[str]:
    """How many images have no row, and the first reason; nothing where all have one."""
    if not table.failed:
        return []
    (path, reason), n = table.failed[0], len(table.failed)
    return [
        f"{n} {'image' if n == 1 else 'images'} could not be embedded and {'is' if n == 1 else 'are'} left out, so "
        f"measures are over fewer queries than there are samples; the first: {path.name} ({reason})."
    ]


def _candidates(table: EmbeddingTable, query: int, chosen: Sequence[int] | None) -> Int[np.ndarray, " some"]:
    """The rows that may answer, without the query."""
    if not isinstance(query, (int, np.integer)) or not 0 <= query < len(table):
        raise OptionError(f"a query is one of the table's rows 0..{len(table) - 1}: got {query!r:.80}")
    if chosen is None:
        rows = _answering(table, table.modality[query], table.split[query])
    else:
        rows = chosen_rows(chosen, len(table), "candidates")
    return rows[rows != query]


def _answering(table: EmbeddingTable, modality: str, split: str) -> Int[np.ndarray, " some"]:
    """Rows of a modality that answer a query of some split, unless others are named."""
    rows = table.rows(modality)
    wanted = ("train",) if split == "train" else ("gallery", "test", "")
    return rows[np.isin(table.split[rows], wanted)]


def _rounds(table: EmbeddingTable) -> Iterator[tuple[Int[np.ndarray, " some"], Int[np.ndarray, " other"]]]:
    """Query rows, some at a time, and their candidates; queries without candidates are left out."""
    for modality in table.modalities:
        rows = table.rows(modality)
        for split in np.unique(table.split[rows]):
            asking, gallery = rows[table.split[rows] == split], _answering(table, modality, split)
            for start in range(0, len(asking) if len(gallery) else 0, _AT_ONCE):
                yield asking[start : start + _AT_ONCE], gallery


def _matching(table: EmbeddingTable, rule: str) -> Matching:
    return matching(table.pid, table.camid, rule=rule, scenes=table.scene)


def _compared(table: EmbeddingTable, feature: str, rows: np.ndarray) -> Float[np.ndarray, "row dim"]:
    """Features of every row as the table's metric compares them; those of some rows are checked."""
    features = table.compared(feature)
    bad = rows[~np.isfinite(features[rows]).all(axis=1)]
    if len(bad):
        raise ShapeError(
            f"features must be finite and of non-zero length to be ranked: got {len(bad)} that are not, the first in "
            f"row {bad[0]} ({shown_text(table.path[bad[0]].name)}); leave those rows out"
        )
    return features
