"""The live curve of a training: loss and validation, drawn in the browser from numbers alone."""

from __future__ import annotations

import time
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from mswin_viz.errors import OptionError
from mswin_viz.model.training.run import TrainingStep
from mswin_viz.view.parts.figure_file import new_figure, tidy
from mswin_viz.view.parts.figure_text import folded_name
from mswin_viz.view.parts.stored_output import StoredView, one_line
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.colours import FEATURES
from mswin_viz.view.widgets.lifetime import is_closed

_EVERY = 0.25  # seconds between two messages to the browser
_LOSS, _SCORE = "0.45", FEATURES["enhanced"]


class TrainingCurve(StoredView, anywidget.AnyWidget):
    """Shows the steps reported to it; give it to a training as ``Watch(report=curve)``. The traits are its whole state.

    Attributes
    ----------
    losses
        Of every step.
    checked, scores
        Steps validated at, and the scores, percent.
    steps
        In the whole schedule.
    plain
        Score of plain CLS, percent, drawn as a dashed line; None for no line.
    score_name
        Title above the scores.
    status
        Words below the curves.

    Examples
    --------
    >>> world, _ = mv.sample_tokens(model, samples[:8], scales=(4, 8), progress=False)
    >>> curve = mv.TrainingCurve()
    >>> options = {"steps": 3, "watch": mv.Watch(report=curve), "progress": False}
    >>> _ = mv.train_addon(world.tokens["RGB"], world.pids, scales=(4, 8), **options)
    >>> len(curve.losses), curve.steps
    (3, 3)
    >>> curve.close()
    """

    _esm = script("curve")
    _css = style("curve")

    losses = traitlets.List(traitlets.Float()).tag(sync=True)
    checked = traitlets.List(traitlets.Int()).tag(sync=True)
    scores = traitlets.List(traitlets.Float()).tag(sync=True)
    steps = traitlets.Int(1).tag(sync=True)
    plain = traitlets.Float(None, allow_none=True).tag(sync=True)
    score_name = traitlets.Unicode("mAP of held-out identities, percent").tag(sync=True)
    status = traitlets.Unicode("no step yet").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._waiting: list[TrainingStep] = []
        self._sent = 0.0

    def __repr__(self) -> str:
        return one_line(self, self.status, is_closed=is_closed(self))

    def _picture(self) -> Figure | None:
        return self.figure() if self.losses else None

    def figure(self) -> Figure:
        """Losses above validation scores, over the steps.

        Raises
        ------
        OptionError
            If there was no step yet.
        """
        if not self.losses:
            raise OptionError("a training figure needs at least one step: none has been reported yet")
        figure = new_figure(6, 3.6)
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(range(1, len(self.losses) + 1), self.losses, color=_LOSS, lw=0.9)
        above.set_ylabel("loss", fontsize=8)
        below.plot(self.checked, self.scores, "o-", color=_SCORE, ms=3, lw=1.2)
        if self.plain is not None:
            below.axhline(self.plain, color="0.4", ls="--", lw=1, label=f"plain CLS {self.plain:.1f}")
            below.legend(fontsize=7)
        below.set_title(folded_name(self.score_name, 90, most=180), fontsize=8)
        below.set_xlabel("step", fontsize=8)
        tidy(above, below)
        return figure

    def __call__(self, step: TrainingStep) -> None:
        """Take one step's report; it is shown at once, or with the next few."""
        if step.step == 1:
            self.losses, self.checked, self.scores, self._waiting = [], [], [], []
        self._waiting.append(step)
        due = time.monotonic() - self._sent > _EVERY
        if due or step.score is not None or step.step == step.steps:
            self.show()

    def show(self) -> None:
        """Send what is waiting, in one message."""
        steps, self._waiting, self._sent = self._waiting, [], time.monotonic()
        if not steps:
            return
        checks = {step.step: 100 * step.score for step in steps if step.score is not None}
        with self.hold_sync():
            self.steps = steps[-1].steps
            self.losses = [*self.losses, *(step.loss for step in steps)]
            self.checked = [*self.checked, *checks]
            self.scores = [*self.scores, *checks.values()]
            self.status = self._words(steps[-1])

    def _words(self, last: TrainingStep) -> str:
        words = f"step {last.step} of {last.steps}, loss {last.loss:.3f}"
        if not self.scores:
            return words
        best = max(range(len(self.scores)), key=self.scores.__getitem__)
        return f"{words}; best mAP {self.scores[best]:.1f} at step {self.checked[best]}"
