"""One view of embeddings on screen: measures, linked maps, the image behind each point, and its neighbours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np

from mswin_viz.analysis.embeddings.export import points_frame
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.embeddings.compared import NoPanel, named_lists
from mswin_viz.view.embeddings.controls import map_controls
from mswin_viz.view.embeddings.measure_table import measures_html, selection_html
from mswin_viz.view.parts.html import failure_words
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.parts.pictures import thumbnail
from mswin_viz.view.parts.tag_bar import Keep, Shown, TagBar
from mswin_viz.view.scales.point_panel import PointPanel
from mswin_viz.view.widgets.guarded import Guard, show_as_out_of_date
from mswin_viz.view.widgets.lifetime import made_whole
from mswin_viz.view.widgets.map_colours import Colouring, legend_html
from mswin_viz.view.widgets.map_places import MapPoints
from mswin_viz.view.widgets.map_points import identity_name, map_colouring, map_points
from mswin_viz.view.widgets.maps import MOST_ARROWS, LinkedMaps
from mswin_viz.view.widgets.markup import Html, message_html

if TYPE_CHECKING:
    import pandas as pd

_NEIGHBOURS = 6  # that fit below the maps


class EmbeddingBoard(widgets.VBox):
    """Shows the view it is given; a click on a point opens the image behind it.

    ``panel`` holds the heatmaps of that image, ``strip`` its neighbours; ``view``, ``maps`` and ``strip`` are None at first.
    ``tag_bar`` gives tags to the samples of the selected points, and hides points by their tags.
    """

    def __init__(self, model: Model | None, samples: Sequence[Sample]) -> None:
        self._model, self._samples = model, samples
        self._lock, self._guarded = threading.RLock(), Guard(self, self._show_problems)
        self._failed: Sequence[Failure] = ()
        self.view: EmbeddingView | None = None
        self.maps: LinkedMaps | None = None
        self.strip: NeighbourStrip | None = None
        self.panel, self.controls = NoPanel() if model is None else PointPanel(model), map_controls()
        names = ("measures", "legend", "selection", "message")
        self.html = {name: Html().add_class(f"mswin-embedding-{name}") for name in names}
        self._keep: Keep | None = None
        self.tag_bar = TagBar(
            self._samples,
            chosen=self._chosen,
            table=lambda: self._table(points_frame),
            on_filter=self._filter,
        )
        below = [
            self.html["legend"],
            self.html["selection"],
            self.tag_bar,
        ]  # each in a box, so that close() finds it
        visible = {"overflow": "visible"}
        self._map_box = widgets.VBox(below, layout={"flex": "3 1 600px", "min_width": "0", **visible})
        side = widgets.VBox(
            [self.panel], layout={"flex": "2 1 380px", "min_width": "0"} if model else {"display": "none"}
        )
        layout = {"flex_flow": "row wrap", "grid_gap": "10px", **visible}
        beside = widgets.HBox([self._map_box, side], layout=layout)
        above = [self.html["measures"], self.controls.layout(), self.html["message"]]
        super().__init__([*above, beside], layout=visible)
        self._observe()

    def show(self, view: EmbeddingView, *, failed: Sequence[Failure] = ()) -> None:
        """Show another view, on new maps, and name the images that have no row."""
        with self._lock:
            self._failed = failed
            points, colouring = map_points(view), map_colouring(view, self.controls.coloured_by)
            measures = measures_html(view)
            self._make(view, points, colouring)
            self.controls.morph.value = False
            self.controls.name(view.table.feature_names)
            self.controls.search.options = [identity_name(pid) for pid in np.unique(view.table.pid)]
            self.html["measures"].value = measures
            self._guarded.forget()
            self._show_problems(())
            self._show_legend(colouring)
            self.tag_bar.apply()
            self._on_selected()

    def _observe(self) -> None:
        c, guarded = self.controls, self._guarded
        c.search.observe(guarded("searching")(lambda change: self._search(change["new"])), "value")
        c.morph.observe(guarded("morphing")(lambda change: self._set("is_morphed", change["new"])), "value")
        c.arrows.observe(
            guarded("drawing arrows")(lambda change: self._set("has_arrows", change["new"])), "value"
        )
        colour_guarded = guarded("colouring", failed=self._mark_colours_as_old)
        c.colour.observe(colour_guarded(lambda _change: self._colour()), "value")

    # ---- display ----------------------------------------------------------------------------

    def _make(self, view: EmbeddingView, points: MapPoints, colouring: Colouring) -> None:
        """Make new maps, and the strip before them, since it is small and need not wait for their script."""
        with made_whole():
            strip = self.strip or self._new_strip(view.table)
            maps = LinkedMaps(points, colouring, thumbnail=self._thumbnail)
        guarded = self._guarded("opening a point", failed=self.panel.outdate)
        maps.has_arrows = self.controls.arrows.value
        maps.observe(guarded(lambda _change: self._on_selected()), "selected")
        if strip is self.strip:
            strip.replace(named_lists(view.table))
        strip.rule = view.settings.rule
        old, self.view, self.strip, self.maps = self.maps, view, strip, maps
        self._map_box.children = [maps, self.html["legend"], self.html["selection"], self.tag_bar, strip]
        if old is not None:
            old.close()

    def _new_strip(self, table: EmbeddingTable) -> NeighbourStrip:
        has_addon = self._model is None or self._model.addon is not None
        strip = NeighbourStrip(named_lists(table), has_addon=has_addon, k=_NEIGHBOURS)
        guarded = self._guarded("opening a neighbour")
        strip.observe(guarded(lambda change: self._on_neighbour(change["new"])), "clicked")
        return strip

    def _colour(self) -> None:
        with self._lock:
            if self.view is None or self.maps is None:
                return
            colouring = map_colouring(self.view, self.controls.coloured_by)
            self.maps.colour(colouring)
            self._show_legend(colouring)
            show_as_out_of_date(self.maps, False)

    def _mark_colours_as_old(self) -> None:
        if self.maps is not None:
            show_as_out_of_date(self.maps, True)

    def _show_problems(self, problems: Sequence[str]) -> None:
        self.html["message"].value = message_html([*problems, *failure_words(self._failed)])

    def _show_legend(self, colouring: Colouring) -> None:
        self.html["legend"].value = legend_html(colouring, self.controls.coloured_by_words)

    # ---- reactions --------------------------------------------------------------------------

    def _set(self, name: str, value: bool) -> None:
        if self.maps is not None:
            setattr(self.maps, name, value)

    def _search(self, wanted: str) -> None:
        """Select every row of an identity, in both maps."""
        wanted = wanted.strip()
        if not wanted or self.view is None or self.maps is None:
            return
        found = [row for row, pid in enumerate(self.view.table.pid) if identity_name(pid) == wanted]
        if rows := self._shown(found):
            self.maps.selected = rows
            return
        words = f"No identity {wanted!r} is on the maps."
        hidden = f"Identity {wanted!r} is hidden: by tag, below the maps, says what is shown."
        self.html["selection"].value = message_html([hidden if found else words])

    def _on_selected(self) -> None:
        with self._lock:
            if self.view is None or self.maps is None or self.strip is None:
                return
            rows = list(self.maps.selected)
            self.tag_bar.count(len(rows))
            self.html["selection"].value = selection_html(self.view, rows, MOST_ARROWS)
            if len(rows) == 1:
                self.strip.row = rows[0]
                joined = tuple(self.view.table.files[rows[0]])
                shown = "modalities" if len(joined) > 1 else None
                self.panel.look_at(*self._image(self.view.table, rows[0]), rows=shown, joined=joined)

    def _on_neighbour(self, row: int) -> None:
        """Open the neighbour that was clicked beside the image."""
        with self._lock:
            if row >= 0 and self.view is not None:
                self.panel.compare_with(self._image(self.view.table, row)[0])

    def selection(self) -> pd.DataFrame:
        """The selected rows as the table has them, with their samples' tags."""
        return self._table(lambda view: view.table.to_pandas())

    def _table(self, frame_of: Callable[[EmbeddingView], pd.DataFrame]) -> pd.DataFrame:
        """The selected rows of a table of the view, with the tags of their samples."""
        if self.view is None or self.maps is None:
            raise OptionError(
                "a selection needs maps: none have been computed yet; press the button, or call start()"
            )
        frame = frame_of(self.view).iloc[list(self.maps.selected)]
        return self.tag_bar.with_tags(frame)

    def _chosen(self) -> list[Sample]:
        if self.view is None or self.maps is None:
            return []
        numbers = dict.fromkeys(self.view.table.sample[list(self.maps.selected)].tolist())
        return [self._samples[number] for number in numbers]

    def _filter(self, keep: Keep | None) -> Shown | None:
        """Hide the points of samples that are not kept; how many are left."""
        with self._lock:
            self._keep = keep
            if self.view is None or self.maps is None:
                return None
            n_rows = len(self.view.table)
            rows = None if keep is None else self._shown(range(n_rows))
            self.maps.show_only(rows)
            self.html["selection"].value = selection_html(self.view, self.maps.selected, MOST_ARROWS)
            return n_rows if rows is None else len(rows), n_rows, "points"

    def _shown(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows that are not hidden."""
        if self.view is None or self._keep is None:
            return list(rows)
        numbers = self.view.table.sample
        kept = {number: self._keep(self._samples[number]) for number in {int(numbers[row]) for row in rows}}
        return [row for row in rows if kept[int(numbers[row])]]

    def _image(self, table: EmbeddingTable, row: int) -> tuple[Sample, str]:
        """The sample of a row, and the modality to look at: its own, or the first of those joined."""
        return self._samples[int(table.sample[row])], next(iter(table.files[row]))

    def _thumbnail(self, row: int) -> bytes:
        return b"" if self.view is None else thumbnail(self.view.table.path[row])
