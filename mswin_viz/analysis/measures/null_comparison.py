"""The trained add-on against add-ons that learned nothing: does it do more than any change does?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from mswin_viz.analysis.measures.comparison import CompareOptions, compare
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.data.progress import StepCounter, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, StoppedError

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class NullComparison:
    """Plain against enhanced, and the same with every null in place of the trained add-on.

    Attributes
    ----------
    trained
        Plain against enhanced.
    nulls
        Name -> plain against the features of that null.
    against
        Name -> that null (as ``plain``) against the trained add-on (as ``enhanced``).

    Examples
    --------
    >>> table = mv.embed(model, samples[:16], modalities=["RGB"], progress=False)
    >>> images = model.encode([sample.images["RGB"] for sample in samples[:16]])
    >>> nulls, who = mv.null_features(model, images, seeds=2), (table.pid, table.camid)
    >>> against = mv.compare_with_nulls(table.plain, table.enhanced, nulls, *who, draws=200)
    >>> against.to_pandas().index.tolist()
    ['trained', 'shuffled, seed 0', 'shuffled, seed 1', 'untrained, seed 0', 'untrained, seed 1', 'zero shift']
    """

    trained: Comparison
    nulls: Mapping[str, Comparison]
    against: Mapping[str, Comparison]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each add-on, the trained one first.

        ``mAP``, ``change`` from plain and its interval ``low``, ``high``, ``p`` of that change, ``rank1``, ``mINP``,
        ``mINP_change`` and ``mINP_p`` of that, ``overlap``, ``silhouette``, ``cka``; and of nulls ``trained_minus_null`` and ``p_trained_minus_null``.
        """
        import pandas as pd

        rows = {"trained": self.trained, **self.nulls}
        table = pd.DataFrame.from_dict(
            {name: _row(comparison) for name, comparison in rows.items()}, orient="index"
        )
        tests = {name: comparison.test for name, comparison in self.against.items()}
        table["trained_minus_null"] = pd.Series({name: test.difference for name, test in tests.items()})
        table["p_trained_minus_null"] = pd.Series({name: test.p for name, test in tests.items()})
        return table

    def sentences(self) -> list[str]:
        """What the trained add-on does that add-ons without training do not."""
        change = self.trained.difference_interval.value
        if np.isnan(change):
            return [f"Nothing was measured, so nothing can be compared: {self.trained.unmeasured}."]
        changes = np.array([comparison.difference_interval.value for comparison in self.nulls.values()])
        n_as_much = int((changes >= change).sum())
        as_good = [name for name, comparison in self.against.items() if comparison.verdict != "better"]
        words = [
            f"Change of mAP from plain, over {self.trained.plain.queries}: trained {100 * change:+.1f} points; "
            f"{counted(len(changes), 'add-ons')} that learned "
            f"nothing {100 * changes.min():+.1f} to {100 * changes.max():+.1f} points.",
            f"{n_as_much} of them {'raises' if n_as_much == 1 else 'raise'} mAP at least as much as the trained one.",
        ]
        if self.trained.unmeasured:
            return [*words, f"Whether that is beyond chance is not measured: {self.trained.unmeasured}."]
        if as_good:
            return [
                *words,
                f"The trained add-on does not retrieve better, beyond chance, than: {'; '.join(as_good)}.",
            ]
        return [*words, "The trained add-on retrieves better, beyond chance, than each of them."]


def compare_with_nulls(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image wide"],
    nulls: Mapping[str, Float[np.ndarray, "image wide"]],
    pids: ArrayLike,
    camids: ArrayLike | None = None,
    **options: Unpack[CompareOptions],
) -> NullComparison:
    """:func:`compare` of plain with enhanced, of plain with each null, and of each null with enhanced.

    Parameters
    ----------
    plain, enhanced, pids, camids
        As in :func:`compare`.
    nulls
        Name -> features ``[n, D]``, as :func:`null_features` gives them.
    options
        Of :func:`compare`. ``report`` is called, and ``stop`` asked, between comparisons.

    Returns
    -------
    nulls
        Whether the trained add-on does what an add-on of the same form does without training.

    Raises
    ------
    OptionError
        If there is no null, or nulls have no names.
    ShapeError
        If arrays do not fit.
    StoppedError
        If a stop was asked for.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> who = (table.pid, table.camid)
    >>> nulls = {"noise": np.random.default_rng(0).normal(size=table.plain.shape)}
    >>> against = mv.compare_with_nulls(table.plain, table.enhanced, nulls, *who, draws=200)
    >>> against.against["noise"].verdict  # the add-on against noise
    'better'
    >>> print(against.sentences()[-1])
    The trained add-on retrieves better, beyond chance, than each of them.
    """
    if not isinstance(nulls, Mapping):
        raise OptionError(
            f"nulls are a dictionary, name -> features, as mv.null_features gives it: got {type(nulls).__name__}"
        )
    if not nulls:
        raise OptionError("there must be at least one null to compare with: got an empty dictionary")
    report, stop = reporter(options.pop("report", None)), options.pop("stop", None)
    steps = StepCounter(1 + 2 * len(nulls), report, stop, "comparing with nulls")

    def compared(a: np.ndarray, b: np.ndarray) -> Comparison:
        if steps.stopping():
            raise StoppedError(
                f"stopped on request after {steps.done} of {counted(steps.total, 'comparisons')}"
            )
        comparison = compare(a, b, pids, camids, **options)
        steps.passed(1)
        return comparison

    trained = compared(plain, enhanced)
    changes = {name: compared(plain, null) for name, null in nulls.items()}
    return NullComparison(trained, changes, {name: compared(null, enhanced) for name, null in nulls.items()})


def _row(comparison: Comparison) -> dict[str, float]:
    change = comparison.difference_interval
    return {
        "mAP": comparison.enhanced.mAP,
        "change": change.value,
        "low": change.low,
        "high": change.high,
        "p": comparison.test.p,
        "rank1": comparison.enhanced.cmc.get(1, float("nan")),
        "mINP": comparison.enhanced.mINP,
        "mINP_change": comparison.inp_difference_interval.value,
        "mINP_p": comparison.inp_test.p,
        "overlap": float(comparison.overlap.mean()),
        "silhouette": comparison.mean_silhouettes[1],
        "cka": comparison.cka,
    }
