"""The shares of the chosen result, worked out in the background; of several choices the latest counts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import ipywidgets as widgets

from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.pair_shares import pair_window_shares
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.token_cache import TokenCache
from mswin_viz.view.guarded import show_as_out_of_date
from mswin_viz.view.lifetime import close_view
from mswin_viz.view.pair_panel import PairPanel
from mswin_viz.view.worker import Report, Stop, Worker

__all__ = ["Pair", "PairWork"]

Pair = tuple[EmbeddingTable, int, int]
"""A table, and the rows of query and result."""


class PairWork(widgets.VBox):
    """Splits the similarity of the pair that is chosen on screen, and shows it where that is still the chosen one.

    Parameters
    ----------
    model
        The one behind the table.
    chosen
        The pair on screen: table, query's row, result's row; None where no result is chosen.

    Attributes
    ----------
    worker, panel
        The button with its progress, and what it found.
    kept
        Tokens of the images looked at last.
    thread
        At work on the last choice; None before the first.
    """

    def __init__(self, model: Model, chosen: Callable[[], Pair | None]) -> None:
        self._model, self._chosen, self._lock = model, chosen, threading.Lock()
        self._wanted: Pair | None = None
        self._is_idle = True
        self.kept, self.panel = TokenCache(model), PairPanel(model)
        self.thread: threading.Thread | None = None
        self.worker = Worker(
            self._split, name="window shares of the chosen result", css="mswin-retrieval-pair"
        )
        super().__init__([self.worker, self.panel])

    def close(self) -> None:
        """End the work, release the tokens, and close the widgets."""
        close_view(self)

    def release(self) -> None:
        """End the work, and release the tokens."""
        self.worker.release()
        self.kept.close()

    def follow(self) -> None:
        """Begin on what is chosen now; where nothing is, show nothing."""
        wanted = self._chosen()
        if wanted is None:
            self.panel.clear()
            return
        with self._lock:
            self._wanted = wanted
            is_idle, self._is_idle = self._is_idle, False
        if is_idle:
            try:
                if self.thread is not None:
                    self.thread.join()  # on its way out
                self.thread = self.worker.start()
            except BaseException:
                self._rest()
                raise

    def _next_pair(self) -> Pair | None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
            self._is_idle = wanted is None
            return wanted

    def _split(self, report: Report, stop: Stop) -> None:
        try:
            if self._wanted is None:
                self._wanted = self._chosen()  # the button was pressed
            if self._wanted is None:
                raise OptionError("window shares need a chosen result: click one in the lists above")
            while (wanted := self._next_pair()) is not None:
                self._split_one(wanted, report, stop)
        except BaseException:
            show_as_out_of_date(self.panel.board, True)
            raise
        finally:
            self._rest()

    def _rest(self) -> None:
        with self._lock:
            self._is_idle = True

    def _split_one(self, wanted: Pair, report: Report, stop: Stop) -> None:
        table, a, b = wanted
        n_images, asked = 2 * len(table.files[a]), [0]

        def stopped() -> bool:
            report(asked[0] / (n_images + 1), f"image {asked[0] + 1} of {n_images}")
            asked[0] += 1
            return stop()

        shares = pair_window_shares(self._model, table, a, b, kept=self.kept, stop=stopped)
        chosen = self._chosen()
        if chosen is not None and chosen[0] is table and chosen[1:] == (a, b):
            self.panel.show(table, (a, b), shares)
        report(1.0, "")
