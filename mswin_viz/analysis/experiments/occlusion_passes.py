"""Covered pictures through the tower, once for each fraction, and every feature that is read off the same tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mswin_viz.analysis.experiments.occluded_images import Cover
from mswin_viz.analysis.experiments.occlusion_measures import FeatureRows, Row
from mswin_viz.analysis.experiments.occlusion_request import OcclusionRequest, Other
from mswin_viz.analysis.measures.null_features import null_features
from mswin_viz.analysis.token_checks import finite_images
from mswin_viz.data.images.picture_facts import PictureFacts
from mswin_viz.data.progress import StepCounter
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import DataError, ImageError, ImageFileError, OptionError, StoppedError
from mswin_viz.model.addon_loading import addon_of
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import Failure, encoded_batch
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.preprocessing import FittedImage
from mswin_viz.model.fingerprint import weights_hash
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import Head, enhanced_features

Features = Callable[[Tokens], np.ndarray]
"""Tokens of a batch -> one row for each image."""


@dataclass(eq=False)
class Passes:
    """Encodes covered pictures of some samples; what the first pass leaves out, the later ones do not ask for."""

    model: Model
    samples: Sequence[Sample]
    request: OcclusionRequest
    readers: Mapping[str, Features]
    others: Mapping[str, Features]
    steps: StepCounter
    failed: list[Failure] = field(default_factory=list)
    facts: list[PictureFacts] = field(default_factory=list)
    is_later: bool = False

    def features(self, cover: Cover, wanted: Sequence[Row]) -> FeatureRows:
        """Every feature of the wanted images, covered: plain, enhanced, the nulls, then the others."""
        rows: list[Row] = []
        parts: dict[str, list[np.ndarray]] = {name: [] for name in (*self.readers, *self.others)}

        def batches() -> Iterator[Tokens]:
            for start in range(0, len(wanted), self.request.batch_size):
                if self.steps.stopping():
                    raise StoppedError(
                        f"occlusion was stopped after {self.steps.done} of {counted(self.steps.total, 'steps')}"
                    )
                some = wanted[start : start + self.request.batch_size]
                found, tokens = self._tokens(cover, some)
                if found:
                    rows.extend(found)
                    for name, read in {**self.readers, **self.others}.items():
                        parts[name].append(read(tokens))
                    yield tokens
                self.steps.passed(len(some))
            if not rows:
                raise DataError(
                    f"at least one image must be encoded: all {len(wanted)} failed, the first because {self.failed[0].reason}"
                )

        nulls: dict[str, np.ndarray] = {}
        if kinds := self.request.controls if self.model.addon is not None else ():
            seeds = {"seeds": self.request.null_seeds, "seed": self.request.seed}
            nulls = null_features(self.model, batches(), **seeds, kinds=kinds)
        else:
            for _ in batches():
                pass
        if self.is_later and len(rows) < len(wanted):
            raise DataError(
                f"images must stay readable to the end: {len(wanted) - len(rows)} could be encoded before and cannot now, "
                f"the first because {self.failed[-1].reason}"
            )
        self.is_later = True
        joined = {name: np.concatenate(part) for name, part in parts.items()}
        own, others = ({name: joined[name] for name in some} for some in (self.readers, self.others))
        return FeatureRows({row: at for at, row in enumerate(rows)}, {**own, **nulls, **others})

    def _tokens(self, cover: Cover, rows: Sequence[Row]) -> tuple[list[Row], Tokens]:
        """Tokens of those images that can be used; the others have failed."""
        images: dict[Row, FittedImage] = {}
        for sample, modality in rows:
            source = self.samples[sample].images[modality]
            try:
                (opened,) = self.model.opened([source])
            except (ImageFileError, ImageError) as problem:
                self.failed.append(Failure(source, str(problem)))
            else:
                images[sample, modality] = cover.over(opened, sample, self.model)
        there = list(images)
        tags = [ImageTag(modality, self.samples[sample].camid) for sample, modality in there]
        batch = encoded_batch(self.model, list(images.values()), tags)
        places = list(batch.images)
        why = {place: str(problem) for place, problem in batch.problems.items()}
        is_good = self._finite(batch.tokens)
        why |= {
            places[at]: "the model gave it a feature that is not finite" for at in np.flatnonzero(~is_good)
        }
        for place, reason in why.items():
            sample, modality = there[place]
            self.failed.append(Failure(self.samples[sample].images[modality], reason))
        kept = np.flatnonzero(is_good).tolist()
        if not self.is_later:
            self.facts += [batch.images[places[at]].facts for at in kept]
        return [there[places[at]] for at in kept], batch.tokens[kept]

    def _finite(self, tokens: Tokens) -> np.ndarray:
        """Which images have finite tokens and finite plain and enhanced features."""
        is_good = finite_images(tokens).cpu().numpy()
        for read in self.readers.values() if len(tokens) else ():
            is_good &= np.isfinite(read(tokens)).all(axis=1)
        return is_good


def own_readers(model: Model) -> dict[str, Features]:
    """Plain, and with an add-on enhanced."""
    plain = {"plain": lambda tokens: tokens.cls.cpu().numpy()}
    return plain if model.addon is None else {**plain, "enhanced": _enhancing(model)}


def other_readers(model: Model, others: Mapping[str, Other], taken: Sequence[str]) -> dict[str, Features]:
    """What reads the features of other add-ons, heads and models off this model's tokens.

    Raises OptionError if a name is taken or no text, or a model has another tower.
    """
    if not isinstance(others, Mapping):
        raise OptionError(
            f"others are a dictionary, name -> model, add-on or head: got {type(others).__name__}; give each a name"
        )
    found = {}
    for name, other in others.items():
        if not isinstance(name, str) or not name or name in taken:
            raise OptionError(
                f"others need names of their own, different from {', '.join(taken)}: got {name!r:.80}; choose another"
            )
        found[name] = _reader(model, name, other)
    return found


def _reader(model: Model, name: str, other: Other) -> Features:
    if isinstance(other, Head):
        return lambda tokens: enhanced_features(other, tokens)
    if not isinstance(other, Model):
        module = addon_of(other, "", model.tower).module
        return _enhancing(replace(model, addon=module))
    if other.tower is not model.tower and weights_hash(other) != weights_hash(model):
        raise OptionError(
            f"others read the tokens of the model's own tower: got {short_text(name, 60)!r}, a model with other weights; "
            "measure it with a call of its own"
        )
    return _enhancing(other)


def _enhancing(model: Model) -> Features:
    def read(tokens: Tokens) -> np.ndarray:
        with torch.no_grad():
            return model.enhance(tokens).cls.cpu().numpy()

    return read
