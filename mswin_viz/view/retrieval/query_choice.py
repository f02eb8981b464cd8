"""Which samples are queries: a search in words, and jumps to those that are worst or changed most."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.list_changes import SAME
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, short_text

if TYPE_CHECKING:
    from jaxtyping import Float, Int

JUMPS = ("worst", "most changed")
"""Lowest average precision in the last list; largest difference between the lists."""
NO_MATCH = "no query has a match under this rule"
_NUMBERS = re.compile(r"\b(id|person|pid|cam|camera|scene)\s*[:= ]\s*(\d+)")
_MOST_OF_A_NAME = 24  # characters


def query_name(sample: Sample) -> str:
    """Identity, camera and file name of a sample, in one line."""
    return sample.name if sample.pid < 0 else f"{sample.label}, {sample.name}"


def matching(samples: Sequence[Sample], search: str) -> list[int]:
    """Positions of the samples that fit all words of a search: parts of name or caption, ``id 12``, ``camera 2``, ``scene 3``."""
    text = search.lower()
    numbers = [(kind, int(number)) for kind, number in _NUMBERS.findall(text)]
    words = _NUMBERS.sub(" ", text).split()
    return [i for i, sample in enumerate(samples) if _fits(sample, numbers, words)]


def jump_order(kind: str, *precisions: Float[np.ndarray, " row"]) -> Int[np.ndarray, " query"]:
    """Rows with a match, in the order in which a jump of ``JUMPS`` visits them, by the average precisions of every list."""
    each = np.array(precisions)
    rows = np.flatnonzero(np.isfinite(each).all(axis=0))
    each = each[:, rows]
    key = each[-1] if kind == JUMPS[0] else each.min(axis=0) - each.max(axis=0)
    return rows[np.argsort(np.round(key, 9), kind="stable")]


@dataclass(eq=False)
class QueryJumps:
    """Remembers the last jump, so that the same kind again leads to the next query."""

    _kind: str = ""
    _place: int = -1

    def next(self, kind: str, precisions: Mapping[str, Float[np.ndarray, " row"]]) -> tuple[int | None, str]:
        """The row that a jump leads to, by the average precisions of all lists, and the jump in words; None for no match."""
        order = jump_order(kind, *precisions.values())
        if not len(order):
            return None, NO_MATCH
        self._place = (self._place + 1) % len(order) if self._kind == kind else 0
        self._kind, row = kind, int(order[self._place])
        words = ", ".join(f"{shown_name(name)} {each[row]:.3f}" for name, each in precisions.items())
        return row, f"{kind}: {self._place + 1} of {len(order)}, AP {words}"


def summary(precisions: Mapping[str, Float[np.ndarray, " row"]]) -> str:
    """Mean average precision of each list, and, of two lists, how many queries gained and lost."""
    each = np.array(list(precisions.values()))
    each = each[:, np.isfinite(each).all(axis=0)]
    n = each.shape[1]
    if not n:
        return NO_MATCH
    means = ", ".join(
        f"{shown_name(name)} {values.mean():.3f}" for name, values in zip(precisions, each, strict=True)
    )
    if len(each) != 2:
        return f"mAP {means}; over {counted(n, 'queries')}"
    change = each[1] - each[0]
    gained, lost = int((change > SAME).sum()), int((change < -SAME).sum())
    return f"mAP {means}; of {counted(n, 'queries')} {gained} gained, {lost} lost, {n - gained - lost} did not change"


def shown_name(name: str) -> str:
    """A list's name in a sentence."""
    return short_text(name, _MOST_OF_A_NAME)


def _fits(sample: Sample, numbers: Sequence[tuple[str, int]], words: Sequence[str]) -> bool:
    known = {"id": sample.pid, "pid": sample.pid, "person": sample.pid, "scene": sample.scene}
    known |= {"cam": sample.camid, "camera": sample.camid}
    text = f"{sample.name} {sample.caption or ''}".lower()
    return all(known[kind] == number for kind, number in numbers) and all(word in text for word in words)
