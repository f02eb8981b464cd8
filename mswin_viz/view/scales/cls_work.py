"""Splits the CLS of the images on screen in the background, with its progress in a line of text."""

from __future__ import annotations

from collections.abc import Callable

from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.scales.cls_splits import ClsSplits
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.markup import Html


class ClsWork:
    """Computes the splits that a result on screen asks for and lacks, then calls ``done``."""

    def __init__(self, splits: ClsSplits, guarded: Guard, *, done: Callable[[], None]) -> None:
        self._splits, self._guarded, self._done = splits, guarded, done
        self._result: ExplorerResult | None = None
        self.line = Html()
        self.worker = Worker(self._work, guarded, show=self._show, name="splitting the CLS", restarts=True)

    def follow(self, result: ExplorerResult) -> None:
        """Start the work for a result, or stop it if there is nothing to do."""
        self._result = result
        if result.has_cls and result.cls_splits is None:
            self.worker.start()
        else:
            self.worker.stop()
            self.line.value = ""

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self.worker.close()
        self._result = None

    def _work(self, report: Report, stop: Stop) -> None:
        result = self._result
        if result is None or result.cls_splits is not None:
            return
        rows = list(zip(result.pictures, result.subject.direction_of_each, strict=True))
        with self._guarded("splitting the CLS", failed=lambda: self._show(Progress(1, 1, ""))):
            for done, (picture, direction) in enumerate(rows):
                words = f"splitting the CLS of image {done + 1} of {len(rows)} ..."
                report(Progress(done, len(rows), words))
                if stop():
                    return
                self._splits.compute(picture, direction)
            self._done()

    def _show(self, progress: Progress) -> None:
        self.line.value = progress.words
