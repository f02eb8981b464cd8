"""Re-identification measures: mAP, CMC and mINP with the same-camera or same-scene rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.arrays import chosen_rows, real_numbers
from mswin_viz.analysis.measures.matching import Matching, matching
from mswin_viz.analysis.measures.ranking import (
    average_precision,
    compared_rows,
    inverse_penalty,
    match_ranks,
    queries_at_once,
    similar_blocks,
)
from mswin_viz.analysis.measures.reranking import reranked_blocks
from mswin_viz.analysis.measures.reranking_record import Reranking, check_reranking
from mswin_viz.analysis.measures.retrieval_record import RetrievalReport
from mswin_viz.data.options import options_of
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import ArrayLike


class RetrievalOptions(TypedDict, total=False):
    """Options of `retrieval` by keyword; see there."""

    query: ArrayLike | None
    gallery: ArrayLike | None
    ranks: int | Iterable[int]
    rule: str
    scenes: ArrayLike | None
    metric: str
    reranking: Reranking | None


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalRequest:
    """What `retrieval` measures; see there."""

    query: ArrayLike | None = None
    gallery: ArrayLike | None = None
    ranks: int | Iterable[int] = (1, 5, 10)
    rule: str = "camera"
    scenes: ArrayLike | None = None
    metric: str = "cosine"
    reranking: Reranking | None = None

    def __post_init__(self) -> None:
        check_reranking(self.reranking)


@dataclass(frozen=True, eq=False)
class QueryMeasures:
    """Of each query, ``[q]``: average precision, inverse negative penalty, ranks of the first and the last match; NaN without one.

    ``unanswered`` counts why queries have none.
    """

    ap: Float[np.ndarray, " query"]
    inp: Float[np.ndarray, " query"]
    first: Float[np.ndarray, " query"]
    last: Float[np.ndarray, " query"]
    unanswered: Counter[str]


def retrieval(
    features: Float[np.ndarray, "image dim"],
    pids: ArrayLike,
    camids: ArrayLike | None = None,
    **options: Unpack[RetrievalOptions],
) -> RetrievalReport:
    """Rank the gallery for each query, as re-ID evaluation does.

    By cosine the ranking is that of the Euclidean distance between L2-normalised features. A gallery image with the
    query's identity *and* camera is left out for that query (the query itself among them). Equal similarities keep the
    gallery's order. mAP and CMC are those of Zheng et al. (2015, Market-1501), mINP is that of Ye et al. (2021, the AGW
    survey); all are over the queries with a match. Only the ranks of matches are looked for, a block of queries at a
    time: memory beside the features stays below 100 MB.

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
    reranking
        Re-rank as this says (see :class:`Reranking`) before the rule is applied; not at all if None.

    Returns
    -------
    report
        mAP, CMC and mINP, 0..1, and each query's average precision, first and last match.

    Raises
    ------
    ShapeError
        If the arrays' lengths differ, there is no query or gallery image, or a feature is not finite or, by cosine, has no
        direction.
    OptionError
        If an index or a rank is out of range, a pid, camera or scene is not a whole number, there is no such option, metric
        or rule, the rule lacks its scenes, or there are too few images to re-rank.

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> report = mv.retrieval(features, pids=[1, 1, 2, 2], camids=[1, 2, 1, 2])
    >>> report.mAP, report.cmc[1]
    (1.0, 1.0)
    >>> print(report.sentences()[0])
    mAP 100.0%, Rank-1 100.0%, Rank-5 100.0%, Rank-10 100.0%, mINP 100.0% over 4 queries, ranked by cosine.
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
    found = measured_queries(
        features, who, query, gallery, metric=request.metric, reranking=request.reranking
    )
    answered = found.first[~np.isnan(found.first)]
    has_answers = len(answered) > 0
    return RetrievalReport(
        mAP=float(np.nanmean(found.ap)) if has_answers else float("nan"),
        cmc={rank: float((answered <= rank).mean()) if has_answers else float("nan") for rank in ranks},
        per_query_ap=found.ap,
        first_match=found.first,
        query_pids=who.pids[query],
        metric=request.metric,
        rule=who.rule,
        unanswered=found.unanswered,
        notes=who.notes(np.concatenate([query, gallery])),
        per_query_inp=found.inp,
        last_match=found.last,
        reranking=request.reranking,
    )


def measured_queries(
    features: Float[np.ndarray, "image dim"],
    who: Matching,
    query: Int[np.ndarray, " query"],
    gallery: Int[np.ndarray, " gallery"],
    *,
    metric: str,
    reranking: Reranking | None = None,
) -> QueryMeasures:
    """What is measured of each query.

    Query and gallery are rows of the features, which are as `ranking.compared_rows` gives them for the metric.
    """
    galleries, unanswered = who.of(gallery), Counter[str]()
    ap, inp, first, last = (np.full(len(query), np.nan) for _ in range(4))
    if reranking is None:
        blocks = similar_blocks(features, query, gallery, metric=metric)
    else:
        step = queries_at_once(len(gallery))
        blocks = reranked_blocks(features, query, gallery, reranking, metric=metric, step=step)
    rows = (similar for block in blocks for similar in block)
    for row, (image, similar) in enumerate(zip(query, rows, strict=True)):
        matches, dropped = galleries.around(image)
        if len(matches):
            similar[dropped] = -np.inf
            ranks = match_ranks(similar, matches)
            ap[row], inp[row] = average_precision(ranks), inverse_penalty(ranks)
            first[row], last[row] = ranks[0], ranks[-1]
        else:
            unanswered[galleries.cause(image, dropped)] += 1
    return QueryMeasures(ap, inp, first, last, unanswered)


def _checked_ranks(ranks: Any) -> tuple[int, ...]:
    each = tuple(ranks) if isinstance(ranks, Iterable) and not isinstance(ranks, str) else (ranks,)
    if not all(isinstance(rank, (int, np.integer)) and rank >= 1 for rank in each):
        raise OptionError(f"ranks are whole numbers, counted from 1: got {ranks!r:.80}")
    return tuple(int(rank) for rank in each)
