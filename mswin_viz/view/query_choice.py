"""Which samples ask: a search in words, and the queries that are worst or changed most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.layouts import Sample

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["JUMPS", "jump_order", "matching", "query_name", "summary"]

JUMPS = ("worst", "most changed")
"""Lowest average precision after the add-on; largest difference between before and after."""
_NUMBERS = re.compile(r"\b(id|person|pid|cam|camera|scene)\s*[:= ]\s*(\d+)")
_SAME = 1e-9  # differences of average precision that are rounding


def query_name(sample: Sample) -> str:
    """Identity, camera and file name of a sample, in one line."""
    return sample.name if sample.pid < 0 else f"{sample.label}, {sample.name}"


def matching(samples: Sequence[Sample], search: str) -> list[int]:
    """Positions of the samples that a search finds.

    Its words may be parts of a name or caption, or ``id 12``, ``camera 2``, ``scene 3`` (whole numbers); all must fit.
    """
    text = search.lower()
    wanted = [(kind, int(number)) for kind, number in _NUMBERS.findall(text)]
    words = _NUMBERS.sub(" ", text).split()
    return [at for at, sample in enumerate(samples) if _fits(sample, wanted, words)]


def jump_order(
    kind: str, before: Float[np.ndarray, " row"], after: Float[np.ndarray, " row"]
) -> Int[np.ndarray, " some"]:
    """Rows with a match, in the order in which a jump visits them; ties keep the table's order.

    Parameters
    ----------
    kind
        One of ``JUMPS``.
    before, after
        Average precision of every row; NaN where nothing right is left.
    """
    rows = np.flatnonzero(np.isfinite(before) & np.isfinite(after))
    key = after[rows] if kind == JUMPS[0] else -np.abs(after - before)[rows]
    return rows[np.argsort(np.round(key, 9), kind="stable")]


def summary(before: Float[np.ndarray, " row"], after: Float[np.ndarray, " row"]) -> str:
    """Mean average precision before and after, and how many queries gained and lost."""
    asked = np.isfinite(before) & np.isfinite(after)
    if not asked.any():
        return "no query has a right answer under this rule"
    change = (after - before)[asked]
    gained, lost = int((change > _SAME).sum()), int((change < -_SAME).sum())
    return (
        f"mAP {before[asked].mean():.3f} before, {after[asked].mean():.3f} after; of {asked.sum()} queries {gained} "
        f"gained, {lost} lost, {asked.sum() - gained - lost} did not change"
    )


def _fits(sample: Sample, wanted: Sequence[tuple[str, int]], words: Sequence[str]) -> bool:
    numbers = {"id": sample.pid, "pid": sample.pid, "person": sample.pid, "scene": sample.scene}
    numbers |= {"cam": sample.camid, "camera": sample.camid}
    text = f"{sample.name} {sample.caption or ''}".lower()
    return all(numbers[kind] == number for kind, number in wanted) and all(word in text for word in words)
