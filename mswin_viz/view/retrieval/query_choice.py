"""Which samples are queries: a search in words, and the order of those that are worst or changed most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.sample import Sample

if TYPE_CHECKING:
    from jaxtyping import Float, Int

JUMPS = ("worst", "most changed")
"""Lowest average precision with the add-on; largest difference between plain and enhanced."""
NO_MATCH = "no query has a match under this rule"
_NUMBERS = re.compile(r"\b(id|person|pid|cam|camera|scene)\s*[:= ]\s*(\d+)")
_SAME = 1e-9  # differences of average precision that are rounding


def query_name(sample: Sample) -> str:
    """Identity, camera and file name of a sample, in one line."""
    return sample.name if sample.pid < 0 else f"{sample.label}, {sample.name}"


def matching(samples: Sequence[Sample], search: str) -> list[int]:
    """Positions of the samples that fit all words of a search: parts of name or caption, ``id 12``, ``camera 2``, ``scene 3``."""
    text = search.lower()
    numbers = [(kind, int(number)) for kind, number in _NUMBERS.findall(text)]
    words = _NUMBERS.sub(" ", text).split()
    return [i for i, sample in enumerate(samples) if _fits(sample, numbers, words)]


def jump_order(
    kind: str, plain: Float[np.ndarray, " row"], enhanced: Float[np.ndarray, " row"]
) -> Int[np.ndarray, " query"]:
    """Rows with a match, in the order in which a jump of ``JUMPS`` visits them, by the average precision of every row."""
    rows = np.flatnonzero(np.isfinite(plain) & np.isfinite(enhanced))
    key = enhanced[rows] if kind == JUMPS[0] else -np.abs(enhanced - plain)[rows]
    return rows[np.argsort(np.round(key, 9), kind="stable")]


@dataclass(eq=False)
class QueryJumps:
    """Remembers the last jump, so that the same kind again leads to the next query."""

    _kind: str = ""
    _place: int = -1

    def next(
        self, kind: str, plain: Float[np.ndarray, " row"], enhanced: Float[np.ndarray, " row"]
    ) -> tuple[int | None, str]:
        """The row that a jump leads to, by the average precisions of all, and the jump in words; None for no match."""
        order = jump_order(kind, plain, enhanced)
        if not len(order):
            return None, NO_MATCH
        self._place = (self._place + 1) % len(order) if self._kind == kind else 0
        self._kind, row = kind, int(order[self._place])
        precisions = f"AP plain {plain[row]:.3f}, enhanced {enhanced[row]:.3f}"
        return row, f"{kind}: {self._place + 1} of {len(order)}, {precisions}"


def summary(plain: Float[np.ndarray, " row"], enhanced: Float[np.ndarray, " row"]) -> str:
    """Mean average precision, plain and enhanced, and how many queries gained and lost."""
    has_match = np.isfinite(plain) & np.isfinite(enhanced)
    if not has_match.any():
        return NO_MATCH
    change = (enhanced - plain)[has_match]
    n, gained, lost = len(change), int((change > _SAME).sum()), int((change < -_SAME).sum())
    return (
        f"mAP plain {plain[has_match].mean():.3f}, enhanced {enhanced[has_match].mean():.3f}; of {n} queries {gained} "
        f"gained, {lost} lost, {n - gained - lost} did not change"
    )


def _fits(sample: Sample, numbers: Sequence[tuple[str, int]], words: Sequence[str]) -> bool:
    known = {"id": sample.pid, "pid": sample.pid, "person": sample.pid, "scene": sample.scene}
    known |= {"cam": sample.camid, "camera": sample.camid}
    text = f"{sample.name} {sample.caption or ''}".lower()
    return all(known[kind] == number for kind, number in numbers) and all(word in text for word in words)
