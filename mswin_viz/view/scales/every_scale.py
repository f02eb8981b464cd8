"""The free windows of every scale, computed behind an answer and sent to the board, so that its slider needs no kernel."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.data.progress import Report, Stop, unheard
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import Guard

_MOST_KEPT = 8
_SCALE = "scale"


class EveryScaleWork:
    """Gives the board the panels that go with the answer on it; those of the last few answers are kept.

    The slider is told whether the kernel must follow each of its moves.
    """

    def __init__(self, board: HeatmapBoard, controls: Controls, guarded: Guard) -> None:
        self._board, self._guarded = board, guarded
        self._slider: Any = controls.scale  # a ScaleSlider
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[ShownResults, tuple[Panel, ...]]] = OrderedDict()
        self._result: ShownResults | None = None
        self._fits: dict[str, Any] = {}
        self._sent: Hashable = None
        self.worker = Worker(self._work, guarded, show=unheard, name="computing every scale", restarts=True)

    def leave(self) -> None:
        """The board is about to show another answer: what is being computed for the last one does not go there."""
        with self._lock:
            self._result = None

    def follow(self, result: ShownResults, asked: Mapping[str, Any]) -> None:
        """An answer to these values of the controls is on the board."""
        with self._lock:
            self._result = result
            self._fits = {name: value for name, value in asked.items() if name != _SCALE}
        if result.every_scale is None:
            self.worker.stop()
            self._send(result, ())
        elif result.every_scale in self._kept:
            self.worker.stop()
            self._send(result, self._kept[result.every_scale][1])
        else:
            self._slider.is_followed = True
            if self._board.fits == self._fits:  # the same controls, but other weights
                self._board.fits = {}
            self.worker.start()

    def close(self) -> None:
        """End the work, wait until it has ended, and release what is kept."""
        self.worker.close()
        with self._lock:
            self._kept.clear()
            self._result = None

    def _work(self, _report: Report, stop: Stop) -> None:
        result = self._result
        if result is None or result.every_scale is None:
            return
        with one_blas_thread():  # the other cores are left to what is asked meanwhile
            panels = result.panels_of_every_scale(stop)
        if not panels:
            return
        light = result.without_window_answers()  # they are large
        with self._lock:  # with the result, so that no id in the key is given twice
            self._kept[result.every_scale] = (light, panels)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        if not stop():
            self._send(result, panels)

    def _send(self, result: ShownResults, panels: tuple[Panel, ...]) -> None:
        with self._lock:
            if self._result is not result:
                return
            key = result.every_scale
            fits = {} if key is None else self._fits
            if key != self._sent:
                self._board.show_every_scale(panels, fits=fits)
                self._sent = key
            else:
                self._board.fits = fits
            self._slider.is_followed = not panels
