"""Colours of the points of a map: a colour for each category, any number of them, or a scale of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.view.widgets.colours import distinct_colours
from mswin_viz.view.widgets.markup import FONT, SMALL, Markup, fragment, tag

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MISSING = "#8c8c8c"
"""The colour of what has no value; no colour scale has it."""
_BINS = 256
_MOST_NAMED = 24
_MOST_COLOURS = 1000  # beyond, neighbouring tones are one to the eye, and 24 bits soon have no more
_BLOCK = {"display": "inline-block", "height": "10px"}
_SCALE = _BLOCK | {"width": "140px", "margin": "0 6px", "vertical-align": "middle"}
_DOT = _BLOCK | {"width": "10px", "border-radius": "5px"}


@dataclass(frozen=True, eq=False)
class Colouring:
    """The colour of every point, as positions in a list of colours."""

    codes: Int[np.ndarray, " point"]  # position in `colours`
    colours: tuple[str, ...]  # as #rrggbb
    names: tuple[str, ...] = ()  # what each colour means; empty for a scale of values
    ends: tuple[float, float] | None = None  # lowest and highest value of a scale; None for categories
    n_missing: int = 0  # points without a value

    @property
    def of_points(self) -> list[str]:
        """The colour of each point."""
        return [self.colours[code] for code in self.codes]


def by_category(values: Sequence[str], order: Sequence[str] | None = None) -> Colouring:
    """A colour for each category, in ``order``, or alphabetically if None; of more than a thousand, some have the same colour."""
    values = [str(value) for value in values]
    names = tuple(sorted(set(values)) if order is None else order)
    codes = {name: code for code, name in enumerate(names)}
    unknown = next((value for value in values if value not in codes), None)
    if unknown is not None:
        raise OptionError(f"a category must be one of {', '.join(names)}: got {unknown!r}")
    distinct = distinct_colours(min(len(names), _MOST_COLOURS))
    colours = tuple(distinct[code % _MOST_COLOURS] for code in range(len(names)))
    return Colouring(np.array([codes[v] for v in values], int), colours, names)


def by_value(values: Float[np.ndarray, " point"], *, signed: bool = False) -> Colouring:
    """A scale of colours for values: from 0 to 1, or if signed about zero; NaN is grey and does not change the scale."""
    values = np.asarray(values, float)
    if values.ndim != 1:
        raise ShapeError(f"colours need one value for each point: got values of shape {values.shape}")
    good = np.isfinite(values)
    reach = float(np.abs(values[good]).max(initial=0)) or 1.0
    low, high = (-reach, reach) if signed else (0.0, 1.0)
    places = np.clip((np.where(good, values, low) - low) / (high - low), 0, 1)
    codes = np.where(good, 1 + np.rint(places * (_BINS - 1)), 0).astype(int)
    scale = colormaps["coolwarm" if signed else "viridis"].resampled(_BINS)(np.arange(_BINS))
    colours = (MISSING, *(to_hex(colour) for colour in scale))
    return Colouring(codes, colours, ends=(low, high), n_missing=int((~good).sum()))


def legend_html(colouring: Colouring, title: str, missing: str = "no match") -> Markup:
    """A chip for each category while they are few, or the scale with its ends."""
    if colouring.ends is None:
        body = _chips(dict(zip(colouring.names, colouring.colours, strict=True)))
    else:
        stops = ",".join(colouring.colours[1::17])
        low, high = (f"{end:+.2f}" if colouring.ends[0] < 0 else f"{end:.0f}" for end in colouring.ends)
        bar = tag("span", style=_SCALE | {"background": f"linear-gradient(90deg,{stops})"})
        grey = _chips({f"{missing} ({colouring.n_missing})": MISSING}) if colouring.n_missing else ""
        body = fragment(low, bar, high, " ", grey)
    return tag("div", tag("b", title), " ", body, style=FONT | SMALL)


def _chips(colours: Mapping[str, str]) -> Markup:
    if len(colours) > _MOST_NAMED:
        n_colours = len(set(colours.values()))
        shared = f" for {counted(len(colours), 'values')}" if n_colours < len(colours) else ""
        return fragment(f"{counted(n_colours, 'colours')}{shared}; hover names the point")
    chip = {"white-space": "nowrap", "margin-left": "8px"}
    chips = (
        tag("span", tag("span", style=_DOT | {"background": colour}), " ", name, style=chip)
        for name, colour in colours.items()
    )
    return fragment(" ").join(chips)
