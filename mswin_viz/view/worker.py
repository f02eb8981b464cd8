"""Work that takes its time: a thread of its own behind a button, with a progress bar and a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from mswin_viz.errors import StoppedError
from mswin_viz.view.guarded import OUT_OF_DATE, Guard
from mswin_viz.view.lifetime import check_open, close_view, joined
from mswin_viz.view.markup import Html
from mswin_viz.view.share_bars import message_html

__all__ = ["Report", "Stop", "Worker"]

Report = Callable[[float, str], None]
"""Called with the fraction done, 0..1, and what is being done."""
Stop = Callable[[], bool]
"""Asked now and then; true ends the work."""
_EVERY = 0.2  # seconds between two reports


class Worker(widgets.VBox):
    """A button, a progress bar, a stop, and the thread behind them; at most one thread at a time.

    Parameters
    ----------
    job
        What is done at each press; it gets ``report`` and ``stop``. Whatever it raises is said here, and what it shows
        is then said to be out of date.
    name
        What stands on the button.

    Attributes
    ----------
    run, stop_button, progress, status
        The widgets.
    """

    def __init__(self, job: Callable[[Report, Stop], None], *, name: str, css: str = "mswin-work") -> None:
        self._job, self._stopped = job, threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._last = 0.0
        self._guarded = Guard(self, self._say)
        self.run = widgets.Button(description=name, button_style="primary", layout={"width": "auto"})
        self.stop_button = widgets.Button(description="stop", disabled=True, layout={"width": "60px"})
        self.progress = widgets.FloatProgress(0.0, min=0, max=1, layout={"width": "180px"})
        self.status, self._message = Html(), Html()
        parts = {
            "run": self.run,
            "stop": self.stop_button,
            "progress": self.progress,
            "status": self.status,
            "message": self._message,
        }
        for part, widget in parts.items():
            widget.add_class(f"{css}-{part}")
        row = widgets.HBox(
            [self.run, self.stop_button, self.progress, self.status], layout={"flex_flow": "row wrap"}
        )
        super().__init__([row, self._message])
        guarded = self._guarded("starting the work", failed=lambda: self.status.set_trait("value", "failed"))
        self.run.on_click(guarded(lambda _: self.start()))
        self.stop_button.on_click(self._guarded("stopping the work")(lambda _: self.stop()))

    def start(self) -> threading.Thread:
        """Start; while work is running, do nothing.

        Raises
        ------
        ClosedError
            If it was closed.
        """
        check_open(self)
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stopped.clear()
                self._thread = self._guarded.thread("the work", self._work)
                self._thread.start()
            return self._thread

    def stop(self) -> None:
        """End the work at its next look."""
        self._stopped.set()

    def close(self) -> None:
        """End the work, and close the widgets."""
        close_view(self)

    def release(self) -> None:
        """End the work, and wait until it has ended."""
        self.stop()
        joined([self._thread])

    def _report(self, done: float, words: str) -> None:
        if done >= 1 or time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self.progress.value, self.status.value = done, words

    def _say(self, problems: Sequence[str]) -> None:
        self._message.value = message_html([*problems, OUT_OF_DATE] if problems else ())

    def _work(self) -> None:
        self.run.disabled, self.stop_button.disabled = True, False
        self.progress.value = 0.0
        self._guarded.forget()
        self._say(())
        started, words = time.monotonic(), "failed"
        try:
            self._job(self._report, self._stopped.is_set)
            words = f"done in {time.monotonic() - started:.1f} s"
        except StoppedError as stopped:
            words = f"stopped: {stopped}"
        finally:
            self.status.value = words
            self.run.disabled, self.stop_button.disabled = False, True
