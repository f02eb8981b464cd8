"""The trained add-on against add-ons that learned nothing: is its change more than any change?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.comparison import compare
from mswin_viz.analysis.comparison_record import Comparison
from mswin_viz.analysis.watching import Report, Stop, Watch
from mswin_viz.errors import OptionError, StoppedError

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

__all__ = ["NullComparison", "compare_with_nulls"]


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
    """

    trained: Comparison
    nulls: Mapping[str, Comparison]
    against: Mapping[str, Comparison]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each add-on, the trained one first.

        ``mAP``, ``change`` from plain and its interval ``low``, ``high``, ``p`` of that change, ``rank1``,
        ``overlap``, ``silhouette``, ``cka``; and of nulls ``trained_minus_null`` and ``p_trained_minus_null``.
        """
        import pandas as pd

        rows = {"trained": self.trained, **self.nulls}
        table = pd.DataFrame.from_dict({name: _row(some) for name, some in rows.items()}, orient="index")
        tests = {name: some.test for name, some in self.against.items()}
        table["trained_minus_null"] = pd.Series({name: test.difference for name, test in tests.items()})
        table["p_trained_minus_null"] = pd.Series({name: test.p for name, test in tests.items()})
        return table

    def sentences(self) -> list[str]:
        """What the trained add-on does that ignorance does not."""
        change = self.trained.difference_interval.value
        if np.isnan(change):
            return [f"Nothing was measured, so nothing can be compared: {self.trained.unmeasured}."]
        changes = np.array([some.difference_interval.value for some in self.nulls.values()])
        n_as_much = int((changes >= change).sum())
        as_good = [name for name, some in self.against.items() if some.verdict != "better"]
        words = [
            f"Change of mAP from plain, over {self.trained.plain.queries}: trained {100 * change:+.1f} points; "
            f"{len(changes)} add-ons that learned "
            f"nothing {100 * changes.min():+.1f} to {100 * changes.max():+.1f} points.",
            f"{n_as_much} of them {'changes' if n_as_much == 1 else 'change'} mAP at least as much upwards as the trained one.",
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
    enhanced: Float[np.ndarray, "image dim"],
    nulls: Mapping[str, Float[np.ndarray, "image dim"]],
    pids: Sequence[int],
    camids: Sequence[int] | None = None,
    *,
    report: Report | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> NullComparison:
    """`compare` of plain with enhanced, of plain with each null, and of each null with enhanced.

    Parameters
    ----------
    nulls
        As `mswin_viz.analysis.null_features.null_features` gives them.
    report, stop
        Called and asked between comparisons.
    options
        Of `compare`.

    Raises
    ------
    OptionError
        If there is no null, or nulls have no names.
    StoppedError
        If a stop was asked for.
    """
    if not nulls:
        raise OptionError("there must be at least one null to compare with: got none")
    if not isinstance(nulls, Mapping):
        raise OptionError(
            f"nulls are a dictionary, name -> features, as mv.null_features gives it: got {type(nulls).__name__}"
        )
    watch = Watch(1 + 2 * len(nulls), report, stop)

    def compared(one: np.ndarray, other: np.ndarray) -> Comparison:
        if watch.stopping():
            raise StoppedError(f"stopped on request after {watch.done} of {watch.total} comparisons")
        found = compare(one, other, pids, camids, **options)
        watch.passed(1)
        return found

    trained = compared(plain, enhanced)
    changes = {name: compared(plain, some) for name, some in nulls.items()}
    return NullComparison(trained, changes, {name: compared(some, enhanced) for name, some in nulls.items()})


def _row(some: Comparison) -> dict[str, float]:
    change = some.difference_interval
    return {
        "mAP": some.enhanced.mAP,
        "change": change.value,
        "low": change.low,
        "high": change.high,
        "p": some.test.p,
        "rank1": some.enhanced.cmc.get(1, float("nan")),
        "overlap": float(some.overlap.mean()),
        "silhouette": some.mean_silhouettes[1],
        "cka": some.cka,
    }
