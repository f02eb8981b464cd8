"""The record of plain against enhanced CLS in the full space, and what its numbers mean in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.paired_retrieval import (
    ALPHA,
    NO_INTERVAL,
    NO_TEST,
    unmeasured_words,
    verdict_of,
)
from mswin_viz.analysis.measures.paired_statistics import Interval, PairedTest
from mswin_viz.analysis.measures.retrieval_record import RetrievalReport
from mswin_viz.data.shown_text import counted

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Plain against enhanced features of the same ``n`` images; everything is measured in all dimensions.

    Attributes
    ----------
    plain, enhanced
        Retrieval with each; see :class:`RetrievalReport`.
    identities
        Identities with a query that has a match, ``[i]``, ascending.
    n_queries
        Answered queries of each of them, ``[i]``.
    plain_ap, enhanced_ap
        Mean average precision of each identity's queries, ``[i]``, 0..1.
    plain_interval, enhanced_interval, difference_interval
        mAP of each and enhanced minus plain, with bootstrap intervals over identities.
    test
        Paired sign-flip test of the difference, over identities.
    k
        Neighbours of the overlap.
    overlap
        Of each image: fraction of its ``k`` nearest others that stay the same, ``[n]``, 0..1.
    plain_silhouette, enhanced_silhouette
        Of each image, by identity and the metric of retrieval, ``[n]``, -1..1; NaN where an identity has one image,
        or is not known.
    cka
        Linear CKA of both, 0..1: how similar the two spaces are.
    pids
        Identity of each image, ``[n]``; -1 where not known.
    query
        Index of the image of each query, ``[q]``.
    notes
        What differs from the request, in sentences.
    plain_inp, enhanced_inp
        Mean inverse negative penalty of each identity's queries, ``[i]``, 0..1; None in a record that was made without it.
    plain_inp_interval, enhanced_inp_interval, inp_difference_interval, inp_test
        mINP of each and its change, as those of mAP, from the same draws of identities.

    Examples
    --------
    >>> table = mv.embed(model, samples[:32], modalities=["RGB"], progress=False)
    >>> compared = mv.compare(table.plain, table.enhanced, table.pid, table.camid, draws=200)
    >>> compared.plain_ap.shape, compared.enhanced_silhouette.shape, compared.k
    ((8,), (32,), 10)
    >>> identities, images = compared.to_pandas()
    >>> identities.columns.tolist()
    ['pid', 'n_queries', 'plain_ap', 'enhanced_ap', 'change', 'plain_inp', 'enhanced_inp', 'inp_change']
    >>> len(images)
    32
    """

    plain: RetrievalReport
    enhanced: RetrievalReport
    identities: Int[np.ndarray, " identity"]
    n_queries: Int[np.ndarray, " identity"]
    plain_ap: Float[np.ndarray, " identity"]
    enhanced_ap: Float[np.ndarray, " identity"]
    plain_interval: Interval
    enhanced_interval: Interval
    difference_interval: Interval
    test: PairedTest
    k: int
    overlap: Float[np.ndarray, " image"]
    plain_silhouette: Float[np.ndarray, " image"]
    enhanced_silhouette: Float[np.ndarray, " image"]
    cka: float
    pids: Int[np.ndarray, " image"]
    query: Int[np.ndarray, " query"]
    notes: tuple[str, ...]
    plain_inp: Float[np.ndarray, " identity"] | None = None
    enhanced_inp: Float[np.ndarray, " identity"] | None = None
    plain_inp_interval: Interval = NO_INTERVAL
    enhanced_inp_interval: Interval = NO_INTERVAL
    inp_difference_interval: Interval = NO_INTERVAL
    inp_test: PairedTest = NO_TEST

    @property
    def change(self) -> Float[np.ndarray, " identity"]:
        """Enhanced minus plain average precision of each identity, ``[i]``."""
        return self.enhanced_ap - self.plain_ap

    @property
    def inp_change(self) -> Float[np.ndarray, " identity"]:
        """Enhanced minus plain inverse negative penalty of each identity, ``[i]``; NaN in a record made without it."""
        n = len(self.identities)
        return _or_nan(self.enhanced_inp, n) - _or_nan(self.plain_inp, n)

    @property
    def cmc_change(self) -> Mapping[int, float]:
        """Rank -> enhanced minus plain CMC."""
        return {rank: self.enhanced.cmc[rank] - self.plain.cmc[rank] for rank in self.plain.cmc}

    @property
    def mean_silhouettes(self) -> tuple[float, float]:
        """Mean plain and enhanced silhouette over the images that have one, -1..1; NaN if none has."""
        return _mean(self.plain_silhouette), _mean(self.enhanced_silhouette)

    @property
    def unmeasured(self) -> str:
        """Why no verdict is possible; empty where one is."""
        return unmeasured_words(len(self.identities), self.plain)

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` (enhanced, by mAP) if p < 0.05 and 0 is outside the interval;
        ``"not measured: "`` and the cause where fewer than two identities have a match; else
        ``"cannot be told apart"``."""
        return verdict_of(self.difference_interval, self.test, self.unmeasured)

    def sentences(self) -> list[str]:
        """What each number says; no map is involved in any of them."""
        return [*self.notes, *_retrieval_words(self), *_space_words(self)]

    def to_pandas(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A table of identities (``pid``, ``n_queries``, ``plain_ap``, ``enhanced_ap``, ``change``, and the three of mINP) and one of images.

        The second is indexed by image and holds ``pid``, ``overlap``, ``plain_silhouette``,
        ``enhanced_silhouette``, and of queries ``plain_ap``, ``enhanced_ap``, and so on with ``inp``, ``first_match``
        and ``last_match`` (NaN elsewhere).
        """
        import pandas as pd

        identities, images = pd.DataFrame({"pid": self.identities}), pd.DataFrame({"pid": self.pids})
        for name in ("n_queries", "plain_ap", "enhanced_ap", "change"):
            identities[name] = getattr(self, name)
        for name in ("plain_inp", "enhanced_inp", "inp_change"):
            identities[name] = _or_nan(getattr(self, name), len(self.identities))
        for name in ("overlap", "plain_silhouette", "enhanced_silhouette"):
            images[name] = getattr(self, name)
        for name, report in (("plain", self.plain), ("enhanced", self.enhanced)):
            of_queries = {"ap": report.per_query_ap, "first_match": report.first_match}
            of_queries |= {"inp": report.per_query_inp, "last_match": report.last_match}
            for column, values in of_queries.items():
                images[f"{name}_{column}"] = np.nan
                images.loc[self.query, f"{name}_{column}"] = _or_nan(values, len(self.query))
        return identities, images


def _retrieval_words(comparison: Comparison) -> list[str]:
    if len(comparison.identities) == 0:
        return [f"No query has a match in the gallery: retrieval is not measured ({comparison.plain.cause})."]
    gap, test = comparison.difference_interval, comparison.test
    up, down = int((comparison.change > 0).sum()), int((comparison.change < 0).sum())
    kind = "all" if test.exact else "random"
    words = [
        f"mAP {comparison.plain.mAP:.1%} plain, {comparison.enhanced.mAP:.1%} enhanced, over {comparison.plain.queries} "
        f"({counted(len(comparison.identities), 'identities')}), ranked by "
        f"{comparison.plain.ranking_words}; change "
        f"{_points(gap.value)}{_range(gap)}.",
        *comparison.plain.unanswered_sentences(),
        f"Average precision rose for {counted(up, 'identities')} and fell for {down}.",
        "Change of "
        + ", ".join(f"Rank-{rank} {_points(change)}" for rank, change in comparison.cmc_change.items())
        + ".",
    ]
    if comparison.unmeasured:
        return [
            *words,
            "One identity has no spread, so there is no interval and no test, and a difference is not measured.",
        ]
    verdict = {
        "better": "the enhanced features retrieve better than the plain ones",
        "worse": "the enhanced features retrieve worse than the plain ones",
    }.get(comparison.verdict, _undecided(test))
    return [
        *words,
        f"Paired sign-flip test over identities ({kind} sign patterns, {test.patterns}): p = {test.p:.3g}; {verdict}.",
        *_inp_words(comparison),
    ]


def _inp_words(comparison: Comparison) -> list[str]:
    """What the hardest matches say; nothing of a record that was made without mINP."""
    gap = comparison.inp_difference_interval
    if np.isnan(gap.value):
        return []
    return [
        f"mINP {comparison.plain.mINP:.1%} plain, {comparison.enhanced.mINP:.1%} enhanced (how far down a query's last match "
        f"is); change {_points(gap.value)}{_range(gap)}, p = {comparison.inp_test.p:.3g}."
    ]


def _undecided(test: PairedTest) -> str:
    """Why nothing is told apart: the test could have, and did not, or there are too few identities for any answer."""
    least = 2 / test.patterns  # all signs alike, either way
    if test.exact and least >= ALPHA:
        return f"so few identities cannot tell the two apart, whatever the change (p is at least {least:.3g})"
    return "with these identities the two cannot be told apart"


def _space_words(comparison: Comparison) -> list[str]:
    plain, enhanced = comparison.mean_silhouettes
    silhouette = (
        f"Mean silhouette by identity {plain:.3f} plain, {enhanced:.3f} enhanced (higher: identities tighter and "
        "further apart; cameras are not told apart here)."
    )
    return [
        f"Of an image's {counted(comparison.k, 'nearest others')}, {comparison.overlap.mean():.0%} stay the same (mean over images): how "
        "much moved, not whether for the better.",
        "Silhouettes need two identities, and two images of one: not measured."
        if np.isnan(plain)
        else silhouette,
        f"Linear CKA {comparison.cka:.3f}: how alike the two spaces are, not which is better.",
    ]


def _mean(values: np.ndarray) -> float:
    measured = values[~np.isnan(values)]
    return float(measured.mean()) if len(measured) else float("nan")


def _or_nan(values: np.ndarray | None, n: int) -> np.ndarray:
    """The values; NaN for each of ``n`` where a record was made without them."""
    return np.full(n, np.nan) if values is None else values


def _points(change: float) -> str:
    return f"{100 * change:+.1f} points"


def _range(change: Interval) -> str:
    if np.isnan(change.low):
        return ""
    low, high = 100 * change.low, 100 * change.high
    return f" ({change.level:.0%} interval {low:+.1f} to {high:+.1f}, bootstrap over identities)"
