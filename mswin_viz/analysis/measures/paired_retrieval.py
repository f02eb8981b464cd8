"""Two retrievals of the same queries, paired: intervals over identities and tests of the changes of mAP and mINP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.paired_statistics import (
    Interval,
    PairedTest,
    bootstrap_means,
    holm,
    interval,
    sign_flip,
)
from mswin_viz.analysis.measures.retrieval_record import RetrievalReport
from mswin_viz.data.shown_text import counted

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

NOT_MEASURED = "not measured"
"""How a verdict begins where fewer than two identities have a match."""
ALPHA = 0.05
"""Below it a p is taken for a difference."""
NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"), 0.95)
NO_TEST = PairedTest(float("nan"), float("nan"), 0, True)


@dataclass(frozen=True, eq=False, kw_only=True)
class PairedRetrieval:
    """Retrieval by plain and by enhanced features, over the same queries.

    Attributes
    ----------
    plain, enhanced
        Retrieval with each; see :class:`RetrievalReport`.
    identities
        Identities with a query that has a match, ``[i]``, ascending.
    n_queries
        Answered queries of each of them, ``[i]``.
    plain_ap, enhanced_ap, plain_inp, enhanced_inp
        Mean average precision and mean inverse negative penalty of each identity's queries, ``[i]``, 0..1.
    plain_interval, enhanced_interval, difference_interval
        mAP of each and enhanced minus plain, with bootstrap intervals over identities.
    test
        Paired sign-flip test of the change of mAP, over identities.
    plain_inp_interval, enhanced_inp_interval, inp_difference_interval, inp_test
        The same of mINP, from the same draws.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> found = mv.cross_modality(table, draws=200).cells["NI", "RGB"]
    >>> found.plain.n_queries, found.identities.shape, found.verdict
    (24, (6,), 'cannot be told apart')
    """

    plain: RetrievalReport
    enhanced: RetrievalReport
    identities: Int[np.ndarray, " identity"]
    n_queries: Int[np.ndarray, " identity"]
    plain_ap: Float[np.ndarray, " identity"]
    enhanced_ap: Float[np.ndarray, " identity"]
    plain_inp: Float[np.ndarray, " identity"]
    enhanced_inp: Float[np.ndarray, " identity"]
    plain_interval: Interval
    enhanced_interval: Interval
    difference_interval: Interval
    test: PairedTest
    plain_inp_interval: Interval
    enhanced_inp_interval: Interval
    inp_difference_interval: Interval
    inp_test: PairedTest

    @property
    def unmeasured(self) -> str:
        """Why no verdict is possible; empty where one is."""
        return unmeasured_words(len(self.identities), self.plain)

    @property
    def verdict(self) -> str:
        """By mAP: ``"better"``, ``"worse"``, ``"cannot be told apart"``, or ``"not measured: "`` and why, as :attr:`Comparison.verdict`."""
        return verdict_of(self.difference_interval, self.test, self.unmeasured)


def paired_retrieval(
    before: RetrievalReport, after: RetrievalReport, *, draws: int, flips: int, seed: int
) -> PairedRetrieval:
    """Changes of mAP and mINP on the identities with an answered query: one draw of identities serves all of them."""
    answered = ~np.isnan(before.per_query_ap)
    identities, owner, counts = np.unique(
        before.query_pids[answered], return_inverse=True, return_counts=True
    )
    columns = []
    for name in ("per_query_ap", "per_query_inp"):
        plain, enhanced = (getattr(report, name)[answered] for report in (before, after))
        columns += [plain, enhanced, enhanced - plain]
    n = len(identities)
    sums = np.stack([np.bincount(owner, weights=column, minlength=n) for column in columns], axis=1)
    drawn = bootstrap_means(sums, counts, draws=draws, seed=seed) if n > 1 else None
    values = [
        before.mAP,
        after.mAP,
        after.mAP - before.mAP,
        before.mINP,
        after.mINP,
        after.mINP - before.mINP,
    ]
    names = ("plain", "enhanced", "difference", "plain_inp", "enhanced_inp", "inp_difference")
    means = sums / counts[:, None]
    return PairedRetrieval(
        plain=before,
        enhanced=after,
        identities=identities,
        n_queries=counts,
        plain_ap=means[:, 0],
        enhanced_ap=means[:, 1],
        plain_inp=means[:, 3],
        enhanced_inp=means[:, 4],
        test=sign_flip(sums[:, 2], counts, flips=flips, seed=seed),
        inp_test=sign_flip(sums[:, 5], counts, flips=flips, seed=seed),
        **{
            f"{name}_interval": interval(value, None if drawn is None else drawn[:, column])
            for column, (name, value) in enumerate(zip(names, values, strict=True))
        },
    )


def paired_row(found: PairedRetrieval) -> dict[str, float | int | str]:
    """A line of a table: measures are fractions; ``low`` and ``high`` end the 95 % interval of the change of mAP."""
    gap, inp_gap = found.difference_interval, found.inp_difference_interval
    line: dict[str, float | int | str] = {
        "n_queries": found.plain.n_answered,
        "n_asked": found.plain.n_queries,
        "plain_mAP": found.plain.mAP,
        "enhanced_mAP": found.enhanced.mAP,
        "change": gap.value,
        "low": gap.low,
        "high": gap.high,
        "p": found.test.p,
        "verdict": found.verdict,
        "plain_mINP": found.plain.mINP,
        "enhanced_mINP": found.enhanced.mINP,
        "mINP_change": inp_gap.value,
        "mINP_low": inp_gap.low,
        "mINP_high": inp_gap.high,
        "mINP_p": found.inp_test.p,
    }
    for name, report in (("plain", found.plain), ("enhanced", found.enhanced)):
        line |= {f"{name}_rank{rank}": value for rank, value in report.cmc.items()}
    return line


def paired_frame(cells: Sequence[PairedRetrieval]) -> pd.DataFrame:
    """A line for each; ``p_adjusted`` is p after Holm's correction for all of them."""
    import pandas as pd  # slow to import

    frame = pd.DataFrame([paired_row(found) for found in cells])
    frame.insert(frame.columns.tolist().index("p") + 1, "p_adjusted", holm([found.test.p for found in cells]))
    return frame


def family_words(cells: Mapping[str, PairedRetrieval]) -> list[str]:
    """Which changes of mAP are left after Holm's correction for all of them, by name; nothing where there is one test."""
    p = {name: found.test.p for name, found in cells.items() if not found.unmeasured}
    if len(p) < 2:
        return []
    adjusted = dict(zip(p, holm(list(p.values())), strict=True))
    left = [
        name for name, one in adjusted.items() if one < ALPHA and cells[name].verdict in ("better", "worse")
    ]
    told = f"these changes are left: {'; '.join(left)}" if left else "no change is left"
    return [
        f"Each p is of one test by itself. After Holm's correction for {counted(len(p), 'tests')}, {told}."
    ]


def paired_words(found: PairedRetrieval) -> str:
    """mAP, its change with interval and p, and mINP, in one line."""
    if len(found.identities) == 0:
        return f"{NOT_MEASURED}: {found.unmeasured}"
    gap = found.difference_interval
    span = (
        ""
        if np.isnan(gap.low)
        else f" ({gap.level:.0%} interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    )
    chance = f", p = {found.test.p:.3g}" if len(found.identities) > 1 else ""
    return (
        f"mAP {found.plain.mAP:.1%} plain, {found.enhanced.mAP:.1%} enhanced, change {100 * gap.value:+.1f} points{span}{chance}; "
        f"mINP {found.plain.mINP:.1%} and {found.enhanced.mINP:.1%}, over {found.plain.queries}: {found.verdict}"
    )


def unmeasured_words(n_identities: int, report: RetrievalReport) -> str:
    """Why so few identities allow no verdict; empty where they do."""
    if n_identities == 0:
        return f"no query has a match ({report.cause})"
    if n_identities == 1:
        rest = f" ({report.cause})" if report.cause else ""
        return f"only one identity has a match, and a test needs two{rest}"
    return ""


def verdict_of(change: Interval, test: PairedTest, unmeasured: str) -> str:
    """``"better"``, ``"worse"`` or ``"cannot be told apart"``; or that it is not measured, and why."""
    if unmeasured:
        return f"{NOT_MEASURED}: {unmeasured}"
    if test.p < ALPHA and (change.low > 0 or change.high < 0):
        return "better" if change.value > 0 else "worse"
    return "cannot be told apart"
