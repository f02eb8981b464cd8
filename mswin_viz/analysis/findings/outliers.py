"""Images that are far from every image of their identity, and far from the whole set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import Compared, compared_items
from mswin_viz.analysis.findings.identities import identity_keys
from mswin_viz.analysis.findings.nearest_items import Wanted, anyone, nearest_items
from mswin_viz.analysis.findings.outlying import FEWEST, UNUSUAL, modified_z
from mswin_viz.analysis.findings.record import Finding, Findings, findings_of
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter

if TYPE_CHECKING:
    from jaxtyping import Float

_CRITERION = (
    f"Listed: an outlier score above {UNUSUAL}, the geometric mean of two modified z-scores (Iglewicz and Hoaglin 1993): of the mean "
    "distance to the {k} nearest of the whole set, and of the distance to the nearest of the same identity."
)


def outliers(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    k: int = 10,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Findings:
    """Images that lie far from everyone: from all of their identity, and from the whole set.

    Two distances of each image are compared with those of all others: the mean distance to its ``k`` nearest of the whole set, and
    the distance to the nearest of its own identity. How unusual each is, is the modified z-score of its logarithm: how many
    robust standard deviations (by the median absolute deviation) it lies above the median. An image is listed if the geometric
    mean of the two is above 3.5, the cut that Iglewicz and Hoaglin (1993) recommend for one: an image that is far from its
    identity but near to somebody else is a wrong identity, no outlier. So the threshold comes from the set itself; where distances vary
    more, more is needed. Where the identity is not known or has no other image, the first distance alone decides.

    More than ``k`` strange images that resemble each other are near each other: they hide from the first distance, which
    a larger ``k`` finds again.

    Parameters
    ----------
    table, feature, report, stop
        As in :func:`wrong_identities`.
    k
        How many nearest of the whole set, at most.

    Returns
    -------
    findings
        ``score`` is that geometric mean, above 3.5. ``evidence`` are the nearest of the set, then the
        nearest of its own identity.

    Raises
    ------
    OptionError, DataError, StoppedError
        As in :func:`wrong_identities`.

    Examples
    --------
    >>> table = mv.embed(model, samples[:40], modalities=["RGB"], progress=False)
    >>> table.plain[7] *= -1  # a feature like no other
    >>> found = mv.outliers(table)
    >>> found.rows.tolist(), bool(found.score[0] > 3.5)
    ([7], True)
    """
    check_counts(1, k=k)
    items = compared_items(table, feature)
    groups = items.groups
    steps = StepCounter(sum(len(group) for group in groups), reporter(report), stop, "looking for outliers")
    found = [one for group in groups for one in _of_group(table, group, k, steps)]
    found.sort(key=lambda one: -one.score)
    few = [group.modality for group in groups if len(group) < FEWEST]
    notes = (
        [f"Too few to tell what is usual (at least {FEWEST} are needed): {', '.join(few)}."] if few else []
    )
    told = sum(int(group.asked.sum()) for group in groups if len(group) >= FEWEST)
    return findings_of(
        "outliers",
        table,
        feature,
        found,
        items=items._replace(n_checked=told),
        words=(_CRITERION.format(k=k), notes),
    )


def _of_group(table: EmbeddingTable, group: Compared, k: int, steps: StepCounter) -> list[Finding]:
    key = identity_keys(table, group)
    every = nearest_items(
        group,
        {
            "set": Wanted(k, anyone),
            "own": Wanted(1, lambda items: (key[items] == key) & (key[items] >= 0)),
        },
        steps,
    )
    of_set, of_own = _mean_of_finite(every["set"].distance), every["own"].distance[:, 0]
    z_set, z_own = _unusual(of_set), _unusual(np.where(np.isfinite(of_own), of_own, np.nan))
    both = np.sqrt(np.maximum(z_set, 0) * np.maximum(z_own, 0))
    score = np.where(np.isnan(z_own), z_set, both)
    listed = np.flatnonzero(group.asked & (score > UNUSUAL))
    usual = np.median(of_set[np.isfinite(of_set)]) if len(listed) else 1.0
    found = []
    for item in listed.tolist():
        near = [int(one) for one in (*every["set"].at[item], *every["own"].at[item]) if one >= 0]
        found.append(
            Finding(
                row=int(group.rows[item]),
                modality=group.modality,
                what="outlier",
                score=float(score[item]),
                reason=_words(of_set[item] / usual, z_set[item], z_own[item]),
                evidence=tuple(int(group.rows[one]) for one in dict.fromkeys([*near[:3], *near[-1:]])),
            )
        )
    return found


def _words(times: float, z_set: float, z_own: float) -> str:
    own = "no other image of its identity" if np.isnan(z_own) else f"z {z_own:.1f} from its own identity"
    return f"{times:.2g} times as far from its nearest as is usual (z {z_set:.1f}); {own}"


def _unusual(distance: Float[np.ndarray, " item"]) -> Float[np.ndarray, " item"]:
    with np.errstate(divide="ignore"):
        return modified_z(np.log(distance))


def _mean_of_finite(distance: Float[np.ndarray, "item k"]) -> Float[np.ndarray, " item"]:
    is_there = np.isfinite(distance)
    n = is_there.sum(axis=1)
    return np.where(n, np.where(is_there, distance, 0).sum(axis=1) / np.maximum(n, 1), np.nan)
