"""The record of a retrieval: mAP, CMC and mINP, query by query, and over which queries they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.matching import unanswered_words
from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.analysis.measures.reranking_record import Reranking
from mswin_viz.data.shown_text import counted, n_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class RetrievalReport:
    """How well a query's nearest gallery images share its identity.

    Attributes
    ----------
    mAP
        Mean average precision over the queries with a match, 0..1; NaN if no query has one.
    cmc
        Rank -> fraction of those queries with a match among the first ``rank``.
    per_query_ap
        Average precision of each query, ``[n_queries]``; NaN where the gallery holds no match.
    first_match, last_match
        Rank, from 1, of each query's first and last match, ``[n_queries]``; NaN for a query without a match. The last is None in a
        record that was made without it.
    query_pids
        Identity of each query, ``[n_queries]``; -1 where not known.
    metric, rule
        How the gallery was ranked, and the matching rule: what a query's gallery leaves out.
    unanswered
        Why queries have no match -> how many: ``"unknown"`` identity, ``"alone"`` with it in the gallery, or all
        others ``"left out"`` by the rule.
    notes
        What the rule could not do for want of numbers, in sentences.
    per_query_inp
        Inverse negative penalty of each query: its matches divided by the rank of the last one, ``[n_queries]``; NaN
        for a query without a match. None in a record that was made without it.
    reranking
        How the ranked lists were re-ranked; None if they were not.

    Examples
    --------
    >>> table = mv.embed(model, samples[:32], modalities=["RGB"], progress=False)
    >>> report = mv.retrieval(table.enhanced, table.pid, table.camid)
    >>> sorted(report.cmc), report.per_query_ap.shape, report.queries
    ([1, 5, 10], (32,), '32 queries')
    >>> sorted(report.per_identity_ap)
    [1, 2, 3, 4, 5, 6, 7, 8]
    """

    mAP: float  # noqa: N815 (the field's name)
    cmc: Mapping[int, float]
    per_query_ap: Float[np.ndarray, " query"]
    first_match: Float[np.ndarray, " query"]
    query_pids: Int[np.ndarray, " query"]
    metric: str = "cosine"
    rule: str = "camera"
    unanswered: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    per_query_inp: Float[np.ndarray, " query"] | None = None
    last_match: Float[np.ndarray, " query"] | None = None
    reranking: Reranking | None = None

    @property
    def mINP(self) -> float:  # noqa: N802 (the field's name)
        """Mean inverse negative penalty over the queries with a match (Ye et al., 2021), 0..1; NaN if no query has one.

        It says how far down the hardest match of a query is: 1 if all matches stand before everything else.
        """
        if self.per_query_inp is None or self.n_answered == 0:
            return float("nan")
        return float(np.nanmean(self.per_query_inp))

    @property
    def ranking_words(self) -> str:
        """By what the gallery was ranked: the metric, and the re-ranking if there was one."""
        return METRIC_WORDS[self.metric] + (f", {self.reranking.words}" if self.reranking else "")

    @property
    def n_queries(self) -> int:
        """How many queries there are."""
        return len(self.per_query_ap)

    @property
    def n_answered(self) -> int:
        """How many of them have a match; the measures are over these."""
        return int((~np.isnan(self.per_query_ap)).sum())

    @property
    def queries(self) -> str:
        """Over how many queries the measures are, such as ``"96 of 120 queries"``, or ``"120 queries"``."""
        if self.n_answered < self.n_queries:
            return n_of(self.n_answered, self.n_queries, "queries")
        return counted(self.n_queries, "queries")

    @property
    def per_identity_ap(self) -> dict[int, float]:
        """Identity -> mean average precision of its queries, 0..1; NaN where none of them has a match.

        Queries of unknown identity are left out.
        """
        known = self.query_pids >= 0
        pids, owner = np.unique(self.query_pids[known], return_inverse=True)
        ap = self.per_query_ap[known]
        answered = ~np.isnan(ap)
        sums = np.bincount(owner, weights=np.where(answered, ap, 0))
        counts = np.bincount(owner, weights=answered)
        with np.errstate(invalid="ignore"):
            return dict(zip(pids.tolist(), (sums / counts).tolist(), strict=True))

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """What was measured, over how many queries, and why not over all."""
        if self.n_answered == 0:
            return [f"Retrieval is not measured: no query has a match; {self.cause}.", *self.notes]
        ranks = "".join(f", Rank-{rank} {value:.1%}" for rank, value in self.cmc.items())
        inp = "not measured" if np.isnan(self.mINP) else f"{self.mINP:.1%}"
        words = [
            f"mAP {self.mAP:.1%}{ranks}, mINP {inp} over {self.queries}, ranked by {self.ranking_words}."
        ]
        return [*words, *self.unanswered_sentences(), *self.notes]

    def unanswered_sentences(self) -> list[str]:
        """How many queries have no match, and why; nothing where all have one."""
        n = self.n_queries - self.n_answered
        return [f"{counted(n, 'queries have', 'query has')} no match: {self.cause}."] if n else []

    @property
    def cause(self) -> str:
        """Why queries have no match, with their numbers; empty where all have one."""
        return unanswered_words(self.unanswered, self.rule)
