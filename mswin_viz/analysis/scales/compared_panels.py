"""The panels of two models over the same images, side by side, with the differences of their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mswin_viz.analysis.scales.panels import Panel

ROWS_OF_AN_IMAGE = 3
"""Of each image: the first model's numbers, the second's, and the second's minus the first's."""
_ABSENT = "not in this model"


def compared_panels(
    first: Sequence[Panel], second: Sequence[Panel], names: tuple[str, str]
) -> tuple[Panel, ...]:
    """Every panel of two models, joined as by :func:`compared_panel`; one that a single model has stands where that has it.

    Panels belong together where key and windows are the same. If only the keys are, the second model's gets another one.
    """
    ours = {panel.key: panel for panel in first}
    theirs = {}
    for panel in second:
        is_other = panel.key in ours and _windows(ours[panel.key]) != _windows(panel)
        own = replace(panel, key=f"{panel.key}-of-the-second") if is_other else panel
        theirs[own.key] = own
    keys = _merged(list(ours), list(theirs))
    return tuple(compared_panel(ours.get(key), theirs.get(key), names) for key in keys)


def compared_panel(first: Panel | None, second: Panel | None, names: tuple[str, str]) -> Panel:
    """One panel with ``ROWS_OF_AN_IMAGE`` rows for each image; None for a model that lacks it, whose rows are NaN then.

    The difference is the plain one, second minus first, NaN where either has no number. ``absent`` are the rows of a
    model that lacks the panel, and those of the difference from it.
    """
    pair = (first, second)
    there = [panel for panel in pair if panel is not None]
    like = there[0]
    a, b = (np.full_like(like.values, np.nan) if panel is None else panel.values for panel in pair)
    rows = np.stack([a, b, b - a], axis=1)
    words = [_ABSENT if panel is None else panel.words for panel in pair]
    if len(set(words)) > 1:
        words = [" | ".join(f"{name}: {text}" for name, text in zip(names, words, strict=True))]
    lacking = [at for at, panel in enumerate(pair) if panel is None]
    return replace(
        like,
        title=_either(panel.title for panel in there),
        origin=_either(panel.origin for panel in there),
        values=rows.reshape(-1, rows.shape[2]),
        words=words[0],
        absent=tuple(
            ROWS_OF_AN_IMAGE * image + row for image in range(len(a)) for row in (*lacking, 2) if lacking
        ),
    )


def _windows(panel: Panel) -> tuple[Any, ...]:
    geometry = panel.geometry
    return geometry.grid, geometry.scale, geometry.stride, geometry.tile


def _either(words: Iterable[str]) -> str:
    """What both say, or one and the other."""
    return " / ".join(dict.fromkeys(filter(None, words)))


def _merged(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Both orders in one: what only the second has comes before the next key that both have."""
    merged, waiting = list(ours), []
    for key in theirs:
        if key in merged:
            at = merged.index(key)
            merged[at:at] = waiting
            waiting = []
        else:
            waiting.append(key)
    return [*merged, *waiting]
