"""The embedding explorer: linked maps of plain and enhanced CLS, their measures, and the image behind each point."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.export import export
from mswin_viz.analysis.embeddings.same_images import TablesByName
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import EmbeddingView, ViewSettings, embedding_view
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Report, Stop, portion
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.embeddings.board import EmbeddingBoard
from mswin_viz.view.embeddings.compared import given_maps
from mswin_viz.view.embeddings.controls import setting_controls
from mswin_viz.view.embeddings.map_figures import maps_figure, save_figures
from mswin_viz.view.embeddings.page import EmbeddingPage
from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.page.page_plan import PagePlan
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.folder_saving import FolderSaving
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.parts.neighbour_words import feature_names_words
from mswin_viz.view.parts.row_pictures import first_pictures
from mswin_viz.view.parts.stored_output import one_line
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.maps import LinkedMaps
from mswin_viz.view.widgets.markup import Html, message_html

if TYPE_CHECKING:
    import pandas as pd

_EMBEDDING = 0.8  # part of the progress bar that embedding takes, where there is no table yet


class EmbeddingExplorer(SavedAsPage):
    """Plain and enhanced embeddings side by side; a click on a point opens the image behind it.

    What takes long (embedding the images, projecting and comparing them) starts with a button and can be stopped.
    Colours, search, selection, arrows and morph follow at once.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`. Or name -> table of :func:`embed`, or ``(table, "plain")``, at least two: the maps
        are of two models' features, of the images that both have (see :class:`RetrievalView`). There are then no heatmaps.
    samples
        Those of the table, in the same order; at least one. Of tables by name they may be left out.
    table
        Their embeddings, where they are at hand; else the button computes them.
    view
        Maps and measures that are at hand; else the button computes them.
    modalities
        Which images are embedded.
    settings
        Where the controls stand at first.

    Attributes
    ----------
    table
        The embeddings; None until they are computed. They stay when the explorer is closed, as ``view`` does.
    settings, controls
        What is computed, and how it is shown: widgets, to be set from code.
    panel, pair
        The heatmaps of the image that is open; which two of several models are on the maps.
    worker, board, tag_bar, saving, save_page
        The button with its progress, what is on screen, the row that tags what is selected, the row that saves what is shown, and
        the button that downloads it as a page.

    Raises
    ------
    DataError
        If there is no sample.
    OptionError
        If the table was made from other samples, or model or samples are of another type.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> explorer = mv.EmbeddingExplorer(model, samples[:24], table=table, view=view)
    >>> explorer.open_row(3)  # as a click on its point does
    >>> explorer.state["selected"]
    [3]
    >>> explorer.close()
    >>> two = mv.EmbeddingExplorer({"CLIP": (table, "plain"), "windows": table})
    >>> two.pair.chosen
    ('CLIP', 'windows')
    >>> two.close()
    """

    page_images = 600

    @made_whole()
    def __init__(
        self,
        model: Model | TablesByName,
        samples: Sequence[Sample] | None = None,
        *,
        table: EmbeddingTable | None = None,
        view: EmbeddingView | None = None,
        modalities: Sequence[str] = MODALITIES,
        settings: ViewSettings | None = None,
    ) -> None:
        self._source = source = given_maps(model, samples, table)
        self.model, self._samples, self._modalities = source.model, source.samples, tuple(modalities)
        self.pair, self.table = source.pair, source.pair.table(table)
        for shown in (table, None if view is None else view.table):
            self._check(shown)
        first = settings or (ViewSettings() if view is None else view.settings)
        has_scenes = any(sample.scene is not None for sample in self._samples)
        self.settings = setting_controls(first, has_scenes=has_scenes)
        self.worker = WorkBar(self._compute, name=source.work, css="mswin-embedding")
        self.board = EmbeddingBoard(self.model, self._samples)
        self.panel, self.controls, self.tag_bar = self.board.panel, self.board.controls, self.board.tag_bar
        self.saving = FolderSaving(self.save, "embeddings", css="mswin-embedding")
        self.save_page = PageDownload(self, self.panel.board, name="embeddings", counted="pictures")
        self._below = widgets.VBox(
            [self.board, self.saving, self.save_page], layout={"display": "none", "overflow": "visible"}
        )
        self._old, self._freshness = Html(), Freshness(self._mark)
        guarded = Guard(self, lambda problems: self._old.set_trait("value", message_html(problems)))
        badge = Html(source.badge)
        self._settings_row = widgets.VBox([self.pair, self.settings.layout()])
        super().__init__([badge, self._settings_row, self.worker, self._old, self._below, Frame()])
        self.add_class(VIEW).add_class("mswin-embeddings")
        if view is not None:
            self._show(view)
            self._freshness.answer(self._freshness.ask((view.settings, self.pair.chosen)))
        for control in (*self.settings.every, self.pair.first, self.pair.second):
            control.observe(
                guarded("following a setting")(lambda _change: self._freshness.ask(self._request)), "value"
            )
        self._freshness.ask(self._request)

    def __repr__(self) -> str:
        shows = f"{counted(len(self._samples), 'samples')}, {'no maps yet' if self.view is None else repr(self.view)}"
        return one_line(self, shows, *self._source.models, is_closed=is_closed(self))

    def _picture(self) -> Figure | Image.Image:
        if self.view is None:
            return first_pictures(self._samples)
        return maps_figure(self.view, by=self.controls.coloured_by)

    @property
    def _request(self) -> tuple[ViewSettings, tuple[str, str]]:
        """What the controls ask for: settings, and whose maps."""
        return self.settings.settings, self.pair.chosen

    @property
    def view(self) -> EmbeddingView | None:
        """The maps and measures on screen; None until they are computed."""
        return self.board.view

    @property
    def maps(self) -> LinkedMaps | None:
        """The maps; None at first."""
        return self.board.maps

    @property
    def strip(self) -> NeighbourStrip | None:
        """Its neighbours, plain and enhanced; None at first."""
        return self.board.strip

    @property
    def state(self) -> Mapping[str, Any]:
        """What is selected, opened and coloured by."""
        selected = [] if self.maps is None else list(self.maps.selected)
        return {"selected": selected, "colour": self.controls.coloured_by, **self.panel.state}

    def start(self) -> threading.Thread:
        """Compute what the settings ask for, as the button does."""
        return self.worker.start()

    def open_row(self, row: int) -> None:
        """Select one row of the maps, and open its image.

        Raises
        ------
        OptionError
            If there are no maps yet, or no such row.
        ClosedError
            If the explorer was closed.
        """
        check_open(self)
        if self.maps is None:
            raise OptionError(
                "a row needs maps: none have been computed yet; press the button, or call start()"
            )
        self.maps.selected = [row]

    def selection(self) -> pd.DataFrame:
        """What is selected: the columns of :meth:`EmbeddingTable.to_pandas`, and ``tags``, those of each row's sample.

        Raises
        ------
        OptionError
            If there are no maps yet.
        ClosedError
            If the explorer was closed.
        """
        check_open(self)
        return self.board.selection()

    def save(self, folder: str | Path) -> list[Path]:
        """Write every figure (PNG and PDF) and every table (CSV and Parquet) of what is shown.

        Raises
        ------
        OptionError
            If there is nothing to save yet.
        ClosedError
            If the explorer was closed.
        """
        check_open(self)
        if self.view is None:
            raise OptionError(
                "saving needs maps: none have been computed yet; press the button, or call start()"
            )
        about = f"{feature_names_words(self.view.table)}{self._source.provenance}"
        written = export(self.view, folder, provenance=about)
        return [*written, *save_figures(self.view, folder, provenance=self._source.provenance)]

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        if self.view is None or self.maps is None:
            raise OptionError(
                "a page needs maps: none have been computed yet; press the button, or call start()"
            )
        board = self.board
        around = [self._settings_row, self.worker, self._old, self.saving, self.save_page]
        inside = [self.panel, self.strip, board.html["selection"], board.tag_bar]
        hidden = [part for part in (*around, *inside) if part is not None]
        page = EmbeddingPage(self, self._samples, self.controls, board.html, hidden)
        failed = () if self.table is None else self.table.failed
        return page.plan(self.view, self.maps, failed, images, stop)

    def _check(self, table: EmbeddingTable | None) -> None:
        if table is not None and len(table) and int(table.sample.max()) >= len(self._samples):
            raise OptionError(
                f"a table must be shown with the samples it was made from: got {counted(len(self._samples), 'samples')} and a row "
                f"of sample {int(table.sample.max())}; pass those that were embedded"
            )

    def _compute(self, report: Report, stop: Stop) -> None:
        """Compute and show; maps of an earlier request that stay on screen are marked."""
        asked = self._freshness.ask(self._request)
        try:
            self._show(self._computed(asked.request[0], report, stop))
        except StoppedError:
            raise
        except BaseException:
            self._freshness.fail(asked)
            raise
        self._freshness.answer(asked)

    def _computed(self, settings: ViewSettings, report: Report, stop: Stop) -> EmbeddingView:
        begun, table = 0.0, self.pair.table(self.table)
        if table is None and self.model is not None:
            begun = _EMBEDDING
            table = embed(
                self.model, self._samples, modalities=self._modalities, progress=False, stop=stop,
                report=portion(report, 0, begun),
            )  # fmt: skip
        self.table, rest = table, portion(report, begun, 1)
        view = embedding_view(cast(EmbeddingTable, table), settings, report=rest, stop=stop)
        check_open(self)  # it may have been closed while this was computed
        return view

    def _mark(self, is_old: bool) -> None:
        """Maps of other settings than those above them."""
        show_as_out_of_date(self._below, is_old)
        button = self.worker.run.description
        words = f"{OUT_OF_DATE} Press “{button}” for maps of the settings above." if is_old else ""
        self._old.value = message_html([words] if words else ())

    def _show(self, view: EmbeddingView) -> None:
        self.board.show(view, failed=() if self.table is None else self.table.failed)
        self._below.layout.display = None
