"""Pieces of pages that several views have: bars, the badge of a model, failed images. Plain HTML with no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.widgets.colours import sign_colour
from mswin_viz.view.widgets.markup import FONT, NOTE, SMALL, Markup, tag

_CHIP = {
    "display": "inline-block", "box-sizing": "border-box", "max-width": "min(34em,100%)", "overflow": "hidden",
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
_GREY, _VIOLET = "var(--jp-ui-font-color2, #555)", "#7b5ea7"  # neither is a sign's colour
_MOST_NAMED = 3  # failed images


def badge_html(items: Mapping[str, str]) -> Markup:
    """Which weights, input, normalisation and device are in use: a line that unfolds at a click.

    Long words are cut off, and whole under the mouse.
    """
    chips = [
        tag("span", tag("span", name, style={"opacity": ".8"}), " ", words, style=_CHIP, title=words)
        for name, words in items.items()
    ]
    first, rest = chips[:_FIRST], chips[_FIRST:]
    line = tag("summary", *first, tag("span", f"{len(rest)} more", style=NOTE), style=_ONE_LINE)
    return tag("details", line, *rest, css="mswin-badge", style=FONT | SMALL)


def bar_html(label: str, value: float, reach: float, is_sum: bool, *, label_width: int = 72) -> Markup:
    """One signed bar about zero, as long as ``value`` is of ``reach``; sums are grey and bold."""
    width = 50 * abs(value) / reach
    bar = (50 - width if value < 0 else 50, width, _GREY if is_sum else sign_colour(value))
    return _bar((label, f"{value:+.3f}"), bar, 50, label_width, {"font-weight": "600"} if is_sum else {})


def weight_html(label: str, weight: float, equal: float) -> Markup:
    """One bar of a weight from 0 to 1, with a mark at ``equal``."""
    return _bar((label, f"{weight:.3f}"), (0, 100 * weight, _VIOLET), 100 * equal, 72, {})


def failure_words(failed: Sequence[Failure]) -> list[str]:
    """The first images that got no row, with the reason, and how many more there are."""
    words = [f"{failure.path}: {failure.reason}" for failure in failed[:_MOST_NAMED]]
    n_more = len(failed) - len(words)
    return words + [f"and {n_more} more images have no row; table.failed lists them all"] * (n_more > 0)


def _bar(
    words: tuple[str, str],
    bar: tuple[float, float, str],
    mark: float,
    label_width: int,
    style: Mapping[str, str],
) -> Markup:
    """Label, bar on its track, and number; ``bar``: left end and width, percent of the track, and colour."""
    (label, number), (left, width, colour) = words, bar
    filled = _PLACED | {"left": f"{left:.2f}%", "width": f"{width:.2f}%", "background": colour}
    line = _PLACED | {"left": f"{mark:.2f}%", "width": "1px", "background": "var(--jp-ui-font-color2, #777)"}
    return tag(
        "div",
        tag("span", label, style={"width": f"{label_width}px"}),
        tag("span", tag("span", style=filled), tag("span", style=line), style=_TRACK),
        tag("span", number, style=_NUMBER),
        style={**_LINE, **style},
    )
