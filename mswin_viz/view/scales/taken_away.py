"""What a scale explorer gives to keep: its state, its figure, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from mswin_viz.data.progress import Stop
from mswin_viz.data.sample import Sample
from mswin_viz.view.page.page_plan import PagePlan
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.figure_download import FigureView
from mswin_viz.view.scales.bar import ExplorerBar
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.scales.figure import named_figure
from mswin_viz.view.scales.page import ScalePage
from mswin_viz.view.scales.shown_results import ShownResults
from mswin_viz.view.scales.state import state_of
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.lifetime import check_open
from mswin_viz.view.widgets.markup import Html
from mswin_viz.view.widgets.section_bar import SectionBar


class TakenAway(FigureView, SavedAsPage):
    """The part of a scale explorer that gives away what is on screen."""

    controls: Controls
    board: HeatmapBoard
    sections: SectionBar
    bar: ExplorerBar
    _shown: ShownResults | None
    _samples: Sequence[Sample]
    _results: ExploredModels
    _html: dict[str, Html]

    @property
    def state(self) -> dict[str, Any]:
        """A JSON-ready record that rebuilds this view: see :meth:`ScaleExplorer.from_state`."""
        weights = self._results.weights_in_words
        return state_of(self.controls, self.board, self._samples, weights, self._shown)

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        parts = (self.controls, self.board, self.sections, self._html)
        return ScalePage(self, self._samples, self._results, *parts, hidden=[self.bar]).plan(images, stop)

    def _named_figure(self) -> tuple[str, Figure]:
        check_open(self)
        is_old = self.board.answered != self.controls.asked
        words = f"{'Older than the controls. ' * is_old}{self._results.provenance}"
        return named_figure(self._shown, self.board, words)
