"""The slider of the free scale: it moves in the browser, and tells the kernel where it has come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from mswin_viz.view.widgets.assets import script, style


class ScaleSlider(anywidget.AnyWidget, widgets.ValueWidget):
    """A slider over whole numbers with marked places, keys and a button that runs through all of them.

    Every move changes ``value`` in the browser at once, for what follows it there. The kernel hears of it when the
    pointer lets go or the slider has rested for a quarter of a second; with ``is_followed`` it hears of each move.
    """

    _esm = script("slider")
    _css = style("slider")

    # no echo: it would set back a slider that has moved on meanwhile
    value = traitlets.CInt(1).tag(sync=True, echo_update=False)
    min = traitlets.Int(1).tag(sync=True)
    max = traitlets.Int(1).tag(sync=True)
    marks = traitlets.List(traitlets.Int()).tag(sync=True)  # places that have a button, and keys to go there
    description = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)  # what a screen reader says behind the number
    mark_words = traitlets.Unicode().tag(sync=True)  # and at a marked place
    is_followed = traitlets.Bool(True).tag(sync=True)  # whether the kernel must answer each move
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, value: int = 1, *, marks: Sequence[int] = (), **traits: Any) -> None:
        super().__init__(value=value, **traits)
        self.marks = [mark for mark in marks if self.min <= mark <= self.max]

    def __repr__(self) -> str:
        return f"ScaleSlider({self.value} in {self.min}..{self.max})"

    @traitlets.validate("value")
    def _inside(self, proposal: Any) -> int:
        return sorted((self.min, proposal["value"], self.max))[1]
