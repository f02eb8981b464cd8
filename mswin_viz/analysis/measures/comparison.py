"""Plain against enhanced CLS in the full space: did the add-on move images of the same identity together?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import numpy as np

from mswin_viz.analysis.arrays import check_counts, chosen_rows
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.analysis.measures.feature_spaces import (
    first_of_equals,
    linear_cka,
    neighbour_overlap,
    real_pair,
    silhouettes,
)
from mswin_viz.analysis.measures.matching import matching
from mswin_viz.analysis.measures.paired_retrieval import paired_retrieval
from mswin_viz.analysis.measures.ranking import compared_rows
from mswin_viz.analysis.measures.retrieval import RetrievalOptions, RetrievalRequest, report_of
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.errors import ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import ArrayLike

_STEPS = 5
_Result = TypeVar("_Result")


class CompareOptions(RetrievalOptions, total=False):
    """Options of `compare` by keyword; see there."""

    k: int
    draws: int
    flips: int
    seed: int
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The options of `compare` that are not those of `retrieval`."""

    k: int = 10
    draws: int = 2000
    flips: int = 10_000
    seed: int = 0
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        check_counts(1, k=self.k, draws=self.draws, flips=self.flips)
        check_counts(0, seed=self.seed)


def compare(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image wide"],
    pids: ArrayLike,
    camids: ArrayLike | None = None,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """Retrieval, neighbours, silhouettes and similarity of both spaces, with intervals and a test over identities.

    All measures are those of L2-normalised features (of raw ones with ``metric="euclidean"``) in all dimensions; no map
    is involved.

    Parameters
    ----------
    plain, enhanced
        CLS of the same images without and with the add-on.
    pids, camids, query, gallery, rule, scenes, metric, ranks, reranking
        As in :func:`retrieval`. Neighbour overlap, silhouettes and CKA are over all images, by the same metric. An image of
        unknown identity is like no other: a distractor, and a cluster by itself.
    k
        Neighbours of the overlap, 10 if not given; fewer, with a note, where there are few images.
    draws
        Of the bootstrap over identities, 2,000 if not given.
    flips
        Random sign patterns of the paired test, where there are too many to try all; 10,000 if not given.
    seed
        Of draws and flips.
    report, stop
        ``report(progress)`` is called (see :class:`mswin_viz.Progress`), and ``stop()`` asked, after each of
        five steps.

    Returns
    -------
    comparison
        Retrieval with both, intervals and test; ``comparison.sentences()`` says what the numbers say.

    Raises
    ------
    ShapeError
        If arrays do not fit, or there are fewer than two images.
    OptionError
        If an option is out of range, or there is no such option.
    StoppedError
        If a stop was asked for.

    Examples
    --------
    >>> table = mv.embed(model, samples[:48], modalities=["TI"], progress=False)
    >>> compared = mv.compare(table.plain, table.enhanced, table.pid, table.camid, draws=200)
    >>> compared.plain.n_queries, len(compared.identities), compared.overlap.shape
    (48, 12, (48,))
    >>> round(100 * compared.plain.mAP), round(100 * compared.enhanced.mAP), compared.verdict  # percent
    (94, 96, 'cannot be told apart')
    """
    retrieving, rest = _split(options)
    plain, enhanced = real_pair(plain, enhanced)
    a, b = (
        compared_rows(rows, retrieving.metric, name)
        for rows, name in ((plain, "plain"), (enhanced, "enhanced"))
    )
    if len(a) < 2:
        raise ShapeError(f"a comparison needs at least two images: got {len(a)}; add images")
    who = matching(pids, camids, rule=retrieving.rule, scenes=retrieving.scenes)
    if len(who) != len(a):
        raise ShapeError(
            f"a comparison needs one pid for each of {counted(len(a), 'images')}: got ({len(who)},)"
        )
    steps = StepCounter(_STEPS, reporter(rest.report), rest.stop, "comparing plain with enhanced")
    before, after = (_step(steps, report_of(rows, who, retrieving)) for rows in (a, b))
    paired = _step(steps, paired_retrieval(before, after, draws=rest.draws, flips=rest.flips, seed=rest.seed))
    near = min(rest.k, len(a) - 1)
    overlap = _step(steps, neighbour_overlap(a, b, k=near))
    return Comparison(
        **vars(paired),
        k=near,
        overlap=overlap,
        plain_silhouette=silhouettes(a, who.identities, metric=retrieving.metric),
        enhanced_silhouette=silhouettes(b, who.identities, metric=retrieving.metric),
        cka=_step(steps, linear_cka(a, b)),
        pids=who.pids,
        query=chosen_rows(retrieving.query, len(a), "query"),
        notes=(*_notes(plain, enhanced, rest.k, near), *before.notes),
    )


def _split(options: CompareOptions) -> tuple[RetrievalRequest, _Request]:
    """The options of `retrieval`, and the rest."""
    names = [field.name for field in fields(RetrievalRequest)]
    retrieving: dict[str, Any] = {name: value for name, value in options.items() if name in names}
    rest = {name: value for name, value in options.items() if name not in names}
    return RetrievalRequest(**retrieving), options_of(_Request, rest, function="compare", also=names)


def _step(steps: StepCounter, result: _Result) -> _Result:
    """The result of a step, which is counted; or a stop."""
    if steps.passed(1):
        raise StoppedError(
            f"stopped on request after {steps.done} of {counted(steps.total, 'steps')} of the comparison"
        )
    return result


def _notes(plain: np.ndarray, enhanced: np.ndarray, wanted: int, used: int) -> Iterator[str]:
    n = len(plain)
    if used < wanted:
        yield f"Overlap of {counted(wanted, 'neighbours')} was asked for; {counted(n, 'images allow', 'image allows')} {used}, which were used."
    again = int((first_of_equals(plain, enhanced) != np.arange(n)).sum())
    if again:
        yield (
            f"{n_of(again, n, 'images')} {'equals' if again == 1 else 'equal'} an earlier one in both spaces (as where the query set is the gallery); "
            f"here {'it counts' if again == 1 else 'they count'} each time, as {'a neighbour' if again == 1 else 'neighbours'} too."
        )
