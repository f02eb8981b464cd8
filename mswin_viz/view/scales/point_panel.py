"""The image behind a point: the scale explorer's heatmaps of it, alone, in its modalities, or against a neighbour."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.scales.request import ViewRequest
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.scales.cls_splits import ClsSplits
from mswin_viz.view.scales.result_cache import ExplorerRequest, ExplorerResult, ResultCache
from mswin_viz.view.scales.share_bars import numbers_html
from mswin_viz.view.scales.shown_results import board_rows, shown_results
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.labels import POINT_ROWS, VALUES, choices
from mswin_viz.view.widgets.lifetime import ClosedWhole, check_open
from mswin_viz.view.widgets.markup import Html, fragment, message_html, tag

_VALUES = {name: VALUES[name] for name in ("removal", "push", "share", "norm")}
_WIDTH = 84  # of a picture, CSS pixels


class PointPanel(ClosedWhole, widgets.VBox):
    """Heatmaps of one sample, from the same parts as the scale explorer's.

    With a neighbour the heatmaps show what each window does to the similarity of the two enhanced features; alone, to the
    similarity to the image's own plain CLS. Where an image cannot be shown, the panel says why, and what it shows
    is marked as out of date.
    """

    def __init__(self, model: Model) -> None:
        self._results = ResultCache(model, TokenCache(model), ClsSplits(model))
        weights = self._results.weights()
        self._n_slots = 0 if weights is None else len(weights.scales)
        self._lock, self._ticket = threading.RLock(), 0
        self._guarded = Guard(self, self._show_problems)
        self._first: Sample | None = None
        self._second: Sample | None = None
        self._joined: tuple[str, ...] = ()
        self.result: ExplorerResult | None = None  # what is on screen
        self._freshness = Freshness(self._mark)
        self.board = HeatmapBoard(model.grid, width=_WIDTH, hidden=["free", "plain"])
        self.rows = widgets.ToggleButtons(
            options=choices(POINT_ROWS), value="one", style={"button_width": "auto"}
        )
        self.value = widgets.Dropdown(options=choices(_VALUES), layout={"width": "205px"}, tooltip="value")
        self.modality = widgets.Dropdown(options=["RGB"], layout={"width": "70px"}, tooltip="modality")
        self._opacity = widgets.FloatSlider(
            0.55, min=0, max=1, step=0.05, readout=False, description="opacity", layout={"width": "190px"},
            style={"description_width": "50px"},
        )  # fmt: skip
        self.board.follow({"opacity": (self._opacity, "value")})
        self._title, self._message, self._numbers = (Html() for _ in range(3))
        self.rows.add_class("mswin-point-rows")
        self._title.add_class("mswin-point-title")
        self._numbers.add_class("mswin-numbers")
        controls = widgets.HBox(
            [self.rows, self.modality, self.value, self._opacity], layout={"flex_flow": "row wrap"}
        )
        super().__init__([self._title, self._message, controls, self.board, self._numbers])
        self.add_class("mswin-point")
        self._title.value = fragment(tag("b", "No image yet."), " Click a point of a map, or select one.")
        for control in (self.rows, self.modality, self.value):
            control.observe(self._guarded("following a control")(lambda _change: self._refresh()), "value")

    def __repr__(self) -> str:
        return f"PointPanel({'nothing' if self._first is None else self._first.name}, {self.modality.value})"

    def release(self) -> None:
        """Release everything that is kept."""
        with self._lock:
            self._results.close()
            self.result = self._first = self._second = None

    def look_at(
        self, sample: Sample, modality: str, *, rows: str | None = None, joined: Sequence[str] = ()
    ) -> None:
        """Show another sample; the neighbour of the last one is forgotten.

        ``rows`` says what to show of it, ``"one"``, ``"modalities"`` or ``"pair"``; if None, what was shown, but no pair.
        ``joined`` are the modalities that the point stands for together; a pair is split in one of them at a time.
        """
        check_open(self)
        with self._lock:
            self._first = None  # nothing is drawn while the controls move
            self.modality.options = list(sample.images)
            self.modality.value = modality
            self.rows.value = rows or ("one" if self.rows.value == "pair" else self.rows.value)
            self._first, self._second, self._joined = sample, None, tuple(joined)
            self._refresh()

    def outdate(self) -> None:
        """Another image was chosen that cannot be opened: what is shown is out of date."""
        self._freshness.ask(object())

    def compare_with(self, neighbour: Sample) -> None:
        """Show the sample against a neighbour, with each window's share of their similarity."""
        with self._lock:
            self._second = neighbour
            if self.rows.value == "pair":
                self._refresh()
            else:
                self.rows.value = "pair"

    def _refresh(self) -> None:
        """Show what is asked for; of several waiting requests only the latest is worked on."""
        check_open(self)
        self._ticket = ticket = self._ticket + 1
        with self._lock:
            if ticket != self._ticket or self._first is None:
                return
            chosen = (self._first, self._second, self.modality.value, self.rows.value, self.value.value)
            with self._guarded("showing an image"), self._freshness.answering(chosen):
                if self.rows.value == "pair" and self._second is None:
                    raise OptionError("choose a neighbour first: click one of the pictures beside the image")
                with one_blas_thread():
                    result = self._results.result(self._request(self._first))
                self._show(self._first, result)

    def _request(self, sample: Sample) -> ExplorerRequest:
        return ExplorerRequest(
            sample=sample, second=sample if self._second is None else self._second, target="own",
            modality=str(self.modality.value), rows=str(self.rows.value),
            view_request=ViewRequest(4, value=str(self.value.value), slots=("on",) * self._n_slots),
        )  # fmt: skip

    def _show(self, sample: Sample, result: ExplorerResult) -> None:
        numbers = numbers_html(result)
        self.board.show(result.view.panels, rows=board_rows(shown_results(("",), [result])))
        self.result = result
        words = f", {self.modality.value}, target: {result.target}"
        self._title.value = fragment(tag("b", sample.label), words)
        self._numbers.value = numbers
        self._guarded.forget()
        self._show_problems(())

    def _mark(self, is_old: bool) -> None:
        for part in (self._title, self.board, self._numbers):
            show_as_out_of_date(part, is_old)

    def _show_problems(self, problems: Sequence[str]) -> None:
        notes = () if self.result is None else (*self.result.notes, *self._notes())
        outdated = [OUT_OF_DATE] if problems and self.result is not None else []
        self._message.value = message_html([*problems, *outdated, *notes])

    def _notes(self) -> list[str]:
        if self.rows.value != "pair" or len(self._joined) < 2:
            return []
        joined = modality_words(joined_name(self._joined))
        return [
            f"The point stands for {joined}; these shares split the similarity in {self.modality.value} alone."
        ]

    @property
    def state(self) -> Mapping[str, Any]:
        """Names of the images on screen, their modality and rows."""
        names = {"sample": self._first and self._first.name, "neighbour": self._second and self._second.name}
        return {**names, "modality": self.modality.value, "rows": self.rows.value}
