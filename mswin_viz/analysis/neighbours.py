"""A row's nearest neighbours in a table of embeddings, with right and wrong marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.kept_tokens import KeptTokens
from mswin_viz.analysis.pair_shares import PairShares, SideShares, pair_window_shares
from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError, ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = [
    "MARKS",
    "RULES",
    "KeptTokens",
    "Neighbours",
    "PairShares",
    "SideShares",
    "neighbours",
    "pair_window_shares",
    "query_precisions",
]

RULES = ("camera", "scene", "none")
"""What is dropped with the query's identity: its own camera, its own scene, or nothing but the query itself."""
MARKS = ("right", "wrong", "unknown")
_DIGITS = 12  # as in retrieval: similarities equal to so many decimals tie
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
        Cosines, ``[k]``.
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
    """Rank rows of a table by their cosine with one of them, as re-ID evaluation does.

    The query itself is never its own neighbour. Equal cosines keep the candidates' order, as in
    :func:`mswin_viz.analysis.retrieval.retrieval`, from which the average precision comes.

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
    if k < 1:
        raise OptionError(f"k counts neighbours, at least 1: got {k}")
    unit, groups = _checked_units(table, feature, np.append(ranked, query)), _groups(table, rule)
    same = (table.pid[ranked] == table.pid[query]) & (table.pid[query] >= 0)
    dropped = same & (groups[ranked] == groups[query])
    left = ranked[~dropped]
    if not len(left):
        raise ShapeError(
            f"a query needs at least one candidate: the rule {rule!r} drops all {len(ranked)} for row {query}; "
            'use rule="none" or more candidates'
        )
    similarity = np.round(unit[left] @ unit[query], _DIGITS)
    order = np.argsort(-similarity, kind="stable")
    hits = same[~dropped][order]
    first = int(hits.argmax()) + 1 if hits.any() else None
    top = left[order[:k]]
    return Neighbours(
        query=int(query),
        feature=feature,
        rule=rule,
        rows=top,
        similarity=similarity[order[:k]],
        right=hits[:k],
        known=(table.pid[top] >= 0) & bool(table.pid[query] >= 0),
        first_right=first,
        average_precision=_precision(table, query, left, feature),
        n_candidates=len(left),
        n_right=int(hits.sum()),
        n_dropped=int(dropped.sum()),
    )


def query_precisions(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    rule: str = "camera",
    stop: Callable[[], bool] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, " row"]:
    """Average precision of every row over all that :func:`neighbours` ranks for it; NaN where nothing is right.

    Parameters
    ----------
    table, feature, rule
        As in :func:`neighbours`.
    stop
        Asked now and then; true ends the work.
    report
        Called now and then with how many rows are done, of how many.

    Raises
    ------
    ShapeError
        If a feature has no direction.
    StoppedError
        If ``stop`` said so.
    """
    groups, pids = _groups(table, rule), _identities(table)
    found, n_done = np.full(len(table), np.nan), 0
    for asking, gallery in _rounds(table):
        if stop is not None and stop():
            raise StoppedError(f"ranking was stopped after {n_done} of {len(table)} queries")
        rows = np.concatenate([gallery, asking])
        unit, at = _checked_units(table, feature, rows)[rows], np.arange(len(rows))
        parts = {"query": at[len(gallery) :], "gallery": at[: len(gallery)]}
        found[asking] = retrieval(unit, pids[rows], groups[rows], **parts).per_query_ap
        n_done += len(asking)
        if report is not None:
            report(n_done, len(table))
    return found


def _candidates(table: EmbeddingTable, query: int, chosen: Sequence[int] | None) -> Int[np.ndarray, " some"]:
    """The rows that may answer, without the query."""
    if not 0 <= query < len(table):
        raise OptionError(f"a query is one of the table's rows 0..{len(table) - 1}: got {query}")
    rows = (
        _answering(table, table.modality[query], table.split[query]) if chosen is None else np.asarray(chosen)
    )
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= len(table))).any():
        raise OptionError(f"candidates are rows of the table, 0..{len(table) - 1}: got {chosen!r:.80}")
    return rows[rows != query]


def _answering(table: EmbeddingTable, modality: str, split: str) -> Int[np.ndarray, " some"]:
    """Rows of a modality that answer a query of some split, unless others are named."""
    rows = table.rows(modality)
    wanted = ("train",) if split == "train" else ("gallery", "test", "")
    return rows[np.isin(table.split[rows], wanted)]


def _rounds(table: EmbeddingTable) -> Iterator[tuple[Int[np.ndarray, " some"], Int[np.ndarray, " other"]]]:
    """Rows that ask, some at a time, and the rows that answer them; rows that nobody answers are left out."""
    for modality in table.modalities:
        rows = table.rows(modality)
        for split in np.unique(table.split[rows]):
            asking, gallery = rows[table.split[rows] == split], _answering(table, modality, split)
            for start in range(0, len(asking) if len(gallery) else 0, _AT_ONCE):
                yield asking[start : start + _AT_ONCE], gallery


def _groups(table: EmbeddingTable, rule: str) -> Int[np.ndarray, " row"]:
    """Rows of one identity and one group are not asked of each other; what is not known is a group of its own."""
    if rule not in RULES:
        raise OptionError(f"rule must be one of {', '.join(RULES)}: got {rule!r}")
    alone = -1 - np.arange(len(table))
    if rule == "none":
        return alone
    numbers = table.camid if rule == "camera" else table.scene
    return np.where(numbers >= 0, numbers, alone)


def _identities(table: EmbeddingTable) -> Int[np.ndarray, " row"]:
    """Identities; each unknown one is like no other."""
    return np.where(table.pid >= 0, table.pid, -1 - np.arange(len(table)))


def _precision(table: EmbeddingTable, query: int, left: np.ndarray, feature: str) -> float:
    """Of one query, over candidates from which the rule has dropped what it drops."""
    rows = np.append(left, query)
    features, alone = table.unit(feature)[rows], np.arange(len(rows))
    report = retrieval(features, _identities(table)[rows], alone, query=[len(left)], gallery=alone[:-1])
    return float(report.per_query_ap[0])


def _checked_units(table: EmbeddingTable, feature: str, rows: np.ndarray) -> Float[np.ndarray, "row dim"]:
    unit = table.unit(feature)
    bad = rows[~np.isfinite(unit[rows]).all(axis=1)]
    if len(bad):
        raise ShapeError(
            f"features must be finite and of some length to be ranked: got {len(bad)} that are not, the first in "
            f"row {bad[0]} ({shown_text(table.path[bad[0]].name)}); leave those rows out"
        )
    return unit
