"""People who are in the training split and in another one, by their images alone: numbers are often used twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import Compared
from mswin_viz.analysis.findings.identities import identity_keys
from mswin_viz.analysis.findings.nearest_items import Nearest, Wanted, nearest_items
from mswin_viz.analysis.findings.outlying import FEWEST
from mswin_viz.analysis.findings.record import Finding
from mswin_viz.analysis.measures.matching import Matching
from mswin_viz.data.progress import StepCounter

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SHOWN = 4  # images of the other person


@dataclass(frozen=True, eq=False)
class PeopleLeaks:
    """What was found, the distance below which people are taken for one, and how often that is wrong in the set itself.

    ``cut`` and ``error`` are NaN where the set has too few people to tell.
    """

    found: list[Finding]
    cut: float
    error: float


def people_leaks(table: EmbeddingTable, group: Compared, who: Matching, steps: StepCounter) -> PeopleLeaks:
    """Pairs of a training person and another one who look like one person.

    Each is the other's nearest, for more than half of its images, on the other side of the split; and their distance is at most
    the cut at which the set's own people are told apart with equal errors. Every distance is to images of other cameras.
    """
    key, places = identity_keys(table, group), who.groups[group.rows]
    is_train, is_known = table.split[group.rows] == "train", key >= 0
    other_place = lambda items: (places[items] != places) & is_known  # noqa: E731
    same_side = lambda items: other_place(items) & (is_train[items] == is_train)  # noqa: E731
    found = nearest_items(
        group,
        {
            "same": Wanted(1, lambda items: same_side(items) & (key[items] == key)),
            "different": Wanted(1, lambda items: same_side(items) & (key[items] != key)),
            "across": Wanted(1, lambda items: other_place(items) & (is_train[items] != is_train)),
        },
        steps,
    )
    same, different = (median_by(key, found[name].distance[:, 0]) for name in ("same", "different"))
    told = [one for one in same if one in different]
    if len(told) < FEWEST:
        return PeopleLeaks([], np.nan, np.nan)
    cut, error = equal_errors(
        np.array([same[one] for one in told]), np.array([different[one] for one in told])
    )
    across = found["across"]
    nearest = {one: _nearest_person(key, across, one) for one in np.unique(key[is_known]).tolist()}
    listed = []
    for one, (other, distance, items) in nearest.items():
        is_mutual = other >= 0 and nearest[other][0] == one
        if one % 2 == 0 and is_mutual and distance <= cut and group.asked[items].any():
            listed.append(_finding(table, group, across, items, distance / cut))
    return PeopleLeaks(listed, cut, error)


def equal_errors(
    same: Float[np.ndarray, " person"], different: Float[np.ndarray, " person"]
) -> tuple[float, float]:
    """The distance at which as many people are farther from themselves as are nearer to another, and how many, 0..1.

    It is the one with the fewest errors of the more frequent kind; the middle of all that have as few.
    """
    cuts = np.unique(np.concatenate([same, different]))
    missed = 1 - np.searchsorted(np.sort(same), cuts, side="right") / len(same)
    taken = np.searchsorted(np.sort(different), cuts, side="right") / len(different)
    worse = np.maximum(missed, taken)
    best = np.flatnonzero(worse == worse.min())
    above = cuts[min(best[-1] + 1, len(cuts) - 1)]  # up to here nothing changes
    return float((cuts[best[0]] + above) / 2), float(worse.min())


def median_by(keys: Int[np.ndarray, " item"], values: Float[np.ndarray, " item"]) -> dict[int, float]:
    """Identity -> median of its finite numbers; those without any, and unknown ones, are left out."""
    is_there = np.isfinite(values) & (keys >= 0)
    order = np.argsort(keys[is_there], kind="stable")
    every, starts = np.unique(keys[is_there][order], return_index=True)
    parts = np.split(values[is_there][order], starts)[
        1:
    ]  # the first is what stands before the first identity: nothing
    return {int(one): float(np.median(part)) for one, part in zip(every, parts, strict=True)}


def _nearest_person(key: np.ndarray, across: Nearest, one: int) -> tuple[int, float, np.ndarray]:
    """Who is nearest to more than half of a person's items on the other side, how far (median), and those items, nearest first."""
    own = np.flatnonzero((key == one) & (across.at[:, 0] >= 0))
    votes = Counter(key[across.at[own, 0]].tolist())
    other, n = votes.most_common(1)[0] if votes else (-1, 0)
    items = own[key[across.at[own, 0]] == other] if n else own[:0]
    if 2 * n <= int((key == one).sum()):
        return -1, np.inf, items
    distance = across.distance[items, 0]
    return int(other), float(np.median(distance)), items[np.argsort(distance, kind="stable")]


def _finding(
    table: EmbeddingTable, group: Compared, across: Nearest, items: np.ndarray, part: float
) -> Finding:
    row = int(group.rows[items[0]])
    shown = dict.fromkeys(group.rows[across.at[items, 0]].tolist())
    other = next(iter(shown))
    split = str(table.split[row]) or "the rest"
    reason = (
        f"id {table.pid[row]} of {split} looks like id {table.pid[other]} of train: the nearest there for {len(items)} of its images, "
        f"at {100 * part:.0f} % of the distance that tells people apart"
    )
    return Finding(
        row, group.modality, "same person", 1 - part, reason, tuple(shown)[:_SHOWN], int(table.pid[other])
    )
