"""The scale explorer: controls and heatmaps wired together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.sets.layouts import samples
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.data.storage.typed_paths import typed_path
from mswin_viz.errors import MswinVizError
from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.parts.background import Background
from mswin_viz.view.parts.figure_download import FigureDownload
from mswin_viz.view.parts.given import given_prompt
from mswin_viz.view.parts.stored_output import MOST_OF_A_NAME, one_line
from mswin_viz.view.scales.arrangement import arranged, explorer_html, reset, section_bar
from mswin_viz.view.scales.bar import ExplorerBar
from mswin_viz.view.scales.cls_work import ClsWork
from mswin_viz.view.scales.controls import make_controls
from mswin_viz.view.scales.every_scale import EveryScaleWork
from mswin_viz.view.scales.explored_models import GivenModels, explored_models
from mswin_viz.view.scales.history import History
from mswin_viz.view.scales.legend import Legend
from mswin_viz.view.scales.model_numbers import shown_inspection, shown_numbers
from mswin_viz.view.scales.pins import pinnable_keys
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.sample_scores import SampleScores
from mswin_viz.view.scales.shown_results import ShownResults, board_rows
from mswin_viz.view.scales.state import apply_state, named_state, parsed
from mswin_viz.view.scales.taken_away import TakenAway
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import check_open, close_view, is_closed, made_whole
from mswin_viz.view.widgets.markup import message_html
from mswin_viz.view.widgets.strip import ThumbnailStrip


class ScaleExplorer(TakenAway):
    """Heatmaps of every scale over images, the fusion they feed, and what each window does to a cosine.

    Of a module that is not made of windows: the shares of its tokens, and of the windows that the controls group them by.
    Tokens are computed once for an image, and the free windows of every scale behind the first answer: the scale slider then
    needs no kernel, unless a slot holds these windows, they overlap, or they are tiles. "split CLS by input patch" takes a
    pass of the tower in the background. Colours, outlines, hover and pins are the browser's. What cannot be done is said in
    the widget, and a picture that no longer fits the controls stays, marked as out of date.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`, with any add-on or plain CLIP. Or two, ``[a, b]`` or ``{"plain": a, "mine": b}``:
        rows of both, each with the target of its own text tower, and of the difference, b minus a.
    samples
        What the thumbnail strip offers; at least one.
    prompt
        The first targets, one a line.

    Attributes
    ----------
    result, view
        The records behind what is on screen, of the first model.
    controls, strip, board, bar, sections
        The widgets, to be set from code.

    Raises
    ------
    DataError, OptionError, ShapeError
        If there is no sample; if the add-on does not say how wide the tokens are that it reads; for more than two models, or
        two that differ in input size or grid; if model, samples or prompt are of another type.

    Examples
    --------
    >>> explorer = mv.ScaleExplorer(model, samples[:4])  # in a notebook: the last line of a cell shows it
    >>> explorer.controls.scale.value = 12  # as the slider does
    >>> [panel.title for panel in explorer.panels][:4]
    ['scale 4', 'scale 8', 'scale 16', 'scale 12']
    >>> explorer.close()
    """

    @made_whole()
    def __init__(
        self, model: GivenModels, samples: Sequence[Sample], *, prompt: str = "a person wearing a red top"
    ) -> None:
        self._samples = self._first_samples = at_least_one(samples)
        self._results = models = explored_models(model)
        self.model, self._kept = models.models[0], models.caches[0].tokens
        self._lock, self._ticket, self._is_held = threading.RLock(), 0, False
        self._guarded = Guard(self, self._show_messages)
        self._shown: ShownResults | None = None
        self._row_key: tuple[Any, ...] = ()
        self.strip = ThumbnailStrip(self._samples, modality=next(iter(self._samples[0].images)))
        self.controls = make_controls(
            self.model.grid, models.n_channels, models.scales, self.strip,
            prompt=given_prompt(prompt) if models.has_text else None, runs=models.runs,
        )  # fmt: skip
        self.controls.begin_with(models.first_value)
        self.board = HeatmapBoard(self.model.grid, watched=self.controls.watched, lists_words=True)
        self._background = Background(
            [cache.tokens for cache in models.caches], self.strip, lambda: self._samples, self._guarded
        )
        self._cls_work = ClsWork(models, self._guarded, done=self._update)
        self._every_scale = EveryScaleWork(self.board, self.controls, self._guarded)
        self._scores = SampleScores(models, self.controls, lambda: self._samples, self._guarded)
        self._legend = Legend(self.controls.of_the_display, self._guarded)
        self._html = explorer_html(models, self._cls_work.line, self._legend.line)
        download = FigureDownload(self.board, self._named_figure, guarded=self._guarded, css="mswin")
        page = PageDownload(self, self.board, name="scales")
        self.bar = ExplorerBar(
            self.board, (download, page), opened=self._open, state=lambda: self.state,
            pasted=lambda text: self._apply(parsed(text)), guarded=self._guarded,
        )  # fmt: skip
        self.sections = section_bar()
        self._history = History(
            self.controls, self.board, self.sections, guarded=self._guarded,
            restored=lambda values: self._apply(
                named_state(values, self._samples, models.weights_in_words), is_of_here=True
            ),
        )  # fmt: skip
        super().__init__([*arranged(self.controls, self.board, self.bar, self.sections, self._html), Frame()])
        self.add_class(VIEW).add_class("mswin-explorer")
        self._update()
        self._observe()

    @classmethod
    def from_state(
        cls, model: GivenModels, samples: Sequence[Sample], state: str | Mapping[str, Any]
    ) -> ScaleExplorer:
        """The explorer as it was when its state was copied.

        Parameters
        ----------
        model, samples
            The same as then, wherever the files lie now: a sample is found by its path relative to the folder of all
            samples. Other weights, and a file whose content has changed, are named in the widget.
        state
            From the button "copy state", or :attr:`state`.

        Raises
        ------
        OptionError, DataError
            If the state cannot be read or does not fit this model; if its images are not found, or not for certain.
        """
        record, explorer = parsed(state), cls(model, samples)
        try:
            explorer._apply(record)
        except BaseException:
            explorer.close()
            raise
        explorer._history.begin()
        return explorer

    def __repr__(self) -> str:
        name = short_text(self._samples[self.strip.selected].name, MOST_OF_A_NAME)
        shows = f"{name}, {self.strip.modality}, of {counted(len(self._samples), 'samples')}"
        models, names = self._results.models, self._results.pair or ("",)
        return one_line(self, shows, *models, names=names, is_closed=is_closed(self))

    def _picture(self) -> Figure | None:
        return self._shown and self.figure()

    def close(self) -> None:
        """End the work in the background, release everything that is kept, and close every widget.

        The controls and :attr:`state` can still be read; what needs an answer raises a ``ClosedError``. Tokens and the
        copy of the weights are shared by all views of a model, and freed with the last of them, or with the model.
        """
        close_view(self)

    def release(self) -> None:
        """End the work in the background, and release everything that is kept."""
        for work in (self._background, self._cls_work, self._scores, self._every_scale):
            work.close()
        with self._lock:
            self._results.close()
            self._shown, self._row_key = None, ()

    @property
    def results(self) -> dict[str, ExplorerResult]:
        """The record behind what is on screen, of each model by its name."""
        return {} if self._shown is None else self._shown.by_model

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The heatmaps on screen, with values for each row of the board: of two models, a, b and b minus a for each image."""
        return () if self._shown is None else self._shown.panels

    @property
    def result(self) -> ExplorerResult | None:
        """The first model's."""
        return self._shown and self._shown.first

    @property
    def view(self) -> ScaleView | None:
        """The panels and scores of the first model."""
        return self._shown and self._shown.first.view

    def _observe(self) -> None:
        guarded = self._guarded
        pair_guarded = guarded("choosing a second image")
        self.controls.rows.observe(
            pair_guarded(lambda _: self._is_held or self.strip.part(self._samples)), "value"
        )
        for control, trait in self.controls.watched.values():
            control.observe(guarded("following a control")(lambda _change: self._update()), trait)
        self.board.observe(guarded("inspecting a window")(lambda _change: self._inspect()), "pinned")
        reset_guarded = guarded("resetting the controls")
        self.sections.on_msg(reset_guarded(lambda _bar, content, _: self._reset(content.get("kind"))))

    def _reset(self, kind: str = "reset") -> None:
        if kind == "reset":
            with self._held():
                reset(self.controls, self.board)

    def _apply(self, record: Mapping[str, Any], *, is_of_here: bool = False) -> None:
        """Set everything as a state has it; nothing if it does not fit. One that was shown here may have an old pin."""
        weights, shown = self._results.weights_in_words, (lambda: None) if is_of_here else self._asked_for
        with self._held():
            notes = apply_state(record, self.controls, self.board, self._samples, weights, shown)
        if notes:
            self._show_messages(notes)

    def _asked_for(self) -> ShownResults | None:
        """What the controls ask for; None where that cannot be shown, which is then said in its place."""
        with suppress(MswinVizError), one_blas_thread():
            return self._results.result(self.controls.request(self._samples))
        return None

    def _open(self, path: str | None) -> None:
        """Offer what is at a path; the samples of the beginning for None."""
        if path is not None and not path.strip():
            return
        opened = self._first_samples if path is None else samples(typed_path(path))
        with self._held():
            self._samples = opened  # first: the strip's new items are scored at once
            self.strip.replace(opened)
        self.bar.can_go_back(opened is not self._first_samples)
        self._background.start(opened)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Several controls are set; one answer follows."""
        with self._lock:
            self._is_held = True
            try:
                with self._history.one_step():
                    yield
            finally:
                self._is_held = False
        self._update()

    def _update(self) -> None:
        """Show what the controls ask for, or why that cannot be; of several waiting requests only the latest counts."""
        check_open(self)
        self._ticket = ticket = self._ticket + 1
        with self._lock:
            if ticket != self._ticket or self._is_held:
                return
            asked = self.controls.asked
            with self._guarded("drawing", failed=lambda: self.board.set_trait("failed", asked)):
                with one_blas_thread():
                    result = self._results.result(self.controls.request(self._samples))
                if asked == self.controls.asked:
                    self._show(result, asked)  # else it would pass for the next one, which is on its way

    def _inspect(self) -> None:
        """Put the pinned window's share next to the change when it is removed."""
        shown = self._html["inspection"]
        with self._lock, self._guarded("inspecting a window", failed=partial(shown.set_trait, "value", "")):
            shown.value = shown_inspection(self._shown, self.board.pinned)

    def _show(self, result: ShownResults, asked: Mapping[str, Any]) -> None:
        key, numbers = (result.rows, result.first.shuffle), shown_numbers(result)
        rows = None if key == self._row_key else board_rows(result)
        self._every_scale.leave()
        self.board.show(
            result.panels, rows=rows, order=result.order, answered=asked, free_is_fused=result.is_free_fused
        )
        self.board.pinnable = pinnable_keys(result)
        self._shown, self._row_key = result, key
        self._html["scores"].value = numbers
        self._guarded.forget()
        self._show_messages(())
        self._inspect()
        self._legend.follow(result)
        self._cls_work.follow(result)
        self._every_scale.follow(result, asked)

    def _show_messages(self, messages: Sequence[str]) -> None:
        self._html["message"].value = message_html([*messages, *(self._shown.notes if self._shown else ())])
