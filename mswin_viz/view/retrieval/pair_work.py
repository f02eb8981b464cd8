"""The shares of the chosen result, worked out in the background; of several choices the latest counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.pair_record import PairShares
from mswin_viz.analysis.embeddings.pair_shares import pair_window_shares
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.retrieval.pair_panel import PairPanel
from mswin_viz.view.widgets.lifetime import ClosedWhole

Pair = tuple[EmbeddingTable, int, int]
"""A table, and the rows of query and result."""


class PairWork(ClosedWhole, widgets.VBox):
    """Splits the similarity of the pair that ``chosen()`` returns, and shows it if that is still the chosen one."""

    def __init__(self, model: Model, chosen: Callable[[], Pair | None]) -> None:
        self._model, self._chosen = model, chosen
        self.kept, self.panel = TokenCache(model), PairPanel(model)
        self.worker = WorkBar(
            self._split, name="window shares of the chosen result", css="mswin-retrieval-pair", restarts=True
        )
        super().__init__([self.worker, self.panel])

    def release(self) -> None:
        """End the work, and release the tokens."""
        self.worker.release()
        self.kept.close()  # the tokens of the images looked at last

    def follow(self) -> None:
        """Begin on the chosen pair; show nothing if no pair is chosen."""
        pair = self._chosen()
        if pair is None:
            self.panel.clear()
        else:
            self.panel.pair_freshness.ask(pair)
            self.worker.start()

    def shares_of_first(self, table: EmbeddingTable, ranked: Neighbours, n: int) -> list[PairShares]:
        """The shares of the query and each of its first ``n`` results in a table of this model."""
        rows = ranked.rows[:n].tolist()
        return [pair_window_shares(self._model, table, ranked.query, row, kept=self.kept) for row in rows]

    def _split(self, report: Report, stop: Stop) -> None:
        pair = self._chosen()
        if pair is None:
            raise OptionError("window shares need a chosen result: got none; click one in the lists above")
        freshness = self.panel.pair_freshness
        asked = freshness.ask(pair)
        try:
            shares = self._shares(pair, report, stop)
            if self._chosen() == pair:
                self.panel.show(pair[0], pair[1:], shares)
                freshness.answer(asked)
        except StoppedError:
            raise
        except BaseException:
            freshness.fail(asked)
            raise

    def _shares(self, pair: Pair, report: Report, stop: Stop) -> PairShares:
        table, query, result = pair
        n_images, n_asked = 2 * len(table.files[query]), count()

        def reported_stop() -> bool:
            done = next(n_asked)
            report(Progress(done, n_images + 1, f"image {done + 1} of {n_images}"))
            return stop()

        shares = pair_window_shares(self._model, table, query, result, kept=self.kept, stop=reported_stop)
        report(Progress(1, 1))
        return shares
