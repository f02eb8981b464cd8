"""The numbers beside the heatmaps, of one model or of two: each under its name, and what the scores differ by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.share_bars import inspection_words, numbers_html
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.labels import difference_name
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
    return tag("div", *blocks, style=COLUMNS)


def _inspection(result: ExplorerResult, pinned: Mapping[str, Any]) -> Markup:
    if pinned["key"] not in {panel.key for panel in result.view.panels}:
        return tag("div", "This panel is not in this model.")
    return inspection_words(result, pinned)


def _differences(shown: ShownResults, pair: tuple[str, str]) -> Markup:
    """What the scores of each image are in both models, and the second minus the first."""
    first, second = shown.results
    lines = []
    for at, name in enumerate(first.names):
        a, b = float(first.view.cosine.score[at]), float(second.view.cosine.score[at])
        scores = f"{pair[0]} {a:.3f}, {pair[1]} {b:.3f}; {difference_name(pair)} "
        lines.append(tag("div", tag("b", name), f": enhanced cosine: {scores}", tag("b", f"{b - a:+.3f}")))
    return tag("div", *lines, css="mswin-score-differences", style=FONT)
