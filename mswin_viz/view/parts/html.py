"""Pieces of pages that several views have: bars of weights, the badge of a model, failed images. Plain HTML with no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mswin_viz.data.shown_text import counted
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.widgets.labels import FEATURES
from mswin_viz.view.widgets.markup import FONT, NOTE, SMALL, Markup, tag

_CHIP = {
    "display": "inline-block", "box-sizing": "border-box", "max-width": "min(60em,100%)", "overflow": "hidden",
    "text-overflow": "ellipsis", "white-space": "nowrap", "vertical-align": "top", "border-radius": "9px",
    "border": "1px solid var(--jp-border-color1, #bbb)", "padding": "0 8px", "margin": "2px 2px 2px 0",
}  # fmt: skip
_ONE_LINE = {"overflow": "hidden", "text-overflow": "ellipsis", "white-space": "nowrap", "cursor": "pointer"}
_FIRST = 2  # weights and add-on, which are seen without a click
_LINE = {"display": "flex", "gap": "8px", "align-items": "center"}
_TRACK = {
    "position": "relative",
    "flex": "1",
    "height": "11px",
    "background": "var(--jp-layout-color2, #eee)",
}
_PLACED = {"position": "absolute", "height": "100%"}
_NUMBER = {"width": "54px", "text-align": "right", "font-variant-numeric": "tabular-nums"}
_VIOLET = "#7b5ea7"  # no sign's colour
_MOST_NAMED = 3  # failed images


def badge_html(items: Mapping[str, str], model: str = "") -> Markup:
    """Which weights, input, normalisation and device are in use: a line that unfolds at a click.

    Long words are cut off, and whole under the mouse. ``model`` is the model's name, where there are several.
    """
    chips = [
        tag("span", tag("span", name, style={"opacity": ".8"}), " ", words, style=_CHIP, title=words)
        for name, words in items.items()
    ]
    first, rest = chips[:_FIRST], chips[_FIRST:]
    named = (tag("b", model, style={"margin-right": "6px"}),) if model else ()
    line = tag("summary", *named, *first, tag("span", f"{len(rest)} more", style=NOTE), style=_ONE_LINE)
    return tag("details", line, *rest, css="mswin-badge", style=FONT | SMALL)


def scores_html(names: Sequence[str], scores: Mapping[str, Sequence[float]], target: str) -> Markup:
    """The cosine of each image with a target, by feature, in one line for each image."""
    lines = []
    for at, name in enumerate(names):
        parts = ", ".join(f"{FEATURES[feature]} {each[at]:.3f}" for feature, each in scores.items())
        lines.append(tag("div", tag("b", name), f": cosine with {target}: {parts}"))
    return tag("div", *lines, css="mswin-score", style=FONT)


def weight_html(label: str, weight: float, equal: float) -> Markup:
    """One bar of a weight from 0 to 1, with a mark at ``equal``."""
    filled = _PLACED | {"left": "0.00%", "width": f"{100 * weight:.2f}%", "background": _VIOLET}
    line = _PLACED | {
        "left": f"{100 * equal:.2f}%",
        "width": "1px",
        "background": "var(--jp-ui-font-color2, #777)",
    }
    return tag(
        "div",
        tag("span", label, style={"width": "72px"}),
        tag("span", tag("span", style=filled), tag("span", style=line), style=_TRACK),
        tag("span", f"{weight:.3f}", style=_NUMBER),
        style=_LINE,
    )


def failure_words(failed: Sequence[Failure]) -> list[str]:
    """The first images that got no row, with the reason, and how many more there are."""
    words = [f"{failure.path}: {failure.reason}" for failure in failed[:_MOST_NAMED]]
    n_more = len(failed) - len(words)
    return words + [
        f"and {counted(n_more, 'more images have', 'more image has')} no row; table.failed lists them all"
    ] * (n_more > 0)
