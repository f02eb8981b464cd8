"""Plain against enhanced CLS in the full space: did the add-on move images of the same identity together?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mswin_viz.analysis.arrays import check_counts, chosen_rows
from mswin_viz.analysis.comparison_record import Comparison
from mswin_viz.analysis.feature_spaces import (
    first_of_equals,
    linear_cka,
    neighbour_overlap,
    real_pair,
    silhouettes,
)
from mswin_viz.analysis.matching import matching
from mswin_viz.analysis.paired_statistics import bootstrap_means, interval, sign_flip
from mswin_viz.analysis.ranking import compared_rows
from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.analysis.watching import Report, Stop, Watch
from mswin_viz.errors import ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Comparison", "compare"]

_STEPS = 5
_Result = TypeVar("_Result")


def compare(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image dim"],
    pids: Sequence[int],
    camids: Sequence[int] | None = None,
    *,
    query: Sequence[int] | None = None,
    gallery: Sequence[int] | None = None,
    rule: str = "camera",
    scenes: Sequence[int] | None = None,
    metric: str = "cosine",
    ranks: Sequence[int] = (1, 5, 10),
    k: int = 10,
    draws: int = 2000,
    flips: int = 10_000,
    seed: int = 0,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Comparison:
    """Retrieval, neighbours, silhouettes and similarity of both spaces, with intervals and a test over identities.

    All measures are those of L2-normalised features (of raw ones with ``metric="euclidean"``) in all dimensions; no
    map is involved.

    Parameters
    ----------
    plain, enhanced
        CLS of the same images without and with the add-on.
    pids, camids, query, gallery, rule, scenes, metric, ranks
        As in `retrieval`. Neighbour overlap, silhouettes and CKA are over all images, by the same metric. An image of
        unknown identity is like no other: a distractor, and a cluster by itself.
    k
        Neighbours of the overlap; fewer, and said, where there are few images.
    draws
        Of the bootstrap over identities.
    flips
        Random sign patterns of the paired test, where there are too many to try all.
    seed
        Of draws and flips.
    report, stop
        ``report(done, total)`` is called, and ``stop()`` asked, after each of five steps.

    Raises
    ------
    ShapeError
        If arrays do not fit, or there are fewer than two images.
    OptionError
        If an option is out of range.
    StoppedError
        If a stop was asked for.
    """
    plain, enhanced = real_pair(plain, enhanced)
    a, b = compared_rows(plain, metric, "plain"), compared_rows(enhanced, metric, "enhanced")
    check_counts(1, k=k, draws=draws, flips=flips)
    check_counts(0, seed=seed)
    if len(a) < 2:
        raise ShapeError(f"a comparison needs at least two images: got {len(a)}; add images")
    watch, near = Watch(_STEPS, report, stop), min(k, len(a) - 1)
    who = matching(pids, camids, rule=rule, scenes=scenes)
    options = {
        "query": query,
        "gallery": gallery,
        "ranks": ranks,
        "rule": rule,
        "scenes": scenes,
        "metric": metric,
    }
    before, after = (_step(watch, retrieval(some, pids, camids, **options)) for some in (a, b))
    identities, sums, counts = _by_identity(before.per_query_ap, after.per_query_ap, before.query_pids)
    drawn = bootstrap_means(sums, counts, draws=draws, seed=seed) if len(counts) > 1 else None
    values = (before.mAP, after.mAP, after.mAP - before.mAP)
    return Comparison(
        before,
        after,
        identities,
        counts,
        sums[:, 0] / counts,
        sums[:, 1] / counts,
        *(interval(value, None if drawn is None else drawn[:, at]) for at, value in enumerate(values)),
        _step(watch, sign_flip(sums[:, 2], counts, flips=flips, seed=seed)),
        near,
        _step(watch, neighbour_overlap(a, b, k=near)),
        silhouettes(a, who.identities, metric=metric),
        silhouettes(b, who.identities, metric=metric),
        _step(watch, linear_cka(a, b)),
        who.pids,
        chosen_rows(query, len(a), "query"),
        (*_notes(plain, enhanced, k, near), *before.notes),
    )


def _step(watch: Watch, result: _Result) -> _Result:
    """Count a step that is done.

    Raises
    ------
    StoppedError
        If a stop was asked for.
    """
    if watch.passed(1):
        raise StoppedError(f"stopped on request after {watch.done} of {watch.total} steps of the comparison")
    return result


def _notes(plain: np.ndarray, enhanced: np.ndarray, asked: int, near: int) -> Iterator[str]:
    n = len(plain)
    if near < asked:
        yield f"Overlap of {asked} neighbours was asked for; {n} images allow {near}, which were used."
    again = int((first_of_equals(plain, enhanced) != np.arange(n)).sum())
    if again:
        yield (
            f"{again} of {n} images equal an earlier one in both spaces (as where the query set is the gallery); "
            "here they count each time, as neighbours too."
        )


def _by_identity(
    before: np.ndarray, after: np.ndarray, pids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identities with an answered query; sums of plain, enhanced and changed AP over their queries; query counts."""
    answered = ~np.isnan(before)
    identities, of, counts = np.unique(pids[answered], return_inverse=True, return_counts=True)
    columns = (before[answered], after[answered], (after - before)[answered])
    sums = np.stack([np.bincount(of, weights=some, minlength=len(identities)) for some in columns], axis=1)
    return identities, sums, counts
