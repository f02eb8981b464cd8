"""The numbers beside the heatmaps, of one model or of two: each under its name, and what the scores differ by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mswin_viz.analysis.scales.compared_panels import ROWS_OF_AN_IMAGE
from mswin_viz.view.scales.pins import pinnable_in, pinned_kind
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.share_bars import inspection_words, numbers_html
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.labels import THOUSANDTHS, difference_name, unit_words
from mswin_viz.view.widgets.markup import COLUMNS, FONT, Markup, fragment, tag

_BLOCK = FONT | {"flex": "1 1 480px", "max-width": "640px"}


def shown_numbers(shown: ShownResults) -> Markup:
    """Shares and scores of each model, by name, and the differences of the scores; of one model alone, its numbers."""
    if shown.pair is None:
        return numbers_html(shown.first)
    blocks = (
        tag("div", tag("b", name), numbers_html(result), css="mswin-model-numbers", style=_BLOCK)
        for name, result in zip(shown.models, shown.results, strict=True)
    )
    return tag("div", _differences(shown, shown.pair), tag("div", *blocks, style=COLUMNS))


def shown_inspection(shown: ShownResults | None, pinned: Mapping[str, Any] | None) -> Markup:
    """What the pinned window does in each model; empty if no window is pinned."""
    if shown is None or not pinned:
        return fragment()
    if not 0 <= pinned["row"] < len(shown.rows):
        return inspection_words(shown.first, pinned)
    of_image = {**pinned, "row": shown.rows[pinned["row"]].image}
    if shown.pair is None:
        return inspection_words(shown.first, of_image)
    blocks = (
        tag("div", tag("b", name), _inspection(result, of_image), style=_BLOCK)
        for name, result in zip(shown.models, shown.results, strict=True)
    )
    values = _pinned_values(shown, shown.pair, of_image)
    return tag("div", values, tag("div", *blocks, style=COLUMNS), style=FONT)


def _inspection(result: ExplorerResult, pinned: Mapping[str, Any]) -> Markup:
    if pinned["key"] not in {panel.key for panel in result.view.panels}:
        return tag("div", "This panel is not in this model.")
    if pinned["key"] not in pinnable_in(result.view):
        return tag("div", "These windows have no part in this model's cosine: there is nothing to remove.")
    return inspection_words(result, pinned)


def _pinned_values(shown: ShownResults, pair: tuple[str, str], pinned: Mapping[str, Any]) -> Markup:
    """What both panels show there, and the difference; empty where a pin is older than the panels."""
    for panel in shown.panels:
        if panel.key == pinned["key"] and pinned["window"] < panel.geometry.n_windows:
            first = ROWS_OF_AN_IMAGE * pinned["row"]
            factor = 1000 if panel.unit in THOUSANDTHS else 1
            numbers = factor * panel.values[first : first + ROWS_OF_AN_IMAGE, pinned["window"]]
            names = (*pair, difference_name(pair))
            each = (
                f"{name} {number:.4g}" if np.isfinite(number) else f"{name} none"
                for name, number in zip(names, numbers, strict=True)
            )
            where = f"{pinned_kind(panel.key).capitalize()} {pinned['window']} of {panel.title}, {shown.first.names[pinned['row']]}"
            return tag("div", tag("b", where), f": {unit_words(panel.unit)}: {'; '.join(each)}")
    return fragment()


def _differences(shown: ShownResults, pair: tuple[str, str]) -> Markup:
    """What the scores of each image are in both models, and the second minus the first."""
    first, second = shown.results
    lines = []
    for at, name in enumerate(first.names):
        a, b = float(first.view.cosine.score[at]), float(second.view.cosine.score[at])
        scores = f"{pair[0]} {a:.3f}, {pair[1]} {b:.3f}; {difference_name(pair)} "
        lines.append(tag("div", tag("b", name), f": enhanced cosine: {scores}", tag("b", f"{b - a:+.3f}")))
    return tag("div", *lines, css="mswin-score-differences", style=FONT)
