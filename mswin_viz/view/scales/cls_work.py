"""Splits the CLS of the images on screen in the background, with its progress in a line of text."""

from __future__ import annotations

from collections.abc import Callable

from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.markup import Html


class ClsWork:
    """Computes the splits that what is on screen asks for and lacks, in each model, then calls ``done``."""

    def __init__(self, models: ExploredModels, guarded: Guard, *, done: Callable[[], None]) -> None:
        self._models, self._guarded, self._done = models, guarded, done
        self._shown: ShownResults | None = None
        self.line = Html()
        self.worker = Worker(self._work, guarded, show=self._show, name="splitting the CLS", restarts=True)

    def follow(self, shown: ShownResults) -> None:
        """Start the work for what is shown, or stop it if there is nothing to do."""
        self._shown = shown
        if self._models.missing_splits(shown):
            self.worker.start()
        else:
            self.worker.stop()
            self.line.value = ""

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self.worker.close()
        self._shown = None

    def _work(self, report: Report, stop: Stop) -> None:
        shown = self._shown
        if shown is None:
            return
        rows = self._models.missing_splits(shown)
        with self._guarded("splitting the CLS", failed=lambda: self._show(Progress(1, 1, ""))):
            for done, (splits, picture, direction) in enumerate(rows):
                words = f"splitting the CLS of image {done + 1} of {len(rows)} ..."
                report(Progress(done, len(rows), words))
                if stop():
                    return
                splits.compute(picture, direction)
            if rows:
                self._done()

    def _show(self, progress: Progress) -> None:
        self.line.value = progress.words
