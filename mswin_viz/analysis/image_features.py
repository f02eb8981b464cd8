"""Plain and enhanced CLS features of a batch of a data set's images, and of those that have none, the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.data.images import Crop, ImageSource
from mswin_viz.data.picture_facts import PictureFacts
from mswin_viz.errors import ImageError, ImageFileError, OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.data.layouts import Sample
    from mswin_viz.model.backbone import Model
    from mswin_viz.model.tokens import Tokens

__all__ = ["UNUSABLE", "BatchFeatures", "Failure", "batch_features", "tokens_of"]

UNUSABLE = (ImageFileError, ImageError, OptionError)
"""Errors that concern one image and no other; OptionError: a camera that the weights have no row for."""


class Failure(NamedTuple):
    """An image that has no row, and why."""

    path: Path | Crop
    reason: str


class BatchFeatures(NamedTuple):
    """What one batch gave.

    Attributes
    ----------
    rows
        Sample and modality of each image that has features.
    plain, enhanced
        Their CLS before and after the add-on.
    failed
        The other images, and why.
    facts
        What is known of each picture that could be read, for :meth:`Model.picture_notes`.
    """

    rows: list[tuple[int, str]]
    plain: Float[np.ndarray, "row dim"]
    enhanced: Float[np.ndarray, "row dim"]
    failed: list[Failure]
    facts: list[PictureFacts]


def batch_features(
    model: Model, samples: Sequence[Sample], batch: Sequence[tuple[int, str]]
) -> BatchFeatures:
    """Features of some images, each given by its sample's position and its modality, in one pass.

    An image that cannot be read, is of a camera the weights do not know, or gets no finite feature takes no other
    with it.
    """
    rows, shown, failed, facts = [], [], [], []
    for at, name in batch:
        try:
            model.encode_options(name, samples[at].camid)
            picture, known = model.displayed_with_facts(samples[at].images[name])
        except UNUSABLE as problem:
            failed.append(Failure(samples[at].images[name], str(problem)))
        else:
            rows.append((at, name))
            shown.append(picture)
            facts.append(known)
    if not rows:
        return BatchFeatures([], np.zeros((0, model.dim)), np.zeros((0, model.dim)), failed, facts)
    tokens = tokens_of(model, shown, [(name, samples[at].camid) for at, name in rows])
    plain, enhanced = (some.cls.cpu().numpy() for some in (tokens, model.enhance(tokens)))
    good = np.isfinite(plain).all(axis=1) & np.isfinite(enhanced).all(axis=1)
    failed += [
        Failure(samples[at].images[name], "the model gives it a feature that is not finite")
        for (at, name), fine in zip(rows, good, strict=True)
        if not fine
    ]
    kept = [row for row, fine in zip(rows, good, strict=True) if fine]
    return BatchFeatures(kept, plain[good], enhanced[good], failed, facts)


def tokens_of(model: Model, images: Sequence[ImageSource], kinds: Sequence[tuple[str, int]]) -> Tokens:
    """Tokens of images as every row of a table is made; ``kinds`` holds each one's modality and camera number.

    The one place that hands modality and camera to the model: only to weights that ask for them.

    Raises
    ------
    OptionError
        If the weights hold a camera embedding without a row for a camera.
    """
    asked = [model.encode_options(*kind) for kind in kinds]
    options = {name: [one[name] for one in asked] for name in asked[0]}
    return model.encode(images, batch_size=len(images), progress=False, **options)
