"""Texts against images by cosine: zero-shot classification, and the image a text finds first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["TextToImageReport", "ZeroShotReport", "text_to_image", "zero_shot"]


@dataclass(frozen=True, eq=False)
class ZeroShotReport:
    """How often the nearest prompt is the right one.

    Attributes
    ----------
    accuracy
        Fraction of images whose nearest prompt is their label's.
    chance, majority
        Accuracy of guessing evenly, ``1 / K``, and of always naming the commonest label.
    confusion
        Counts ``[K, K]``: rows are labels, columns are predictions.
    predictions
        Index of the nearest prompt of each image, ``[n]``; the first of several as near.
    """

    accuracy: float
    chance: float
    majority: float
    confusion: Int[np.ndarray, "label prediction"]
    predictions: Int[np.ndarray, " image"]


@dataclass(frozen=True, eq=False)
class TextToImageReport:
    """How often the image a text finds first is one that fits.

    Attributes
    ----------
    rank1
        Fraction of texts whose nearest image fits.
    chance
        Mean fraction of images that fit a text: Rank-1 of a blind choice.
    first
        Index of each text's nearest image, ``[n_texts]``; the first of several as near.
    """

    rank1: float
    chance: float
    first: Int[np.ndarray, " text"]


def zero_shot(
    image_features: Float[np.ndarray, "image dim"],
    text_features: Float[np.ndarray, "prompt dim"],
    labels: Sequence[int],
) -> ZeroShotReport:
    """Classify images by the nearest of K prompts.

    Parameters
    ----------
    image_features, text_features
        One row for each image and each prompt; normalised here.
    labels
        Index of the right prompt of each image, 0..K-1.

    Raises
    ------
    ShapeError
        If there is no image or prompt, the widths or lengths differ, or a feature has no direction.
    OptionError
        If a label has no prompt.
    """
    images, texts = _normalised(image_features, "image"), _normalised(text_features, "text")
    labels = np.asarray(labels)
    if images.shape[1] != texts.shape[1] or labels.shape != images.shape[:1]:
        raise ShapeError(
            "zero-shot needs image features [n, D], text features [K, D] and n labels: got "
            f"{images.shape}, {texts.shape} and {labels.shape}"
        )
    n_prompts = len(texts)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= n_prompts:
        raise OptionError(
            f"labels are indices of the {n_prompts} prompts, 0..{n_prompts - 1}: got {labels.dtype} "
            f"from {labels.min()} to {labels.max()}"
        )
    predictions = (images @ texts.T).argmax(axis=1)
    confusion = np.bincount(labels * n_prompts + predictions, minlength=n_prompts**2)
    return ZeroShotReport(
        accuracy=float((predictions == labels).mean()),
        chance=1 / n_prompts,
        majority=float(np.bincount(labels).max() / len(labels)),
        confusion=confusion.reshape(n_prompts, n_prompts),
        predictions=predictions,
    )


def text_to_image(
    image_features: Float[np.ndarray, "image dim"],
    text_features: Float[np.ndarray, "text dim"],
    fits: Bool[np.ndarray, "text image"],
) -> TextToImageReport:
    """Find the nearest image of each text.

    Parameters
    ----------
    image_features, text_features
        One row for each image and each text; normalised here.
    fits
        Whether what the text says is true of the image.

    Raises
    ------
    ShapeError
        If there is no image or text, the widths or lengths differ, or a feature has no direction.
    """
    images, texts = _normalised(image_features, "image"), _normalised(text_features, "text")
    fits = np.asarray(fits, dtype=bool)
    if images.shape[1] != texts.shape[1] or fits.shape != (len(texts), len(images)):
        raise ShapeError(
            "text to image needs image features [n, D], text features [K, D] and fits [K, n]: got "
            f"{images.shape}, {texts.shape} and {fits.shape}"
        )
    first = (texts @ images.T).argmax(axis=1)
    return TextToImageReport(float(fits[np.arange(len(texts)), first].mean()), float(fits.mean()), first)


def _normalised(features: Float[np.ndarray, "row dim"], name: str) -> Float[np.ndarray, "row dim"]:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) == 0:
        raise ShapeError(f"{name} features are [n >= 1, D]: got shape {features.shape}")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ShapeError(
            f"{name} features must be finite and of non-zero length: got one that has no direction"
        )
    return features / lengths
