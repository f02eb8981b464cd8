"""Work in a thread: one run at a time, with progress and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import check_open, joined

_EVERY = 0.2  # seconds between two reports


class Worker:
    """A job, which gets ``report`` and ``stop``, and the thread that does it.

    Parameters
    ----------
    guarded
        Of the view that the work belongs to: shows what goes wrong.
    show
        Called with the progress, at most a few times a second.
    name
        Of the work, in messages.
    restarts
        Whether a start during the work stops it and does the job again, for what is wanted by then; if not, such a
        start does nothing.
    """

    def __init__(
        self,
        job: Callable[[Report, Stop], object],
        guarded: Guard,
        *,
        show: Report,
        name: str = "the work",
        restarts: bool = False,
    ) -> None:
        self._job, self._guarded, self._show = job, guarded, show
        self._name, self._restarts = name, restarts
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._is_running = self._is_wanted_again = False
        self._last = 0.0
        self.thread: threading.Thread | None = None  # the last one

    def start(self) -> threading.Thread:
        """Begin the work, unless the view is closed; the thread that does it."""
        check_open(self._guarded.view)
        with self._lock:
            if self.thread is None or not self._is_running:
                thread = self._guarded.thread(self._name, self._run)
                self._stopped.clear()
                thread.start()  # waits for the lock before it ends
                self.thread, self._is_running = thread, True
            elif self._restarts:
                self._is_wanted_again = True
                self._stopped.set()
            return self.thread

    def stop(self) -> None:
        """End the work at its next look."""
        with self._lock:
            self._is_wanted_again = False
            self._stopped.set()

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self.stop()
        joined([self.thread])

    def _run(self) -> None:
        is_wanted = True
        while is_wanted:
            with suppress(BaseException), self._guarded(self._name):  # it is shown; a thread has no caller
                self._job(self._report, self._stopped.is_set)
            with self._lock:
                is_wanted = self._is_running = self._is_wanted_again
                self._is_wanted_again = False
                if is_wanted:
                    self._stopped.clear()

    def _report(self, progress: Progress) -> None:
        if progress.done >= progress.total or time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self._show(progress)
