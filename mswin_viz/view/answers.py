"""From what the controls ask to everything that is shown: numbers are computed once and kept while they hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mswin_viz.analysis.fusion import FusionWeights, fusion_weights
from mswin_viz.analysis.scale_view import ScaleView, fused_part, scale_view, trained_part
from mswin_viz.analysis.shuffling import Shuffle, shuffled
from mswin_viz.analysis.targets import Prompts, directions, encoded_prompts, prompt_cosines
from mswin_viz.analysis.view_request import Subject, ViewRequest, slots_of
from mswin_viz.data.layouts import MODALITIES, Sample
from mswin_viz.errors import DataError
from mswin_viz.model.backbone import Model
from mswin_viz.model.image_tags import ImageTag
from mswin_viz.model.token_cache import Picture, TokenCache
from mswin_viz.model.tokens import Tokens

__all__ = ["Answers", "Asked", "Look"]

_OTHER = "the other image"
_NO_PROMPT = (
    "A text target needs a prompt that can be used: got none, so the target is the image's own plain CLS."
)
_NO_CAMERA = "The camera of this image is not known: the mean of the weights' camera embeddings is used."


@dataclass(frozen=True, eq=False)
class Asked:
    """What the controls ask for.

    Attributes
    ----------
    sample, second
        The chosen sample, and the one it is compared with.
    modality
        Of both, unless the rows are modalities.
    rows
        ``"one"``, ``"modalities"`` or ``"pair"``.
    request
        What is asked of the panels.
    target
        One of :data:`mswin_viz.analysis.targets.TARGETS`; in a pair each image's target is the other one.
    prompts
        Lines of the prompt box.
    shuffle_run
        Whole runs of so many tokens are shuffled; 0 for none.
    """

    sample: Sample
    second: Sample
    modality: str
    rows: str
    request: ViewRequest
    target: str
    prompts: tuple[str, ...]
    shuffle_run: int = 0


@dataclass(frozen=True, eq=False)
class Look:
    """Everything that is shown.

    Attributes
    ----------
    names, pictures
        Of each row.
    subject, request, view
        What was looked at, what was asked, and the answer.
    target
        In words.
    prompts, plain_scores, enhanced_scores
        The prompts and their cosines with plain and enhanced CLS, ``[P, B]``.
    shuffle
        What a shuffle moved; None where nothing is shuffled.
    notes
        What the reader should know: words or a camera that the model does not know, strong distortion.
    """

    names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    subject: Subject
    request: ViewRequest
    view: ScaleView
    target: str
    prompts: Prompts
    plain_scores: np.ndarray
    enhanced_scores: np.ndarray
    shuffle: Shuffle | None
    notes: tuple[str, ...]

    @property
    def is_pair(self) -> bool:
        """Whether the rows are two images that are compared with each other."""
        return self.target == _OTHER


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers for one model; the last of each kind of intermediate result is kept.

    Attributes
    ----------
    model, tokens
        Where tokens come from.
    """

    model: Model
    tokens: TokenCache
    _kept: dict[str, tuple[Hashable, Any]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def look(self, asked: Asked) -> Look:
        """The answer.

        Raises
        ------
        MswinVizError
            If an image cannot be read or the target has no direction.
        """
        with self._lock:
            names, pictures = self._rows(asked)
            prompts = self._once("prompts", asked.prompts, lambda: self._prompts(asked))
            shown = (tuple(id(picture) for picture in pictures), asked.shuffle_run)
            # the pictures themselves are kept beside their ids, so that no id can be given twice
            subject, shuffle, rows_key = self._tokens(asked, pictures, shown)
            subject, target, key = self._directed(asked, subject, prompts, rows_key)
            view = self._view(asked.request, subject, rows_key, key)
        plain, enhanced = self._scores(prompts, subject, view)
        notes = (*prompts.notes, *([_NO_PROMPT] if asked.target == "text" and not prompts.texts else []))
        notes = (
            *notes,
            *([_NO_CAMERA] if self.model.takes_mean_camera(ImageTag(camid=asked.sample.camid)) else []),
        )
        notes = (*notes, *self.model.picture_notes([picture.facts for picture in pictures], even_of_one=True))
        about = (target, prompts, plain, enhanced, shuffle, notes)
        return Look(names, pictures, subject, asked.request, view, *about)

    def weights(self) -> FusionWeights | None:
        """The add-on's shared float64 copy, taken again when a weight has changed.

        Raises
        ------
        OptionError
            For scheme 2, whose shares are not exact.
        """
        return None if self.model.addon is None else fusion_weights(self.model.addon)

    def close(self) -> None:
        """Release everything that is kept."""
        with self._lock:
            self._kept.clear()
        self.tokens.close()

    def _once(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made for this key, made now if the last one was for another."""
        if name not in self._kept or self._kept[name][0] != key:
            self._kept[name] = (key, make())
        return self._kept[name][1]

    def _rows(self, asked: Asked) -> tuple[tuple[str, ...], tuple[Picture, ...]]:
        if asked.rows == "modalities":
            chosen = [(name, asked.sample, name) for name in MODALITIES if name in asked.sample.images]
        elif asked.rows == "pair":
            chosen = [
                (f"{role}: {sample.label}", sample, asked.modality)
                for role, sample in (("query", asked.sample), ("gallery", asked.second))
            ]
        else:
            chosen = [(asked.modality, asked.sample, asked.modality)]
        names = tuple(name for name, _, _ in chosen)
        return names, self._pictures([(sample, modality) for _, sample, modality in chosen])

    def _pictures(self, chosen: Sequence[tuple[Sample, str]]) -> tuple[Picture, ...]:
        for sample, modality in chosen:
            if modality not in sample.images:
                have = ", ".join(sample.images)
                raise DataError(f"{sample.name} has no {modality} image: it has {have}; choose one of these")
        tags = [ImageTag(modality, sample.camid) for sample, modality in chosen]
        return tuple(self.tokens.pictures([sample.images[name] for sample, name in chosen], tags))

    def _prompts(self, asked: Asked) -> Prompts:
        if not self.model.tower.has_text:
            return Prompts((), np.zeros((0, self.model.dim)), ())
        return encoded_prompts(self.model, asked.prompts)

    def _tokens(
        self, asked: Asked, pictures: tuple[Picture, ...], shown: Hashable
    ) -> tuple[Subject, Shuffle | None, Hashable]:
        tokens = self._once("tokens", shown, lambda: (Tokens.joined([p.tokens for p in pictures]), pictures))[
            0
        ]
        weights, shuffle = self.weights(), None
        if asked.shuffle_run:
            slots = slots_of(asked.request, () if weights is None else weights.scales)
            key = (shown, weights, slots)
            shuffle = self._once(
                "shuffle", key, lambda: shuffled(tokens, weights, asked.shuffle_run, slots=slots)
            )
            tokens = shuffle.tokens
        nowhere = np.zeros(self.model.dim)
        return Subject(tokens, self.model.addon, weights, nowhere), shuffle, (shown, weights)

    def _directed(
        self, asked: Asked, subject: Subject, prompts: Prompts, rows_key: Hashable
    ) -> tuple[Subject, str, Hashable]:
        kind, given, second, words = self._target(asked, prompts)
        slots = slots_of(asked.request, subject.scales)
        key = (
            rows_key,
            kind,
            words,
            id(prompts),
            id(second),
            slots if kind not in ("text", "channel", "own") else (),
        )

        def make() -> np.ndarray:
            tokens = None if second is None else second.tokens
            return directions(kind, subject.tokens, subject.weights, slots=slots, second=tokens, given=given)

        return replace(subject, direction=self._once("direction", key, make)), words, key

    def _target(self, asked: Asked, prompts: Prompts) -> tuple[str, Any, Picture | None, str]:
        """Kind, what is given with it, the second picture, and words."""
        if asked.rows == "pair":
            return "pair", None, None, _OTHER
        if asked.target == "image":
            return (
                "image",
                None,
                self._pictures([(asked.second, asked.modality)])[0],
                f"the second image, {asked.second.label}",
            )
        if asked.target == "channel":
            return "channel", asked.request.channel, None, f"channel {asked.request.channel}"
        if asked.target == "shift":
            return "shift", None, None, "the add-on's own shift (enhanced minus plain)"
        if asked.target == "text" and prompts.texts:
            return "text", prompts.features[0], None, prompts.texts[0]
        return "own", None, None, "this image's own plain CLS"

    def _view(
        self, request: ViewRequest, subject: Subject, rows_key: Hashable, direction_key: Hashable
    ) -> ScaleView:
        """The view, from what is kept of the last one where that still holds."""
        along = direction_key if request.value == "cosine" else None
        seen = (rows_key, request.value, request.channel, along)
        trained = self._once("trained", seen, lambda: trained_part(subject, request))
        fusion = (seen, direction_key, request if "free" in request.slots else request.slots)
        fused = self._once("fused", fusion, lambda: fused_part(subject, request, trained=trained))
        return scale_view(subject, request, fused=fused)

    def _scores(self, prompts: Prompts, subject: Subject, view: ScaleView) -> tuple[np.ndarray, np.ndarray]:
        plain = subject.tokens.cls.double().cpu().numpy()
        return prompt_cosines(prompts.features, plain), prompt_cosines(prompts.features, view.cosine.enhanced)
