"""From what the controls ask to everything that is shown: numbers are computed once and kept while they hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mswin_viz.analysis.scales.pyramid import can_be_at_every_scale, every_window
from mswin_viz.analysis.scales.request import Subject, ViewRequest, slots_of
from mswin_viz.analysis.scales.token_panels import cls_panel
from mswin_viz.analysis.scales.view import FusedPart, ScaleView, fused_part, scale_view, trained_part
from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.analysis.shares.cls_split import ClsSplit
from mswin_viz.analysis.shares.directions import Prompts, encoded_prompts, prompt_cosines, target_directions
from mswin_viz.analysis.shares.fusion_scales import EveryWindow
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.window_shuffle import Shuffle, shuffle_windows
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Sample
from mswin_viz.data.synthetic.drawn_people import is_drawn
from mswin_viz.errors import DataError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag, takes_mean_camera
from mswin_viz.model.encoder.token_cache import Picture, TokenCache
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.view.scales.cls_splits import ClsSplits
from mswin_viz.view.widgets.labels import slot_name

_NO_PROMPT = "A text target needs a prompt that can be used: there is none, so the target is the image's own plain CLS."
_OUT_OF_DOMAIN = (
    "Out of domain: the embedded model was trained on drawn people only, and {which} not among this package's drawings. Its "
    "numbers say how it answers, not what is in a photograph; load weights of your own or an open_clip model for that."
)
_NO_CAMERA = "The camera of this image is not known: the mean of the weights' camera embeddings is used."


@dataclass(frozen=True, eq=False)
class ExplorerRequest:
    """What the controls ask for."""

    sample: Sample
    second: Sample  # the one it is compared with
    modality: str  # of both, unless the rows are modalities
    rows: str  # "one", "modalities" or "pair"
    view_request: ViewRequest  # what the panels show
    target: str  # one of directions.TARGET_KINDS; in a pair, each image's target is the other one
    prompts: tuple[str, ...] = ()  # lines of the prompt box
    shuffle_run: int = 0  # runs of so many tokens are shuffled; 0 for none
    has_cls: bool = False  # the CLS is to be split over the input's patches


class EveryScale(NamedTuple):
    """What does not depend on the free scale, what the windows of every scale answer whatever the target and the value (None
    without windows), and a key that is equal where the free panels of all scales are."""

    fused: FusedPart
    windows: EveryWindow | None
    key: Hashable


@dataclass(frozen=True, eq=False)
class ExplorerResult:
    """Everything that is shown, of each row or of all."""

    samples: tuple[Sample, ...]  # of which they are: one, or the query and the gallery image of a pair
    names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    subject: Subject  # the images with their target
    view_request: ViewRequest
    view: ScaleView
    target: str  # in words
    is_pair: bool  # the rows are two images that are compared with each other
    prompts: Prompts
    plain_scores: np.ndarray  # cosines of prompts with plain CLS, [P, B]
    enhanced_scores: np.ndarray
    shuffle: Shuffle | None  # what a shuffle moved
    notes: tuple[str, ...]  # words or a camera that the model does not know, strong distortion
    has_cls: bool = False  # the CLS is to be split over the input's patches
    cls_splits: tuple[ClsSplit, ...] | None = None  # of each row, in units of the cosine, once they are there
    every_scale: EveryScale | None = None  # what the free panel of every scale is made from

    @property
    def has_addon(self) -> bool:
        """Whether anything is enhanced."""
        return self.subject.weights is not None

    def without_window_answers(self) -> ExplorerResult:
        """The same without what every window of every scale answered, which is large."""
        made_from = self.every_scale
        return self if made_from is None else replace(self, every_scale=made_from._replace(windows=None))


@dataclass(frozen=True, eq=False)
class _Target:
    """Its kind and name; the text feature or channel; the image, for a target that is one."""

    kind: str
    words: str
    value: Any = None
    picture: Picture | None = None


@dataclass(frozen=True, eq=False)
class _Rows:
    """The images of all rows without a direction yet, what a shuffle moved, and the key of what depends on them."""

    subject: Subject
    shuffle: Shuffle | None
    key: Hashable


@dataclass(frozen=True, eq=False)
class ResultCache:
    """Results for one model; the last of each kind of intermediate result is kept."""

    model: Model
    tokens: TokenCache
    cls_splits: ClsSplits
    _kept: dict[str, tuple[Hashable, Any]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def result(self, request: ExplorerRequest) -> ExplorerResult:
        """What is shown for a request; an error where an image cannot be read or the target has no direction."""
        with self._lock:
            names, pictures = self._pictures_of_rows(request)
            prompts = self._once("prompts", request.prompts, lambda: self._prompts(request))
            rows = self._rows(request, pictures)
            target = self._target(request, prompts)
            key = self._direction_key(rows, target, prompts, request.view_request)
            direction = self._once("direction", key, lambda: self._direction(rows, target, request))
            subject = self._once("subject", key, lambda: replace(rows.subject, direction=direction))
            view, every_scale = self._view(request.view_request, subject, rows.key, key)
            splits = self._cls_splits(pictures, view, subject) if request.has_cls else None
            if request.has_cls:
                order = None if rows.shuffle is None else rows.shuffle.order.tolist()
                view = replace(view, panels=(cls_panel(subject, splits, order), *view.panels))
        return ExplorerResult(
            samples=(request.sample, request.second) if request.rows == "pair" else (request.sample,), names=names, pictures=pictures, subject=subject, view_request=request.view_request, view=view,
            target=target.words, is_pair=target.kind == "pair", prompts=prompts, shuffle=rows.shuffle,
            plain_scores=prompt_cosines(prompts.features, subject.plain_cls),
            enhanced_scores=prompt_cosines(prompts.features, view.cosine.enhanced),
            notes=(*self._notes(request, prompts, pictures), *_not_shown(subject)),
            has_cls=request.has_cls, cls_splits=splits, every_scale=every_scale,
        )  # fmt: skip

    def weights(self) -> AddonMap | None:
        """The add-on's shared float64 copy, taken again when a weight has changed."""
        return None if self.model.addon is None else fusion_weights(self.model.addon)

    def close(self) -> None:
        """Release everything that is kept."""
        with self._lock:
            self._kept.clear()
        self.cls_splits.close()
        self.tokens.close()

    def _cls_splits(
        self, pictures: Sequence[Picture], view: ScaleView, subject: Subject
    ) -> tuple[ClsSplit, ...] | None:
        """The splits that are there, divided by the norms that the cosine's shares are divided by."""
        splits = self.cls_splits.of(pictures, subject.direction_of_each)
        if splits is None:
            return None
        norms = view.cosine.norm * view.cosine.direction_norm
        factors = np.divide(1, norms, out=np.full_like(norms, np.nan), where=norms > 0)
        return tuple(split.times(factors[i : i + 1]) for i, split in enumerate(splits))

    def _once(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made for this key, made now if the last one was for another."""
        if name not in self._kept or self._kept[name][0] != key:
            self._kept[name] = (key, make())
        return self._kept[name][1]

    def _pictures_of_rows(self, request: ExplorerRequest) -> tuple[tuple[str, ...], tuple[Picture, ...]]:
        sample, modality = request.sample, request.modality
        if request.rows == "modalities":
            chosen = {name: (sample, name) for name in MODALITIES if name in sample.images}
        elif request.rows == "pair":
            roles = (("query", sample), ("gallery", request.second))
            chosen = {f"{role}: {image.label}": (image, modality) for role, image in roles}
        else:
            chosen = {modality: (sample, modality)}
        return tuple(chosen), self._pictures(list(chosen.values()))

    def _pictures(self, chosen: Sequence[tuple[Sample, str]]) -> tuple[Picture, ...]:
        for sample, modality in chosen:
            if modality not in sample.images:
                have = ", ".join(sample.images)
                raise DataError(f"{sample.name} has no {modality} image: it has {have}; choose one of these")
        tags = [ImageTag(modality, sample.camid) for sample, modality in chosen]
        return tuple(self.tokens.pictures([sample.images[name] for sample, name in chosen], tags))

    def _prompts(self, request: ExplorerRequest) -> Prompts:
        if not self.model.tower.has_text:
            return Prompts((), np.zeros((0, self.model.dim)), ())
        return encoded_prompts(self.model, request.prompts)

    def _notes(
        self, request: ExplorerRequest, prompts: Prompts, pictures: Sequence[Picture]
    ) -> tuple[str, ...]:
        notes = list(prompts.notes)
        if request.target == "text" and not prompts.texts:
            notes.append(_NO_PROMPT)
        if takes_mean_camera(self.model.tower, ImageTag(camid=request.sample.camid)):
            notes.append(_NO_CAMERA)
        if self.model.tower.knows_drawings_only:
            shown = (request.sample, *((request.second,) if _reads_second(request) else ()))
            n_strange = self._once("domain", shown, lambda: sum(not is_drawn(sample) for sample in shown))
            notes += [_OUT_OF_DOMAIN.format(which=_which(n_strange, len(shown)))] * (n_strange > 0)
        facts = [picture.facts for picture in pictures]
        return (*notes, *self.model.picture_notes(facts, even_of_one=True))

    def _rows(self, request: ExplorerRequest, pictures: tuple[Picture, ...]) -> _Rows:
        shown = (tuple(id(picture) for picture in pictures), request.shuffle_run)
        # the pictures themselves are kept beside their ids, so that no id can be given twice
        tokens, _ = self._once(
            "tokens", shown, lambda: (Tokens.joined([picture.tokens for picture in pictures]), pictures)
        )
        weights, shuffle = self.weights(), None
        if request.shuffle_run:
            slots = slots_of(request.view_request, () if weights is None else weights.scales) or None
            shuffled = partial(shuffle_windows, tokens, weights, request.shuffle_run, slots=slots)
            shuffle = self._once("shuffle", (shown, weights, slots), shuffled)
            tokens = shuffle.tokens
        nowhere = np.zeros(self.model.dim)
        return _Rows(Subject(tokens, self.model.addon, weights, nowhere), shuffle, (shown, weights))

    @staticmethod
    def _direction_key(rows: _Rows, target: _Target, prompts: Prompts, view_request: ViewRequest) -> Hashable:
        is_fused = target.kind not in ("text", "channel", "own")  # it moves with the slots of the fusion
        slots = slots_of(view_request, rows.subject.scales) if is_fused else ()
        return rows.key, target.kind, target.words, id(prompts), id(target.picture), slots

    @staticmethod
    def _direction(rows: _Rows, target: _Target, request: ExplorerRequest) -> np.ndarray:
        subject, second = rows.subject, None if target.picture is None else target.picture.tokens
        slots = slots_of(request.view_request, subject.scales)
        return target_directions(
            target.kind, subject.tokens, subject.weights, slots=slots, second=second, value=target.value
        )

    def _target(self, request: ExplorerRequest, prompts: Prompts) -> _Target:
        if request.rows == "pair":
            return _Target("pair", "the other image")
        if request.target == "image":
            (picture,) = self._pictures([(request.second, request.modality)])
            return _Target("image", f"the second image, {request.second.label}", picture=picture)
        if request.target == "channel":
            channel = request.view_request.channel
            return _Target("channel", f"channel {channel}", value=channel)
        if request.target == "shift":
            return _Target("shift", "the add-on's own shift (enhanced minus plain)")
        if request.target == "text" and prompts.texts:
            return _Target("text", prompts.texts[0], value=prompts.features[0])
        return _Target("own", "this image's own plain CLS")

    def _view(
        self, request: ViewRequest, subject: Subject, rows_key: Hashable, direction_key: Hashable
    ) -> tuple[ScaleView, EveryScale | None]:
        """The view, from what is kept of the last one where that still holds; None where the kernel follows each scale."""
        trained = self._once(
            "trained", (rows_key, request.is_of_parts), lambda: trained_part(subject, request)
        )
        drawn = (rows_key, direction_key, request.value, request.channel)
        fusion = (drawn, request if "free" in request.slots else request.slots)
        fused = self._once("fused", fusion, lambda: fused_part(subject, request, trained=trained))
        windows = self._once("windows", rows_key, lambda: every_window(subject))
        own = EveryScale(fused, windows, (drawn, request.slots, request.is_mean))
        return scale_view(subject, request, fused=fused), own if can_be_at_every_scale(request) else None


def _reads_second(request: ExplorerRequest) -> bool:
    """Whether the second image has a part in what is shown."""
    return request.rows == "pair" or request.target == "image"


def _which(n_strange: int, n_shown: int) -> str:
    if n_shown == 1:
        return "this image is"
    return f"{n_strange} of these {n_shown} images {'is' if n_strange == 1 else 'are'}"


def _not_shown(subject: Subject) -> list[str]:
    """The windows that a module declares and the grid has no room for."""
    declared = () if subject.weights is None else subject.weights.declared
    missing = [slot_name(slot) for slot in declared if slot not in subject.declared]
    rows, cols = subject.tokens.grid
    return [f"No panel of {name}: it does not fit the {rows}x{cols} grid." for name in missing]
