"""The scale explorer: controls and heatmaps wired together."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import ThreadpoolController

from mswin_viz.analysis.fusion import FusionWeights, fusion_weights
from mswin_viz.analysis.scale_view import (
    FusedPart,
    ScaleView,
    Subject,
    TrainedPart,
    ViewRequest,
    fused_part,
    scale_view,
    trained_part,
)
from mswin_viz.data.layouts import Sample, samples
from mswin_viz.errors import DataError, MswinVizError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens
from mswin_viz.view import share_bars
from mswin_viz.view.controls import display_controls, enumerated, make_controls
from mswin_viz.view.figures import scales_figure
from mswin_viz.view.heatmap import HeatmapCanvas, picture_bytes

__all__ = ["ScaleExplorer"]

_PANEL_WIDTH = 150  # CSS pixels of a picture


@dataclass(frozen=True, eq=False)
class _Picture:
    """One image as the model saw it, and its tokens."""

    shown: Image.Image
    png: bytes
    tokens: Tokens


class ScaleExplorer(widgets.VBox):
    """Heatmaps of every scale over one image, the fusion they feed, and each one's share of a cosine.

    Tokens are computed once for an image; moving the scale slider runs no backbone pass. Colour map, opacity,
    threshold, outlines and hover never reach the kernel. What cannot be done (an unreadable file, a prompt that is
    too long) is said in the widget, and the last good view stays.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`; scheme-1 add-ons and plain CLIP.
    samples
        What the sample menu offers; at least one.
    prompt
        The first target.

    Attributes
    ----------
    view
        The record behind what is on screen.
    controls
        The widgets, to be set from code.

    Raises
    ------
    DataError
        If there is no sample.
    OptionError
        If the add-on is of scheme 2, whose shares are not exact.
    """

    def __init__(
        self, model: Model, samples: Sequence[Sample], *, prompt: str = "a person wearing a red top"
    ) -> None:
        if not samples:
            raise DataError("the explorer needs at least one sample: got none; see mswin_viz.samples()")
        self.model, self._samples = model, list(samples)
        self._lock, self._asked = threading.RLock(), 0
        # the matrices of a step are small: NumPy's and torch's thread pools would only wait for each other
        self._threads = ThreadpoolController()
        self._pictures: dict[Path, _Picture] = {}
        self._snapshot: tuple[Any, FusionWeights | None] = (None, None)
        self._weights()  # refuses scheme 2 before anything is drawn
        self._trained: tuple[Any, TrainedPart | None] = (None, None)
        self._fused: tuple[Any, FusedPart | None] = (None, None)
        self.view: ScaleView | None = None
        self._target, self._direction, self._notes = "", None, []
        rows, cols = model.grid
        scales = () if model.addon is None else model.addon.scales
        self.controls = make_controls(
            rows * cols, model.clip.visual.proj.shape[1], scales, [_label(s) for s in self._samples],
            prompt=prompt, has_text=model.tower.has_text,
        )  # fmt: skip
        self.canvases = [HeatmapCanvas(model.grid, width=_PANEL_WIDTH) for _ in range(len(scales) + 1)]
        self._image = widgets.Image(
            format="png", layout={"width": f"{_PANEL_WIDTH}px", "object_fit": "contain"}
        )
        self._html = {name: widgets.HTML() for name in ("message", "score", "shares", "words")}
        super().__init__(self._children())
        self._set_target(self.controls.prompt.value)
        self._refresh()
        self._observe()

    def figure(self) -> Figure:
        """The present view as a matplotlib figure, with its provenance."""
        return scales_figure(
            self.view, self._picture().shown, target=self._target, provenance=self.model.provenance
        )

    # ---- parts ------------------------------------------------------------------------------

    def _children(self) -> list[widgets.Widget]:
        badge = widgets.HTML(share_bars.badge_html(self.model.provenance_items))
        plain = widgets.VBox(
            [widgets.HTML("<b style='font-size:13px'>image</b>", layout={"margin": "0 0 -4px"}), self._image]
        )
        panels = widgets.HBox([plain, *self.canvases], layout={"flex_flow": "row wrap", "grid_gap": "8px"})
        sums = widgets.HBox(
            [widgets.VBox([self._html["score"], self._html["shares"]]), self._html["words"]],
            layout={"flex_flow": "row wrap", "grid_gap": "4px 24px"},
        )
        return [
            badge,
            self.controls.layout(),
            self._html["message"],
            panels,
            display_controls(self.canvases),
            sums,
        ]

    def _observe(self) -> None:
        for control in self.controls.of_the_view:
            control.observe(lambda _change: self._refresh(), "value")
        for control in (self.controls.sample, self.controls.modality):
            control.observe(lambda _change: self._refresh(), "value")
        self.controls.prompt.observe(lambda change: self._on_prompt(change["new"]), "value")
        self.controls.path.observe(lambda change: self._on_path(change["new"]), "value")

    # ---- reactions --------------------------------------------------------------------------

    def _on_prompt(self, prompt: str) -> None:
        self._set_target(prompt)
        self._refresh()

    def _on_path(self, path: str) -> None:
        if not path.strip():
            return
        with self._lock:
            try:
                self._samples = samples(path.strip())
            except MswinVizError as problem:
                self._say([str(problem)])
                return
            menu = self.controls.sample
            with menu.hold_trait_notifications():
                menu.options = enumerated([_label(sample) for sample in self._samples])
                menu.value = 0
        self._refresh()

    def _refresh(self) -> None:
        """Show what the controls ask for; of several waiting requests only the latest is worked on."""
        self._asked = ticket = self._asked + 1
        with self._lock:
            if ticket != self._asked:
                return
            try:
                picture = self._picture()
                view = self._computed(picture)
            except MswinVizError as problem:
                self._say([str(problem)])
                for canvas in self.canvases:
                    canvas.stale = True
                return
            self.view = view
            self._show(picture, view)
            self._say([])

    def _computed(self, picture: _Picture) -> ScaleView:
        direction = self._direction
        if direction is None:  # no text tower, or no prompt yet: the image's own CLS
            cls = picture.tokens.cls[0].cpu().numpy().astype(np.float64)
            direction = cls / np.linalg.norm(cls)
        request = self.controls.request
        subject = Subject(picture.tokens, self.model.addon, self._weights(), direction)
        with self._threads.limit(limits=1, user_api="blas"):
            return self._looked_at(subject, request, id(picture))

    def _looked_at(self, subject: Subject, request: ViewRequest, picture: int) -> ScaleView:
        """The view, from what is kept of the last one where that still holds."""
        seen = (picture, id(subject.weights), subject.direction.tobytes(), request.value, request.channel)
        if self._trained[0] != seen:
            self._trained = (seen, trained_part(subject, request))
        fusion = (seen, request if "free" in request.slots else request.slots)
        if self._fused[0] != fusion:
            self._fused = (fusion, fused_part(subject, request, trained=self._trained[1]))
        return scale_view(subject, request, fused=self._fused[1])

    def _set_target(self, prompt: str) -> None:
        self._notes = []
        if not self.model.tower.has_text:
            self._target, self._direction = "this image's own plain CLS", None
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # said in the widget instead
                feature = self.model.encode_text(prompt)[0].cpu().numpy().astype(np.float64)
        except MswinVizError as problem:
            self._notes = [str(problem)]
            self._target = self._target or "this image's own plain CLS"
            return
        self._target, self._direction = prompt.strip(), feature / np.linalg.norm(feature)
        unknown = self.model.unknown_words(prompt)
        if unknown:
            self._notes = [
                f"The text tower never saw: {', '.join(unknown)}. They carry no meaning in the score."
            ]

    def _picture(self) -> _Picture:
        sample = self._samples[self.controls.sample.value or 0]
        modality = self.controls.modality.value
        if modality not in sample.images:
            have = ", ".join(sample.images)
            raise DataError(f"{sample.name} has no {modality} image: it has {have}; choose one of these")
        path = sample.images[modality]
        if path not in self._pictures:
            self._mark_busy(True)
            try:
                shown = self.model.displayed(path)
                tokens = self.model.encode([path], progress=False)
                self._pictures[path] = _Picture(shown, picture_bytes(shown), tokens)
            finally:
                self._mark_busy(False)
        return self._pictures[path]

    def _weights(self) -> FusionWeights | None:
        """The add-on's float64 snapshot, taken again when a weight has changed."""
        if self.model.addon is None:
            return None
        versions = tuple((id(p), p._version) for p in self.model.addon.parameters())
        if self._snapshot[0] != versions:
            self._snapshot = (versions, fusion_weights(self.model.addon))
        return self._snapshot[1]

    # ---- display ----------------------------------------------------------------------------

    def _show(self, picture: _Picture, view: ScaleView) -> None:
        low, high = view.value_range if self.controls.shared.value else (None, None)
        image = {} if self._image.value == picture.png else {"image": picture.png}
        self._image.value = picture.png
        for canvas, panel in zip(self.canvases, view.panels, strict=True):
            canvas.set_values(
                panel.values, panel.geometry.tokens, panel.geometry.dropped, signed=view.signed, **image,
                vmin=low, vmax=high, stale=False, title=f"scale {panel.scale}", caption=panel.origin,
            )  # fmt: skip
        self._html["score"].value = share_bars.scores_html(view, self._target)
        self._html["shares"].value = share_bars.shares_html(view)
        self._html["words"].value = share_bars.words_html(view)

    def _say(self, messages: Sequence[str]) -> None:
        self._html["message"].value = share_bars.message_html([*messages, *self._notes])

    def _mark_busy(self, busy: bool) -> None:
        for canvas in self.canvases:
            canvas.busy = busy


def _label(sample: Sample) -> str:
    words = f": {sample.caption}" if sample.caption else ""
    who = f"person {sample.pid}, camera {sample.camid}, {sample.name}" if sample.pid >= 0 else sample.name
    return who + words
