"""Choose an image (or a pair), a target and methods; see their maps side by side."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS, Attribution, attribute
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_scales
from mswin_viz.analysis.attribution.target import FEATURES, Target
from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.progress import Progress, Report, Stop, portion
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import Picture, TokenCache
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.view.attributions.controls import make_attribution_controls
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.parts.figure_file import SCREEN_DPI, figure_bytes
from mswin_viz.view.parts.html import badge_html
from mswin_viz.view.parts.stored_output import one_line, with_picture
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.lifetime import check_open, close_view, is_closed, made_whole
from mswin_viz.view.widgets.markup import Html, fragment, message_html

__all__ = ["AttributionExplorer"]

_Job = Callable[[Report, Stop], Mapping[str, Attribution]]


@dataclass(frozen=True, eq=False)
class _Request:
    """What was asked for when the button was pressed."""

    paths: tuple[Path | Crop, ...]
    tags: tuple[ImageTag, ...]
    prompt: str
    features: tuple[str, ...]
    calls: Mapping[str, Mapping[str, Any]]


class AttributionExplorer(widgets.VBox):
    """Maps of several methods for one image and a text, or for a pair of images, beside the exact window shares.

    The work starts with a button, in a thread of its own, with a progress bar and a way to stop it; what was
    finished by then is shown. What goes wrong is shown in the widget; a method that fails leaves the others, and
    where all fail, the last maps stay, marked as out of date.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`.
    samples
        What the menus offer; at least one, or DataError is raised.
    prompt
        The first target.

    Attributes
    ----------
    controls, worker
        The widgets, to be set from code.
    maps
        Title -> attribution, of what is on screen.
    """

    @made_whole()
    def __init__(
        self, model: Model, samples: Sequence[Sample], *, prompt: str = "a person wearing a red top"
    ) -> None:
        self.model, self._samples = model, at_least_one(samples)
        self.maps: Mapping[str, Attribution] = {}
        self._shown: tuple[Image.Image, ...] = ()
        self._is_old = False
        self._cache = TokenCache(model)
        self._guarded = Guard(self, lambda _problems: self._show_problems())
        self.controls = make_attribution_controls(
            [sample.name for sample in self._samples], prompt=prompt,
            has_text=model.tower.has_text, has_addon=model.addon is not None,
        )  # fmt: skip
        self.worker = WorkBar(self._work, name="attribute", css="mswin-attribution")
        self._messages = Html()
        self._picture = widgets.Image(format="png", layout={"max_width": "100%", "display": "none"})
        self._picture.add_class("mswin-attribution-figure")
        badge, controls = Html(badge_html(model.provenance_items)), self.controls.layout()
        super().__init__([Frame(), badge, controls, self.worker, self._messages, self._picture])
        self.add_class(VIEW)

    def __repr__(self) -> str:
        n_maps, n_samples = len(self.maps), len(self._samples)
        shows = f"{n_maps} maps" if n_maps else "no maps yet"
        return one_line(self, f"{shows}, {n_samples} samples", self.model, is_closed=is_closed(self))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        def draw() -> Figure | Image.Image:
            return self.figure() if self.maps else self.model.displayed(self._request().paths[0])

        return with_picture(super()._repr_mimebundle_(**options), repr(self), draw)

    def close(self) -> None:
        """End the work, release the maps, and close every widget."""
        close_view(self)

    def release(self) -> None:
        """End the work, and release the maps."""
        self.worker.release()
        self._cache.close()
        self.maps, self._shown = {}, ()

    def start(self) -> threading.Thread:
        """Start the work that the controls describe, unless some is running; raises ClosedError in a closed explorer."""
        return self.worker.start()

    def stop(self) -> None:
        """Stop the work after the current pass."""
        self.worker.stop()

    def figure(self) -> Figure:
        """What is on screen as a matplotlib figure, with its provenance.

        Raises OptionError if nothing has been computed yet, ClosedError if the explorer was closed.
        """
        check_open(self)
        if not self.maps:
            raise OptionError(
                "a figure needs maps: none have been computed yet; press attribute, or call start()"
            )
        return attributions_figure(self._shown, self.maps, provenance=self.model.provenance)

    def _request(self) -> _Request:
        c = self.controls
        chosen = [self._samples[i] for i in c.samples]
        names = [_first_of(sample, str(c.modality.value)) for sample in chosen]
        tags = tuple(ImageTag(name, sample.camid) for sample, name in zip(chosen, names, strict=True))
        paths = tuple(sample.images[name] for sample, name in zip(chosen, names, strict=True))
        calls = c.calls(self.model)
        return _Request(
            paths=paths, tags=tags, prompt=c.prompt.value, features=c.chosen_features, calls=calls
        )

    def _work(self, report: Report, stop: Stop) -> str | None:
        """Compute and show the maps; return how that ended, if it was not simply done."""
        self._is_old = bool(self.maps)
        self._guarded.forget()
        self._show_problems()
        try:
            with self._guarded("attributing"):
                request = self._request()
                pictures = self._cache.pictures(request.paths, request.tags)
                maps = self._computed(request, pictures, report, stop)
                self._show(request, tuple(picture.shown for picture in pictures), maps)
        finally:
            self._show_problems()
        return self._outcome(stop())

    def _computed(
        self, request: _Request, pictures: Sequence[Picture], report: Report, stop: Stop
    ) -> Mapping[str, Attribution]:
        """The maps of every method that neither failed nor was stopped."""
        maps: dict[str, Attribution] = {}
        jobs = self._jobs(request, pictures)
        if not jobs:
            raise OptionError("maps need a method: got none; choose at least one in the list")
        for i, (title, job) in enumerate(jobs):
            if stop():
                break
            part = portion(report, i / len(jobs), (i + 1) / len(jobs))
            part(Progress(0, 1, f"{title} …"))
            with self._guarded(title), suppress(StoppedError):
                maps |= job(part, stop)
        return maps

    def _outcome(self, is_stopped: bool) -> str | None:
        """How the work ended, in a few words."""
        if is_stopped:
            return "stopped"
        if self._is_old or not self.maps:
            return "failed"
        failed = ", ".join(self._guarded.problems)
        return f"done, without {failed}" if failed else None

    def _show_problems(self) -> None:
        """Why maps are missing, and whether those on screen are of an earlier request."""
        problems = [fragment(what, ": ", why) for what, why in self._guarded.problems.items()]
        show_as_out_of_date(self._picture, self._is_old)
        self._messages.value = message_html([*problems, OUT_OF_DATE] if self._is_old else problems)

    def _jobs(self, request: _Request, pictures: Sequence[Picture]) -> Sequence[tuple[str, _Job]]:
        """Titles and what computes their maps, the exact shares first."""
        targets = {feature: self._target(request, pictures, feature) for feature in request.features}
        jobs: list[tuple[str, _Job]] = []
        if "enhanced" in targets and self.model.addon is not None:
            target, scales = targets["enhanced"], share_scales(self.model)
            jobs.append(("exact window shares", lambda *_: self._shares(pictures, target, scales)))
        for name, call in request.calls.items():
            jobs.append((METHOD_LABELS[name], partial(self._maps, pictures, targets, name, call)))
        return jobs

    def _target(self, request: _Request, pictures: Sequence[Picture], feature: str) -> Target:
        if len(pictures) == 1:
            return Target.text(request.prompt, feature=feature)
        tokens = Tokens.joined([picture.tokens for picture in pictures])
        features = (self.model.enhance(tokens) if feature == "enhanced" else tokens).cls
        return Target.image(features.flip(0), feature=feature)

    def _shares(
        self, pictures: Sequence[Picture], target: Target, scales: Sequence[int]
    ) -> Mapping[str, Attribution]:
        tokens = Tokens.joined([picture.tokens for picture in pictures])
        return {
            f"exact shares, scale {scale}": exact_shares(self.model, tokens, target, scale)
            for scale in scales
            if scale <= tokens.patches.shape[1]
        }

    def _maps(
        self, pictures: Sequence[Picture], targets: Mapping[str, Target], name: str, call: Mapping[str, Any],
        report: Report, stop: Stop,
    ) -> Mapping[str, Attribution]:  # fmt: skip
        """One method's map for each feature, and for both their difference."""
        maps, model = {}, self.model.bound(tags=[picture.tag for picture in pictures])
        images = [picture.image for picture in pictures]
        for i, (feature, target) in enumerate(targets.items()):
            part = portion(report, i / len(targets), (i + 1) / len(targets))
            maps[f"{name}, {feature}"] = attribute(model, images, target, report=part, stop=stop, **call)
        if len(targets) == 2:
            plain, enhanced = (maps[f"{name}, {feature}"] for feature in FEATURES)
            change = {"values": enhanced.values - plain.values, "delta": enhanced.delta - plain.delta}
            maps[f"{name}, enhanced - plain"] = dataclasses.replace(enhanced, **change)
        return maps

    def _show(self, request: _Request, shown: tuple, maps: Mapping[str, Attribution]) -> None:
        if not maps:
            return
        target = request.prompt if len(request.paths) == 1 else "each other"
        figure = attributions_figure(shown, maps, provenance=f"cosine with {target}; {self.model.provenance}")
        self._picture.value = figure_bytes(figure, "png", dpi=SCREEN_DPI)
        self.maps, self._shown, self._is_old = maps, shown, False
        self._picture.layout.display = None


def _first_of(sample: Sample, modality: str) -> str:
    """The modality, or where the sample lacks it, the first that it has."""
    return modality if modality in sample.images else next(iter(sample.images))
