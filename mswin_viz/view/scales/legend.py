"""What the heatmaps' colours and numbers mean: a line above them, and a page of words behind the question mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ipywidgets as widgets

from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.colours import COLOUR_ENDS, SIGNED, UNSIGNED, end_colours
from mswin_viz.view.widgets.glossary import TERMS
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.labels import (
    DIFFERENCES,
    LEGENDS,
    SCALES_OF_COLOUR,
    THOUSANDTHS,
    VALUES,
    difference_name,
    difference_words,
)
from mswin_viz.view.widgets.markup import FONT, NOTE, SMALL, Html, Markup, fragment, tag

_SWATCH = {"display": "inline-block", "width": "10px", "height": "10px", "margin": "0 3px 0 8px"}
_LINE = {"overflow": "hidden", "text-overflow": "ellipsis", "white-space": "nowrap"}


class Legend:
    """The line above the heatmaps: follows the result, the colour map and whether panels share one scale."""

    def __init__(self, display: Mapping[str, widgets.ValueWidget], guarded: Guard) -> None:
        self._cmap, self._shared = display["cmap"], display["shared"]
        self._shown: tuple[str, str] | None = None  # value and target; a result would keep its pictures
        self._models: tuple[str, str] | None = None
        self._others: tuple[OtherUnit, ...] = ()
        self.line = Html()
        for control in (self._cmap, self._shared):
            control.observe(guarded("writing the legend")(lambda _change: self._write()), "value")

    def follow(self, shown: ShownResults) -> None:
        """Say what is shown."""
        value = shown.first.view_request.value
        self._shown = value, shown.target
        self._models, self._others = shown.pair, other_units(shown)
        self._write()

    def _write(self) -> None:
        if self._shown is not None:
            cmap, is_shared = str(self._cmap.value), bool(self._shared.value)
            self.line.value = legend_line(
                *self._shown, self._models, self._others, cmap=cmap, is_shared=is_shared
            )


class OtherUnit(NamedTuple):
    """A unit on screen that is not the chosen value: the panels that show it, and what their numbers are."""

    unit: str
    titles: str
    words: str


def other_units(shown: ShownResults) -> tuple[OtherUnit, ...]:
    """Every unit on screen besides the chosen value."""
    value = shown.first.view_request.value
    panels = [panel for panel in shown.panels if panel.unit != value]
    found = []
    for unit in dict.fromkeys(panel.unit for panel in panels):
        own = [panel for panel in panels if panel.unit == unit]
        words = " ".join(f"{panel.title}: {panel.words}." for panel in own)
        found.append(OtherUnit(unit, ", ".join(panel.title for panel in own), words))
    return tuple(found)


def legend_line(
    value: str,
    target: str,
    models: tuple[str, str] | None,
    others: Sequence[OtherUnit],
    *,
    cmap: str,
    is_shared: bool,
) -> Markup:
    """The legend of a value, of the other units on screen, and of the differences between two models."""
    words = legend_html(value, target, others, cmap=cmap, is_shared=is_shared)
    return fragment(words, differences_html(models, cmap=cmap))


def _others(others: Sequence[OtherUnit], cmap: str) -> list[Markup | str]:
    """What the ends of the colour scale mean in panels of other units."""
    parts: list[Markup | str] = []
    for other in others:
        legend = LEGENDS[other.unit]
        ends = _ends(cmap, legend.low, legend.high, is_signed=legend.is_signed)
        parts += ["; ", tag("b", other.titles), f": {VALUES[other.unit]}:", *ends]
    return parts


def legend_html(
    value: str,
    target: str,
    others: Sequence[OtherUnit] = (),
    *,
    cmap: str = "auto",
    is_shared: bool = False,
) -> Markup:
    """What the two ends of the colour scale mean for a value, the unit of the numbers, and what may be compared.

    Parameters
    ----------
    value
        One of ``VALUES``.
    target
        What the cosine is taken with, for values that are cosines or parts of one; may be empty.
    others
        The other units on screen, from :func:`other_units`.
    cmap
        The colour map that is chosen, or ``"auto"``.
    is_shared
        Whether all panels of a unit have one colour scale.
    """
    legend = LEGENDS[value]
    ends = _ends(cmap, legend.low, legend.high, is_signed=legend.is_signed)
    of_target = fragment("; cosine with ", tag("b", target)) if target and value in THOUSANDTHS else ""
    unit = ", in thousandths" if value in THOUSANDTHS else ""
    name, last = tag("b", VALUES.get(value, value)), SCALES_OF_COLOUR[is_shared]
    words = fragment(name, unit, ":", *ends, *_others(others, cmap), of_target, f"; {last}")
    numbers = ["Numbers are in thousandths."] if unit else []
    each = " ".join([legend.what, *numbers, *(other.words for other in others)])
    whole = f"{each} {last[0].upper()}{last[1:]}."  # a narrow view cuts the line off
    return tag("div", words, css="mswin-legend", style=FONT | SMALL | _LINE, title=whole)


def differences_html(models: tuple[str, str] | None, *, cmap: str = "auto") -> Markup:
    """What the rows of differences between two models are, and their colours; nothing for one model."""
    if models is None:
        return fragment()
    low, high = (f"higher in {name}" for name in models)
    name, words = tag("b", difference_name(models)), difference_words(models)
    ends = _ends(cmap, low, high, is_signed=True)
    line = fragment(name, f": {words}", *ends, f"; {DIFFERENCES}")
    whole = f"{words}. {DIFFERENCES}."
    return tag("div", line, css="mswin-differences", style=FONT | SMALL | _LINE, title=whole)


def _ends(cmap: str, low: str, high: str, *, is_signed: bool) -> list[Markup | str]:
    """A swatch of the colour at each end of a map, what it is called, and what it means."""
    name = cmap if cmap != "auto" else SIGNED if is_signed else UNSIGNED
    ends: list[Markup | str] = []
    for colour, called, means in zip(end_colours(name), COLOUR_ENDS[name], (low, high), strict=True):
        ends += [tag("span", style=_SWATCH | {"background": colour}), tag("b", called), f" {means}"]
    return ends


def help_html() -> Markup:
    """Every value with the meaning of its two ends, how to read the panels, and the glossary."""
    values = [
        tag(
            "li",
            tag("b", name),
            f": {LEGENDS[value].what} Low: {LEGENDS[value].low}; high: {LEGENDS[value].high}.",
        )
        for value, name in VALUES.items()
    ]
    terms = (tag("li", tag("b", term), f": {meaning}") for term, meaning in TERMS.items())
    glossary = tag("details", tag("summary", "Glossary"), tag("ul", *terms), css="mswin-glossary")
    notes = tag(
        "div",
        "Hatched patches lie in no window; dashed outlines mark windows in pieces. A click pins a window and shows what "
        f"removing it does. {SCALES_OF_COLOUR[False].capitalize()}. More: the pages “Exact shares” and "
        "“Glossary” of the documentation.",
        style=NOTE,
    )
    return tag("div", tag("ul", *values), notes, glossary, css="mswin-help", style=FONT | SMALL)
