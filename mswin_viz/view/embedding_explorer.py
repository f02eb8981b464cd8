"""The embedding explorer: linked maps of plain and enhanced CLS, their measures, and the image behind each point."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.embedding_export import export
from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.embedding_view import EmbeddingView, ViewSettings, embedding_view
from mswin_viz.analysis.image_features import embed
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.progress import Report, Stop, portion
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.typed_paths import typed_path
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.view.embedding_controls import COLOURS, map_controls, setting_controls
from mswin_viz.view.guarded import Guard, show_as_out_of_date
from mswin_viz.view.html import badge_html, failure_words
from mswin_viz.view.lifetime import check_open, close_view, is_closed, made_whole
from mswin_viz.view.map_colours import Colouring, legend_html
from mswin_viz.view.map_figures import maps_figure, save_figures
from mswin_viz.view.map_places import MapPoints
from mswin_viz.view.map_points import identity_name, map_colouring, map_points
from mswin_viz.view.maps import MOST_ARROWS, LinkedMaps
from mswin_viz.view.markup import Html, message_html
from mswin_viz.view.measure_table import measures_html, selection_html
from mswin_viz.view.neighbour_strip import NeighbourStrip
from mswin_viz.view.pictures import thumbnail
from mswin_viz.view.point_panel import PointPanel
from mswin_viz.view.row_pictures import first_pictures
from mswin_viz.view.stored_output import one_line, with_picture
from mswin_viz.view.work_bar import WorkBar

__all__ = ["EmbeddingExplorer"]

_NEIGHBOURS = 6  # that fit below the maps
_EMBEDDING = 0.8  # part of the progress bar that embedding takes, where there is no table yet


class EmbeddingExplorer(widgets.VBox):
    """Plain and enhanced embeddings side by side; a click on a point opens the image behind it.

    What takes long (embedding the images, projecting and comparing them) starts with a button and can be stopped.
    Colours, search, selection, arrows and morph follow at once.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`.
    samples
        Those of the table, in the same order; at least one.
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
    table, view
        What is on screen; None until it is computed.
    maps, panel, strip
        The maps, the heatmaps of the image, and its neighbours before and after; the maps are None at first.
    settings, controls
        The widgets, to be set from code.

    Raises
    ------
    DataError
        If there is no sample.
    OptionError
        If the table was made from other samples.
    """

    @made_whole()
    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        *,
        table: EmbeddingTable | None = None,
        view: EmbeddingView | None = None,
        modalities: Sequence[str] = MODALITIES,
        settings: ViewSettings | None = None,
    ) -> None:
        self.model, self._samples, self._modalities = model, at_least_one(samples), tuple(modalities)
        self.table, self.view = table, None
        for some in (table, None if view is None else view.table):
            self._check(some)
        self._lock, self._guarded = threading.RLock(), Guard(self, self._say)
        self._saving = Guard(self, self._say_beside_the_button)
        first = settings or (ViewSettings() if view is None else view.settings)
        has_scenes = any(sample.scene is not None for sample in self._samples)
        self.settings, self.controls = setting_controls(first, has_scenes=has_scenes), map_controls()
        self.worker = WorkBar(self._compute, name="embed, project and compare", css="mswin-embedding")
        self.maps: LinkedMaps | None = None
        self.panel = PointPanel(model)
        self.strip: NeighbourStrip | None = None
        super().__init__(self._children())
        self.add_class("mswin-embeddings")
        self._observe()
        if view is not None:
            self._show(view)

    def __repr__(self) -> str:
        shows = f"{len(self._samples)} samples, {'no maps yet' if self.view is None else repr(self.view)}"
        return one_line(self, shows, self.model, is_closed=is_closed(self))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        def draw() -> Figure | Image.Image:
            if self.view is None:
                return first_pictures(self._samples)
            return maps_figure(self.view, by=self.controls.colour.value)

        return with_picture(super()._repr_mimebundle_(**options), repr(self), draw)

    def close(self) -> None:
        """End the work, release the image that is open, and close every widget; ``table`` and ``view`` stay."""
        close_view(self)

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
                "a row is opened on maps: none have been computed yet; press the button, or call start()"
            )
        self.maps.selected = [row]

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
            raise OptionError("there is nothing to save yet: press the button, or call start()")
        written = export(self.view, folder, provenance=self.model.provenance)
        return [*written, *save_figures(self.view, folder, provenance=self.model.provenance)]

    # ---- parts ------------------------------------------------------------------------------

    def _check(self, table: EmbeddingTable | None) -> None:
        if table is not None and len(table) and int(table.sample.max()) >= len(self._samples):
            raise OptionError(
                f"a table is shown with the samples it was made from: it names sample {int(table.sample.max())}, got "
                f"{len(self._samples)} samples"
            )

    def _children(self) -> list[widgets.Widget]:
        names = ("measures", "legend", "selection", "message")
        self._html = {name: Html().add_class(f"mswin-embedding-{name}") for name in names}
        self._folder = widgets.Text(
            "embeddings",
            description="folder",
            style={"description_width": "initial"},
            layout={"width": "240px"},
        )
        self._save = widgets.Button(description="save figures and tables", layout={"width": "auto"})
        self._save.add_class("mswin-embedding-save")
        self._saved = Html()
        self._map_box = widgets.VBox(
            [self._html["legend"], self._html["selection"]],
            layout={"flex": "3 1 600px", "min_width": "0", "overflow": "visible"},
        )
        side = widgets.VBox([self.panel], layout={"flex": "2 1 380px", "min_width": "0"})
        beside = widgets.HBox(
            [self._map_box, side], layout={"flex_flow": "row wrap", "grid_gap": "10px", "overflow": "visible"}
        )
        self._below = widgets.VBox(
            [
                self._html["measures"],
                self.controls.layout(),
                self._html["message"],
                beside,
                widgets.HBox([self._folder, self._save, self._saved], layout={"flex_flow": "row wrap"}),
            ],
            layout={"display": "none"},
        )
        return [
            Html(badge_html(self.model.provenance_items)),
            self.settings.layout(),
            self.worker,
            self._below,
        ]

    def _observe(self) -> None:
        c, guarded = self.controls, self._guarded
        c.colour.observe(
            guarded("colouring", failed=self._mark_colours_as_old)(lambda _change: self._colour()), "value"
        )
        c.search.observe(guarded("searching")(lambda change: self._search(change["new"])), "value")
        c.morph.observe(
            guarded("the morph")(lambda change: self._set_on_maps("is_morphed", change["new"])), "value"
        )
        c.arrows.observe(
            guarded("the arrows")(lambda change: self._set_on_maps("has_arrows", change["new"])), "value"
        )
        self._save.on_click(guarded("saving")(lambda _button: self._on_save()))

    # ---- computing --------------------------------------------------------------------------

    def _compute(self, report: Report, stop: Stop) -> None:
        """Compute and show; maps of an earlier request that stay on screen are marked."""
        show_as_out_of_date(self._below, self.view is not None)
        self._compute_view(report, stop)
        show_as_out_of_date(self._below, False)

    def _compute_view(self, report: Report, stop: Stop) -> None:
        begun, settings = 0.0, self.settings.settings
        if self.table is None:
            begun = _EMBEDDING
            self.table = embed(
                self.model, self._samples, modalities=self._modalities, progress=False, stop=stop,
                report=portion(report, 0, begun),
            )  # fmt: skip
        view = embedding_view(self.table, settings, report=portion(report, begun, 1), stop=stop)
        check_open(self)  # it may have been closed while this was computed
        self._show(view)

    # ---- display ----------------------------------------------------------------------------

    def _show(self, view: EmbeddingView) -> None:
        with self._lock:
            points, colouring = map_points(view), map_colouring(view, self.controls.colour.value)
            measures, identities = (
                measures_html(view),
                [identity_name(pid) for pid in np.unique(view.table.pid)],
            )
            self._make(view, points, colouring)
            self.controls.morph.value = False
            self.controls.search.options = identities
            self._html["measures"].value = measures
            self._guarded.forget()
            self._say(())
            self._say_colours(colouring)
            self._on_selected()
            self._below.layout.display = None

    def _make(self, view: EmbeddingView, points: MapPoints, colouring: Colouring) -> None:
        """New maps for each view; the strip before them, being smaller, so that it need not wait for their script."""
        with made_whole():
            strip = self.strip or self._new_strip(view.table)
            maps = LinkedMaps(points, colouring, thumbnail=self._thumbnail)
        guarded = self._guarded("opening a point", failed=lambda: show_as_out_of_date(self.panel.board, True))
        maps.has_arrows = self.controls.arrows.value
        maps.observe(guarded(lambda _change: self._on_selected()), "selected")
        if strip is self.strip:
            strip.replace(view.table)
        strip.rule = view.settings.rule
        old, self.view, self.strip, self.maps = self.maps, view, strip, maps
        self._map_box.children = [self.maps, self._html["legend"], self._html["selection"], self.strip]
        if old is not None:
            old.close()

    def _new_strip(self, table: EmbeddingTable) -> NeighbourStrip:
        strip = NeighbourStrip(table, has_addon=self.model.addon is not None, k=_NEIGHBOURS)
        guarded = self._guarded("opening a neighbour")
        strip.observe(guarded(lambda change: self._on_neighbour(change["new"])), "clicked")
        return strip

    def _colour(self) -> None:
        with self._lock:
            if self.view is None or self.maps is None:
                return
            colouring = map_colouring(self.view, self.controls.colour.value)
            self.maps.colour(colouring)
            self._say_colours(colouring)
            show_as_out_of_date(self.maps, False)

    def _mark_colours_as_old(self) -> None:
        if self.maps is not None:
            show_as_out_of_date(self.maps, True)

    def _say(self, problems: Sequence[str]) -> None:
        failed = () if self.table is None else failure_words(self.table.failed)
        self._html["message"].value = message_html([*problems, *failed])

    def _say_colours(self, colouring: Colouring) -> None:
        words = next(words for words, name in COLOURS.items() if name == self.controls.colour.value)
        self._html["legend"].value = legend_html(colouring, words)

    # ---- reactions --------------------------------------------------------------------------

    def _set_on_maps(self, name: str, value: bool) -> None:
        if self.maps is not None:
            setattr(self.maps, name, value)

    def _search(self, wanted: str) -> None:
        """Select every row of an identity, in both maps."""
        wanted = wanted.strip()
        if not wanted or self.view is None or self.maps is None:
            return
        found = [row for row, pid in enumerate(self.view.table.pid) if identity_name(pid) == wanted]
        if found:
            self.maps.selected = found
        else:
            self._html["selection"].value = message_html([f"No identity {wanted!r} is on the maps."])

    def _on_selected(self) -> None:
        with self._lock:
            if self.view is None or self.maps is None or self.strip is None:
                return
            rows = list(self.maps.selected)
            self._html["selection"].value = selection_html(self.view, rows, MOST_ARROWS)
            if len(rows) == 1:
                self.strip.row = rows[0]
                joined = tuple(self.view.table.files[rows[0]])
                wanted = "modalities" if len(joined) > 1 else None
                self.panel.look_at(*self._image(rows[0]), rows=wanted, joined=joined)

    def _on_neighbour(self, row: int) -> None:
        """Open the neighbour that was clicked beside the image."""
        with self._lock:
            if row >= 0 and self.view is not None:
                self.panel.compare_with(self._image(row)[0])

    def _on_save(self) -> None:
        self._save.disabled = True  # some seconds
        try:
            with self._saving("saving"):
                self._saving.forget()
                folder = self._folder.value
                written = self.save(typed_path(folder) if folder.strip() else "embeddings")
                self._saved.value = f"{len(written)} files in {written[0].parent.resolve()}"
        finally:
            self._save.disabled = False

    def _say_beside_the_button(self, problems: Sequence[str]) -> None:
        self._saved.value = message_html(problems)

    def _image(self, row: int) -> tuple[Sample, str]:
        """The sample of a row, and the modality to look at: its own, or the first of those joined."""
        table = self.view.table
        return self._samples[int(table.sample[row])], next(iter(table.files[row]))

    def _thumbnail(self, row: int) -> bytes:
        return b"" if self.view is None else thumbnail(self.view.table.path[row])

    @property
    def state(self) -> Mapping[str, Any]:
        """What is selected, opened and coloured by."""
        selected = [] if self.maps is None else list(self.maps.selected)
        return {"selected": selected, "colour": self.controls.colour.value, **self.panel.state}
