"""The live curve of a training: loss and validation, drawn in the browser from numbers alone."""

from __future__ import annotations

import time
from typing import Any

import anywidget
import traitlets

from mswin_viz.model.training import Progress
from mswin_viz.view.heatmap import SCRIPTS, bundled

__all__ = ["TrainingCurve"]

_EVERY = 0.25  # seconds between two messages to the browser


class TrainingCurve(anywidget.AnyWidget):
    """Shows what it is told; give it to a training as ``Watch(report=curve)``. The traits are its whole state.

    Attributes
    ----------
    losses
        Of every step.
    checked, scores
        Steps validated at, and the scores, percent.
    steps
        How many the schedule has.
    plain
        Score of plain CLS, percent, drawn as a dashed line; None for no line.
    score_name
        What stands above the scores.
    status
        Words below the curves.
    """

    _esm = bundled("curve")
    _css = (SCRIPTS / "curve.css").read_text(encoding="utf-8")

    losses = traitlets.List(traitlets.Float()).tag(sync=True)
    checked = traitlets.List(traitlets.Int()).tag(sync=True)
    scores = traitlets.List(traitlets.Float()).tag(sync=True)
    steps = traitlets.Int(1).tag(sync=True)
    plain = traitlets.Float(None, allow_none=True).tag(sync=True)
    score_name = traitlets.Unicode("mAP of held-out identities, percent").tag(sync=True)
    status = traitlets.Unicode("no step yet").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._waiting: list[Progress] = []
        self._sent = 0.0

    def __repr__(self) -> str:
        return f"TrainingCurve({self.status})"

    def __call__(self, progress: Progress) -> None:
        """Take one step's report; shown at once, or with the next few."""
        if progress.step == 1:
            self.losses, self.checked, self.scores, self._waiting = [], [], [], []
        self._waiting.append(progress)
        due = time.monotonic() - self._sent > _EVERY
        if due or progress.score is not None or progress.step == progress.steps:
            self.show()

    def show(self) -> None:
        """Send what is waiting, in one message."""
        told, self._waiting, self._sent = self._waiting, [], time.monotonic()
        if not told:
            return
        checks = [one for one in told if one.score is not None]
        with self.hold_sync():
            self.steps = told[-1].steps
            self.losses = [*self.losses, *(one.loss for one in told)]
            self.checked = [*self.checked, *(one.step for one in checks)]
            self.scores = [*self.scores, *(100 * one.score for one in checks)]
            self.status = self._words(told[-1])

    def _words(self, last: Progress) -> str:
        words = f"step {last.step} of {last.steps}, loss {last.loss:.3f}"
        if not self.scores:
            return words
        best = max(range(len(self.scores)), key=self.scores.__getitem__)
        return f"{words}; best mAP {self.scores[best]:.1f} at step {self.checked[best]}"
