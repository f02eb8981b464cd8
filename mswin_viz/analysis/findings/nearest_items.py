"""The nearest items of each item among those that are allowed, exact, a block of items at a time: memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.findings.compared import Compared
from mswin_viz.analysis.measures.ranking import similarities
from mswin_viz.data.progress import StepCounter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import StoppedError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_PAIRS = 4_000_000  # similarities held at once
_MOST_AT_ONCE = 256  # items between two looks at the stop


@dataclass(frozen=True, eq=False)
class Wanted:
    """How many items are looked for, at most, and which: items of a block (as a column), and all -> whether each is allowed."""

    k: int
    is_allowed: Callable[[Int[np.ndarray, "item 1"]], Bool[np.ndarray, "item _"]]


@dataclass(frozen=True, eq=False)
class Nearest:
    """Nearest items of each item, nearest first, and their Euclidean distances; -1 and infinite where there are fewer."""

    at: Int[np.ndarray, "item k"]
    distance: Float[np.ndarray, "item k"]


def anyone(items: Int[np.ndarray, "item 1"]) -> Bool[np.ndarray, "item 1"]:
    """Every item is allowed."""
    return np.ones(items.shape, bool)


def nearest_items(group: Compared, wanted: Mapping[str, Wanted], steps: StepCounter) -> dict[str, Nearest]:
    """For every item the nearest allowed ones, by name of what is wanted; an item is never its own neighbour.

    Similarities are computed once for all that is wanted. Raises StoppedError if ``steps`` is told to stop.
    """
    n, found = len(group), {name: [] for name in wanted}
    at_once = max(1, min(_MOST_AT_ONCE, _PAIRS // max(n, 1)))
    for start in range(0, n, at_once):
        if steps.stopping():
            raise StoppedError(
                f"looking for neighbours was stopped after {steps.done} of {counted(steps.total, 'items')}"
            )
        items = np.arange(start, min(start + at_once, n))
        similar = np.asarray(similarities(group.features[items], group.features, group.metric))
        for name, one in wanted.items():
            is_allowed = one.is_allowed(items[:, None]) & (items[:, None] != np.arange(n))
            found[name].append(_best(group.features, items, np.where(is_allowed, similar, -np.inf), one.k))
        steps.passed(len(items))
    return {
        name: Nearest(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        for name, parts in found.items()
    }


def _best(
    features: np.ndarray, items: np.ndarray, similar: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` most similar, in order of their exact distances; equal ones by their number."""
    k = min(k, similar.shape[1])
    at = np.sort(np.argpartition(-similar, k - 1, axis=1)[:, :k], axis=1)
    distance = np.linalg.norm(features[at] - features[items][:, None], axis=2).astype(np.float64)
    distance[np.isneginf(np.take_along_axis(similar, at, axis=1))] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")
    at, distance = np.take_along_axis(at, order, axis=1), np.take_along_axis(distance, order, axis=1)
    return np.where(np.isinf(distance), -1, at), distance
