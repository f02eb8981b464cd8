"""Re-identification measures: mAP and CMC with the same-camera or same-scene rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.arrays import chosen_rows, real_numbers
from mswin_viz.analysis.measures.matching import Matching, matching, unanswered_words
from mswin_viz.analysis.measures.ranking import DIGITS, METRIC_WORDS, compared_rows, ranked, similarities
from mswin_viz.data.options import options_of
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import ArrayLike

_CHUNK = 2_000_000  # pairs of query and gallery image ranked at once


class RetrievalOptions(TypedDict, total=False):
    """Options of `retrieval` by keyword; see there."""

    query: ArrayLike | None
    gallery: ArrayLike | None
    ranks: int | Iterable[int]
    rule: str
    scenes: ArrayLike | None
    metric: str


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalRequest:
    """What `retrieval` measures; see there."""

    query: ArrayLike | None = None
    gallery: ArrayLike | None = None
    ranks: int | Iterable[int] = (1, 5, 10)
    rule: str = "camera"
    scenes: ArrayLike | None = None
    metric: str = "cosine"


@dataclass(frozen=True, eq=False)
class RetrievalReport:
    """How well a query's nearest gallery images share its identity.

    Attributes
    ----------
    mAP
        Mean average precision over the queries with a match, 0..1; NaN if there is none.
    cmc
        Rank -> fraction of those queries with a match among the first ``rank``.
    per_query_ap
        Average precision of each query, ``[n_queries]``; NaN where the gallery holds no match.
    first_match
        Rank, from 1, of each query's first match, ``[n_queries]``; NaN where there is none.
    query_pids
        Identity of each query, ``[n_queries]``; -1 where not known.
    metric, rule
        How the gallery was ranked, and the matching rule: what a query's gallery leaves out.
    unanswered
        Why queries have no match -> how many: ``"unknown"`` identity, ``"alone"`` with it in the gallery, or all
        others ``"left out"`` by the rule.
    notes
        What the rule could not do for want of numbers, in sentences.

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
        of = f" of {self.n_queries}" if self.n_answered < self.n_queries else ""
        return f"{self.n_answered}{of} {'query' if self.n_queries == 1 else 'queries'}"

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
        words = [f"mAP {self.mAP:.1%}{ranks} over {self.queries}, ranked by {METRIC_WORDS[self.metric]}."]
        return [*words, *self.unanswered_sentences(), *self.notes]

    def unanswered_sentences(self) -> list[str]:
        """How many queries have no match, and why; nothing where all have one."""
        n = self.n_queries - self.n_answered
        return [f"{n} {'query has' if n == 1 else 'queries have'} no match: {self.cause}."] if n else []

    @property
    def cause(self) -> str:
        """Why queries have no match, with their numbers; empty where all have one."""
        return unanswered_words(self.unanswered, self.rule)


def retrieval(
    features: Float[np.ndarray, "image dim"],
    pids: ArrayLike,
    camids: ArrayLike | None = None,
    **options: Unpack[RetrievalOptions],
) -> RetrievalReport:
    """Rank the gallery for each query, as re-ID evaluation does.

    By cosine the ranking is that of the Euclidean distance between L2-normalised features. A gallery image with the
    query's identity *and* camera is left out for that query (the query itself among them). Equal similarities keep the
    gallery's order. mAP and CMC are those of Zheng et al. (2015, Market-1501), over the queries with a match. Only the
    ranks of matches are looked for, a block of queries at a time: memory beside the features stays below 100 MB.

    Parameters
    ----------
    features
        One row for each image, raw.
    pids, camids
        Identity and camera of each image, whole numbers; below 0, NaN or None where not known. An image of unknown
        identity matches no image: as a query it has no match, in the gallery it is a distractor. An unknown camera is
        like no other, so that only the query itself is left out; ``notes`` says so. None: no camera is known.
    query, gallery
        Query and gallery images: their indices, or a boolean for each image; all against all if None.
    ranks
        Ranks of the CMC, from 1; 1, 5 and 10 if not given.
    rule
        ``"camera"``; ``"scene"``: identity and scene instead (MSVR310's); ``"none"``: only the query itself is
        left out.
    scenes
        Scene of each image, for that rule; as cameras where not known.
    metric
        ``"cosine"``, or ``"euclidean"``: distance of the features as they are.

    Returns
    -------
    report
        mAP and CMC, 0..1, and each query's average precision and first match.

    Raises
    ------
    ShapeError
        If the arrays' lengths differ, there is no query or gallery image, or a feature is not finite or, by cosine, has no
        direction.
    OptionError
        If an index or a rank is out of range, a pid, camera or scene is not a whole number, there is no such option, metric
        or rule, or the rule lacks its scenes.

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> report = mv.retrieval(features, pids=[1, 1, 2, 2], camids=[1, 2, 1, 2])
    >>> report.mAP, report.cmc[1]
    (1.0, 1.0)
    >>> print(report.sentences()[0])
    mAP 100.0%, Rank-1 100.0%, Rank-5 100.0%, Rank-10 100.0% over 4 queries, ranked by cosine.
    """
    request = options_of(RetrievalRequest, options, function="retrieval")
    rows, who = (
        real_numbers(features, "features", copy=False),
        matching(pids, camids, rule=request.rule, scenes=request.scenes),
    )
    if rows.ndim != 2 or len(rows) != len(who):
        raise ShapeError(
            f"retrieval needs features [n, D] and n pids and camids: got {rows.shape} and ({len(who)},)"
        )
    return report_of(compared_rows(rows, request.metric, "image"), who, request)


def report_of(
    features: Float[np.ndarray, "image dim"], who: Matching, request: RetrievalRequest
) -> RetrievalReport:
    """`retrieval` of features that are checked: as `ranking.compared_rows` gives them for the metric."""
    query = chosen_rows(request.query, len(who), "query")
    gallery, ranks = chosen_rows(request.gallery, len(who), "gallery"), _checked_ranks(request.ranks)
    ap, first, unanswered = measured_queries(features, who, query, gallery, metric=request.metric)
    answered = first[~np.isnan(first)]
    has_answers = len(answered) > 0
    return RetrievalReport(
        mAP=float(np.nanmean(ap)) if has_answers else float("nan"),
        cmc={rank: float((answered <= rank).mean()) if has_answers else float("nan") for rank in ranks},
        per_query_ap=ap,
        first_match=first,
        query_pids=who.pids[query],
        metric=request.metric,
        rule=who.rule,
        unanswered=unanswered,
        notes=who.notes(np.concatenate([query, gallery])),
    )


def measured_queries(
    features: Float[np.ndarray, "image dim"],
    who: Matching,
    query: Int[np.ndarray, " query"],
    gallery: Int[np.ndarray, " gallery"],
    *,
    metric: str,
) -> tuple[Float[np.ndarray, " query"], Float[np.ndarray, " query"], Counter[str]]:
    """Average precision and rank of the first match of each query, NaN without one; why queries have none.

    Query and gallery are rows of the features, which are as `ranking.compared_rows` gives them for the metric.
    """
    galleries = who.of(gallery)
    first_row, last_row = int(gallery[0]), int(gallery[-1])
    in_a_row = np.array_equal(gallery, np.arange(first_row, last_row + 1))
    candidates = (
        features[first_row : last_row + 1] if in_a_row else features[gallery]
    )  # a view where it can be one
    ap, first = np.full(len(query), np.nan), np.full(len(query), np.nan)
    unanswered: Counter[str] = Counter()
    step = max(1, _CHUNK // len(gallery))
    for start in range(0, len(query), step):
        block = query[start : start + step]
        similarity = similarities(features[block], candidates, metric)
        for row, (image, similar) in enumerate(zip(block, similarity, strict=True), start):
            matches, dropped = galleries.around(image)
            if len(matches):
                ranks = _ranks(similar, matches, dropped)
                ap[row], first[row] = average_precision(ranks), ranks[0]
            else:
                unanswered[galleries.cause(image, dropped)] += 1
    return ap, first, unanswered


def average_precision(ranks: Int[np.ndarray, " match"]) -> float:
    """Mean, over the matches, of the precision at their ranks (from 1, ascending), 0..1; NaN without a match."""
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else float("nan")


def _checked_ranks(ranks: Any) -> tuple[int, ...]:
    each = tuple(ranks) if isinstance(ranks, Iterable) and not isinstance(ranks, str) else (ranks,)
    if not all(isinstance(rank, (int, np.integer)) and rank >= 1 for rank in each):
        raise OptionError(f"ranks are whole numbers, counted from 1: got {ranks!r:.80}")
    return tuple(int(rank) for rank in each)


def _ranks(
    similarity: Float[np.ndarray, " gallery"],
    matches: Int[np.ndarray, " match"],
    dropped: Int[np.ndarray, " dropped"],
) -> Int[np.ndarray, " match"]:
    """Ranks of the matches, from 1, ascending, in the order of `ranking.ranked`.

    Counting is enough where nothing comes near a match; only near ties are put in order.
    """
    similarity[dropped] = -np.inf
    wanted, near = similarity[matches], 2 * 10.0**-DIGITS
    rivals = similarity[similarity >= wanted.min() - near]
    rivals.sort()
    from_above = len(rivals) - np.searchsorted(rivals, wanted + near, side="right")
    with_ties = len(rivals) - np.searchsorted(rivals, wanted - near, side="left")
    if (with_ties - from_above == 1).all():
        return np.sort(from_above) + 1
    places = np.flatnonzero(similarity >= wanted.min() - near)
    return np.flatnonzero(np.isin(places[ranked(similarity[places])], matches)) + 1
