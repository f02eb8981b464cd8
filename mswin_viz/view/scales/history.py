"""The last steps of the scale explorer's controls, display and pins, so that they can be taken back one by one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.state import values_of
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.section_bar import SectionBar

MOST_STEPS = 100
"""The oldest step is forgotten where there are more."""
_ONE_MOVE = 1.0  # seconds between changes of one number that are a single step


class History:
    """What the values were before each step: those of the view, the display and the strip's choices, panels and pins.

    A number that is dragged makes one step. ``restored`` is called with the values to go back to. Positions of images mean
    others once the samples are replaced: the history then begins anew.
    """

    def __init__(
        self,
        controls: Controls,
        board: HeatmapBoard,
        sections: SectionBar,
        *,
        restored: Callable[[Mapping[str, Any]], None],
        guarded: Guard,
    ) -> None:
        self._controls, self._board, self._sections = controls, board, sections
        self._restored, self._lock, self._n_held = restored, threading.Lock(), 0
        self._steps: deque[Mapping[str, Any]] = deque(maxlen=MOST_STEPS)
        self.begin()
        undo_guarded, step_guarded = guarded("taking a step back"), guarded("keeping a step")
        sections.on_msg(undo_guarded(lambda _bar, content, _: content.get("kind") == "undo" and self.undo()))
        watched = {name: (control, "value") for name, control in controls.of_the_display.items()}
        watched |= controls.watched | {name: (board, name) for name in ("hidden", "pinned")}
        for name, (control, trait) in watched.items():
            number = name if hasattr(control, "max") else ""
            control.observe(step_guarded(lambda _change, number=number: self._note(number)), trait)

    def begin(self) -> None:
        """Forget every step: there is nothing before the present values."""
        with self._lock:
            self._steps.clear()
            self._keep()

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """What is changed inside is taken back together."""
        with self._held():
            yield
        self._note("")

    def undo(self) -> None:
        """Go back to the values before the last step, if there was one."""
        with self._lock:
            if not self._steps:
                return
            before = self._steps.pop()
        with self._held():
            self._restored(before)
        with self._lock:
            self._keep()

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._n_held += 1
        try:
            yield
        finally:
            self._n_held -= 1

    def _note(self, number: str) -> None:
        """Something was changed: ``number`` is the name of what is dragged, empty for what is chosen."""
        if self._n_held:
            return
        with self._lock:
            if self._controls.strip.serial != self._serial:
                self._steps.clear()
            elif values_of(self._controls, self._board) == self._now:
                return
            elif not number or number != self._number or time.monotonic() - self._moved > _ONE_MOVE:
                self._steps.append(self._now)
            self._keep(number)

    def _keep(self, number: str = "") -> None:
        self._now, self._serial = values_of(self._controls, self._board), self._controls.strip.serial
        self._number, self._moved = number, time.monotonic()
        self._sections.can_undo = bool(self._steps)
