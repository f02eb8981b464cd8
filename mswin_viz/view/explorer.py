"""The scale explorer: controls and heatmaps wired together."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.inspection import inspected_window
from mswin_viz.analysis.scale_view import ScaleView
from mswin_viz.data.file_writing import write_bytes
from mswin_viz.data.layouts import samples
from mswin_viz.data.output_checks import output_file
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.typed_paths import typed_path
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.token_cache import TokenCache
from mswin_viz.view.answers import Answers, Asked, Look
from mswin_viz.view.background import Background
from mswin_viz.view.controls import linked_display, make_controls
from mswin_viz.view.figures import FORMATS, figure_bytes
from mswin_viz.view.guarded import Guard, problem_words
from mswin_viz.view.heatmap import BoardRow, HeatmapBoard
from mswin_viz.view.html import badge_html
from mswin_viz.view.lifetime import check_open, close_view, is_closed, made_whole
from mswin_viz.view.markup import Html, Markup, fragment, message_html
from mswin_viz.view.scale_figure import Display, scales_figure
from mswin_viz.view.share_bars import inspection_html, numbers_html, words_html
from mswin_viz.view.state import apply_state, parsed, state_of
from mswin_viz.view.stored_output import MOST_OF_A_NAME, one_line, with_picture
from mswin_viz.view.strip import ThumbnailStrip

__all__ = ["ScaleExplorer"]


class ScaleExplorer(widgets.VBox):
    """Heatmaps of every scale over images, the fusion they feed, and each one's share of a cosine.

    Tokens are computed once for an image; moving the scale slider runs no backbone pass, and with plain means not even
    the kernel. Colour map, opacity, threshold, outlines, hover and pins are the browser's. A picture that no longer
    fits the controls is marked until the new one is there. What cannot be done (an unreadable file, a prompt that is
    too long, a full memory) is said in the widget, and the last good view stays, marked as out of date.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`; scheme-1 add-ons and plain CLIP.
    samples
        What the thumbnail strip offers; at least one.
    prompt
        The first targets, one a line.

    Attributes
    ----------
    look, view
        The records behind what is on screen.
    controls, strip, board
        The widgets, to be set from code.

    Raises
    ------
    DataError
        If there is no sample.
    OptionError
        If the add-on is of scheme 2, whose shares are not exact.
    """

    @made_whole()
    def __init__(
        self, model: Model, samples: Sequence[Sample], *, prompt: str = "a person wearing a red top"
    ) -> None:
        self.model, self._samples = model, at_least_one(samples)
        self._kept = TokenCache(model)
        self._answers = Answers(model, self._kept)
        self._answers.weights()  # refuses scheme 2 before anything is drawn
        self._lock, self._asked, self._is_held = threading.RLock(), 0, False
        self._guarded = Guard(self, self._say)
        self.look: Look | None = None
        self._row_key: tuple[Any, ...] = ()
        self.strip = ThumbnailStrip(samples, modality=next(iter(samples[0].images)))
        scales = () if model.addon is None else model.addon.scales
        self.controls = make_controls(
            model.grid, model.dim, scales, self.strip, prompt=prompt, has_text=model.tower.has_text
        )
        self.board = HeatmapBoard(model.grid, watched=self.controls.watched)
        self._background = Background(self._kept, self.strip, self._guarded)
        self._html = {name: Html() for name in ("message", "scores", "words", "inspection")}
        super().__init__(self._children())
        self.add_class("mswin-explorer")
        self._update()
        self._observe()

    @classmethod
    def from_state(
        cls, model: Model, samples: Sequence[Sample], state: str | Mapping[str, Any]
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
        OptionError
            If the state cannot be read, or does not fit this model.
        DataError
            If the samples do not hold its images, or several of them may be one of these.
        """
        found, explorer = parsed(state), cls(model, samples)
        try:
            with explorer._held():
                said = apply_state(found, explorer.controls, explorer.board, explorer._samples)
        except BaseException:
            explorer.close()
            raise
        if found["weights"] != shown_text(model.provenance):
            said.append(f"This state was made with other weights: {found['weights']}")
        if said:
            explorer._say(said)
        return explorer

    def __repr__(self) -> str:
        return one_line(self, self._shows(), self.model, is_closed=is_closed(self))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        bundle = super()._repr_mimebundle_(**options)
        return with_picture(bundle, repr(self), lambda: None if self.look is None else self.figure())

    def close(self) -> None:
        """End the work in the background, release everything that is kept, and close every widget.

        The controls and :attr:`state` can still be read; what needs an answer raises a ``ClosedError``. Tokens and the
        copy of the weights are shared by all views of a model, and freed with the last of them, or with the model.
        """
        close_view(self)

    def release(self) -> None:
        """End the work in the background, and release everything that is kept."""
        self._background.close()
        with self._lock:
            self._answers.close()
            self.look, self._row_key = None, ()

    @property
    def view(self) -> ScaleView | None:
        """The answer behind what is on screen."""
        return self.look and self.look.view

    @property
    def state(self) -> dict[str, Any]:
        """A JSON-ready record that rebuilds this view: see :meth:`from_state`."""
        return state_of(self.controls, self.board, self._samples, self.model.provenance)

    def figure(self) -> Figure:
        """The present view as a matplotlib figure, with its provenance.

        Raises
        ------
        OptionError
            If nothing could be shown yet.
        ClosedError
            If the explorer was closed.
        """
        check_open(self)
        if self.look is None:
            raise OptionError(
                "a figure shows what is on screen: there is nothing yet; choose an image that can be read"
            )
        board = self.board
        display = Display(**{option.name: getattr(board, option.name) for option in fields(Display)})
        return scales_figure(self.look, provenance=self.model.provenance, display=display)

    def save_figure(self, path: str | Path) -> Path:
        """Write the present view as a PNG, SVG or PDF file; the ending says which.

        Raises
        ------
        OptionError
            If the ending is none of these.
        OutputError
            If the file cannot be written; checked before anything is drawn.
        """
        path = output_file(path, "the file of a figure", endings=[f".{kind}" for kind in FORMATS])
        return write_bytes(path, figure_bytes(self.figure(), path.suffix.lower().removeprefix(".")))

    # ---- parts ------------------------------------------------------------------------------

    def _children(self) -> list[widgets.Widget]:
        self._path = widgets.Text(
            placeholder="an image or folder of your own, then Enter", description="open", continuous_update=False,
            style={"description_width": "40px"}, layout={"width": "330px"},
        ).add_class("mswin-path")  # fmt: skip
        self._format = widgets.Dropdown(options=FORMATS, layout={"width": "64px"}).add_class("mswin-format")
        self._save = widgets.Button(description="save figure", layout={"width": "96px"})
        self._copy = widgets.Button(description="copy state", layout={"width": "96px"})
        self._save.add_class("mswin-save")
        self._copy.add_class("mswin-copy")
        take_away = widgets.HBox([self._path, widgets.HBox([self._format, self._save, self._copy])])
        take_away.add_class("mswin-take-away").layout.flex_flow = "row wrap"
        badge = Html(badge_html(self.model.provenance_items))
        self._html["message"].add_class("mswin-explorer-message")
        for name in ("scores", "words", "inspection"):
            self._html[name].add_class("mswin-numbers").add_class(f"mswin-{name}")
        display = linked_display(self.controls, self.board)
        middle = [
            self._html["message"],
            display,
            self.board,
            *(self._html[name] for name in ("inspection", "scores", "words")),
        ]
        return [badge, take_away, self.strip, self.controls.layout(), *middle]

    def _observe(self) -> None:
        guarded = self._guarded
        for control, trait in self.controls.watched.values():
            control.observe(guarded("following a control")(lambda _change: self._update()), trait)
        self.board.observe(guarded("inspecting a window")(lambda _change: self._inspect()), "pinned")
        self._path.observe(guarded("opening a path")(lambda change: self._on_path(change["new"])), "value")
        self._save.on_click(guarded("saving the figure")(lambda _button: self._on_save()))
        self._copy.on_click(guarded("copying the state")(lambda _button: self._on_copy()))
        self.strip.on_msg(guarded("the strip")(lambda _strip, content, _buffers: self._on_strip(content)))

    # ---- reactions --------------------------------------------------------------------------

    def _on_strip(self, content: Mapping[str, Any]) -> None:
        if content.get("kind") == "shown":
            self._background.start(self._samples)
        elif content.get("kind") == "stop":
            self._background.stop()

    def _on_save(self) -> None:
        kind, self._save.disabled = self._format.value, True  # a second or two
        name = f"{self._samples[self.strip.selected].name}_scales.{kind}"
        try:
            self.board.send({"kind": "download", "name": name}, [figure_bytes(self.figure(), kind)])
        finally:
            self._save.disabled = False

    def _on_copy(self) -> None:
        self.board.send({"kind": "copy", "text": json.dumps(self.state)})

    def _on_path(self, path: str) -> None:
        if not path.strip():
            return
        found = samples(typed_path(path))
        with self._held():
            self.strip.replace(found)
            self._samples = found
        self._background.start(found)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Several controls are set; one answer follows."""
        with self._lock:
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False
        self._update()

    def _update(self) -> None:
        """Show what the controls ask for, or why that cannot be; of several waiting requests only the latest counts."""
        check_open(self)
        self._asked = ticket = self._asked + 1
        with self._lock:
            if ticket != self._asked or self._is_held:
                return
            asked = self.controls.asked
            with self._guarded(
                "showing what is asked for", failed=lambda: self.board.set_trait("failed", asked)
            ):
                with one_blas_thread():
                    look = self._answers.look(self._wanted())
                if (
                    asked == self.controls.asked
                ):  # else the next answer is on its way: this one would pass for it
                    self._show(look, asked)

    def _shows(self) -> str:
        sample = self._samples[self.strip.selected]
        return f"{short_text(sample.name, MOST_OF_A_NAME)}, {self.strip.modality}, of {len(self._samples)} samples"

    def _wanted(self) -> Asked:
        controls, strip = self.controls, self.strip
        return Asked(
            self._samples[strip.selected],
            self._samples[strip.second],
            strip.modality,
            controls.rows.value,
            controls.request,
            controls.target.value,
            tuple(controls.prompts),
            controls.shuffle.value,
        )

    def _inspect(self) -> None:
        """Put the pinned window's share next to its ablation."""
        with self._lock, self._guarded("inspecting a window", failed=self._forget_inspection):
            self._html["inspection"].value = self._inspection()

    def _forget_inspection(self) -> None:
        self._html["inspection"].value = ""

    def _inspection(self) -> Markup:
        pinned, look = self.board.pinned, self.look
        if not pinned or look is None:
            return fragment()
        key, row, window = (pinned.get(name) for name in ("key", "row", "window"))
        try:
            found = inspected_window(look.subject, look.view, key, row, window)
            where = f"Window {window} of {look.view.panel(key).title}, {look.names[row]}"
        except MswinVizError as problem:
            return message_html([problem_words(problem)])
        return inspection_html(found, where)

    # ---- display ----------------------------------------------------------------------------

    def _show(self, look: Look, asked: Mapping[str, Any]) -> None:
        key = (look.pictures, look.names, look.request.is_mean and look.subject, look.shuffle)
        order = () if look.shuffle is None else look.shuffle.order
        rows = None if key == self._row_key else _board_rows(look)
        numbers, words = numbers_html(look), words_html(look)
        self.board.show(
            look.view.panels,
            rows=rows,
            order=order,
            answered=asked,
            free_is_fused="free" in look.request.slots,
        )
        self.look, self._row_key = look, key
        self._html["scores"].value, self._html["words"].value = numbers, words
        self._guarded.forget()
        self._say(())
        self._inspect()

    def _say(self, messages: Sequence[str]) -> None:
        notes = () if self.look is None else self.look.notes
        self._html["message"].value = message_html([*messages, *notes])


def _board_rows(look: Look) -> list[BoardRow]:
    """The pictures, and what the browser needs to compute plain window means itself."""
    patches = look.subject.patches if look.request.is_mean else [None] * len(look.names)
    directions = look.subject.direction if look.request.is_mean else [None] * len(look.names)
    return [
        BoardRow(name, picture.png, tokens, direction)
        for name, picture, tokens, direction in zip(
            look.names, look.pictures, patches, directions, strict=True
        )
    ]
