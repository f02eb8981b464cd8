"""A button for work that takes its time, with a progress bar, a stop button, and how the work ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.errors import StoppedError
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import Html, message_html

_SOON = 2.0  # seconds, before which no time is said
_ENOUGH = 0.04  # part of the work, from which one is


class WorkBar(ClosedWhole, widgets.VBox):
    """A button, a progress bar, a stop button, and the worker behind them.

    Parameters
    ----------
    job
        What is done at each press; it gets ``report`` and ``stop``, and may return how it ended. Errors are shown
        below the bar, with the warning that the view no longer fits the controls.
    name
        The button's label.
    css
        Prefix of the class of each part.
    restarts
        What a press during the work does: see :class:`~mswin_viz.view.parts.worker.Worker`.
    is_shown_below
        Whether the result stands below the bar, and is out of date where the work failed.
    """

    def __init__(
        self,
        job: Callable[[Report, Stop], str | None],
        *,
        name: str,
        css: str = "mswin-work",
        restarts: bool = False,
        is_shown_below: bool = True,
    ) -> None:
        self._job, self._started, self._is_shown_below = job, 0.0, is_shown_below
        self._guarded = Guard(self, self._show_problems)
        self._worker = Worker(self._work, self._guarded, show=self._show_progress, restarts=restarts)
        self.run = widgets.Button(description=name, button_style="primary", layout={"width": "auto"})
        self.stop_button = widgets.Button(description="stop", disabled=True, layout={"width": "60px"})
        self.progress = widgets.FloatProgress(0.0, min=0, max=1, layout={"width": "180px"})
        self.status, self._message = Html(), Html()
        row = [self.run, self.stop_button, self.progress, self.status]
        names = ("run", "stop", "progress", "status", "message")
        for part, widget in zip(names, [*row, self._message], strict=True):
            widget.add_class(f"{css}-{part}")
        self.status.add_class("mswin-work-status")
        layout = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([widgets.HBox(row, layout=layout), self._message])
        self.add_class("mswin-work")
        guarded = self._guarded("starting the work", failed=lambda: self.status.set_trait("value", "failed"))
        self.run.on_click(guarded(lambda _: self.start()))
        self.stop_button.on_click(self._guarded("stopping the work")(lambda _: self.stop()))

    @property
    def thread(self) -> threading.Thread | None:
        """The last one that did the work; None before the first."""
        return self._worker.thread

    def start(self) -> threading.Thread:
        """Begin the work, as the button does."""
        return self._worker.start()

    def stop(self) -> None:
        """End the work at its next look."""
        self._worker.stop()

    def release(self) -> None:
        """End the work, and wait until it has ended."""
        self._worker.close()

    def _work(self, report: Report, stop: Stop) -> None:
        self.run.disabled, self.stop_button.disabled = True, False
        self.progress.value = 0.0
        self._guarded.forget()
        self._show_problems(())
        self._started, words = time.monotonic(), "failed"
        try:
            words = self._job(report, stop) or f"done in {time.monotonic() - self._started:.1f} s"
        except StoppedError as stopped:
            words = f"stopped: {stopped}"
        finally:
            self.status.value = words
            self.run.disabled, self.stop_button.disabled = False, True

    def _show_progress(self, progress: Progress) -> None:
        self.progress.value = progress.fraction
        self.status.value = progress.words + _time_left(time.monotonic() - self._started, progress.fraction)

    def _show_problems(self, problems: Sequence[str]) -> None:
        self._message.value = message_html(
            [*problems, *[OUT_OF_DATE] * self._is_shown_below] if problems else ()
        )


def _time_left(seconds: float, fraction: float) -> str:
    """About how long the rest takes, if it goes on as so far; nothing while that is a mere guess."""
    if seconds < _SOON or not _ENOUGH < fraction < 1:
        return ""
    left = seconds * (1 - fraction) / fraction
    return f" about {left:.0f} s left" if left < 90 else f" about {left / 60:.0f} min left"
