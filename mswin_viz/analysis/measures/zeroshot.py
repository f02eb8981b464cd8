"""Texts against images by cosine: zero-shot classification, and the image a text finds first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.arrays import unit_rows
from mswin_viz.analysis.measures.ranking import DIGITS
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class ZeroShotReport:
    """How often the nearest of K prompts is the right one, and, as ``chance`` and ``majority``, blind guesses.

    The confusion counts labels (rows) against predictions (columns); a prediction is the first of several prompts as
    near.
    """

    accuracy: float
    chance: float
    majority: float
    confusion: Int[np.ndarray, "label prediction"]
    predictions: Int[np.ndarray, " image"]


@dataclass(frozen=True, eq=False)
class TextToImageReport:
    """Fraction of texts whose nearest image fits, by chance the mean fraction of images that fit a text.

    ``first`` is the index of each text's nearest image; the first of several as near.
    """

    rank1: float
    chance: float
    first: Int[np.ndarray, " text"]


def zero_shot(
    image_features: Float[np.ndarray, "image dim"],
    text_features: Float[np.ndarray, "prompt dim"],
    labels: ArrayLike,
) -> ZeroShotReport:
    """Classify images by the nearest of K prompts; labels are the index of the right one, 0..K-1.

    Features have one row for each image and prompt, and are normalised here. Raises ShapeError if there is no image or
    prompt, the widths or lengths differ, or a feature has no direction; OptionError if a label has no prompt.
    """
    images, texts = _images_and_texts(image_features, text_features)
    right, n_prompts = np.asarray(labels), len(texts)
    if right.shape != (len(images),):
        raise ShapeError(
            f"zero-shot needs one label for each of {counted(len(images), 'images')}: got shape {right.shape}"
        )
    if right.dtype.kind not in "iu" or right.min() < 0 or right.max() >= n_prompts:
        raise OptionError(
            f"labels are indices of the {counted(n_prompts, 'prompts')}, 0..{n_prompts - 1}: got {right.dtype} "
            f"from {right.min()} to {right.max()}"
        )
    predictions = _nearest(images, texts)
    confusion = np.bincount(right * n_prompts + predictions, minlength=n_prompts**2)
    return ZeroShotReport(
        accuracy=float((predictions == right).mean()),
        chance=1 / n_prompts,
        majority=float(np.bincount(right).max() / len(right)),
        confusion=confusion.reshape(n_prompts, n_prompts),
        predictions=predictions,
    )


def text_to_image(
    image_features: Float[np.ndarray, "image dim"],
    text_features: Float[np.ndarray, "text dim"],
    fits: Bool[np.ndarray, "text image"],
) -> TextToImageReport:
    """Find the nearest image of each text; ``fits`` tells whether what a text says is true of an image.

    Features have one row for each image and text, and are normalised here. Raises ShapeError if there is no image or
    text, the widths or lengths differ, or a feature has no direction.
    """
    images, texts = _images_and_texts(image_features, text_features)
    fits = np.asarray(fits, dtype=bool)
    if fits.shape != (len(texts), len(images)):
        raise ShapeError(
            f"text to image needs fits [K, n], here {(len(texts), len(images))}: got {fits.shape}"
        )
    first = _nearest(texts, images)
    return TextToImageReport(
        rank1=float(fits[np.arange(len(texts)), first].mean()), chance=float(fits.mean()), first=first
    )


def _images_and_texts(image_features: Any, text_features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both with rows of norm 1."""
    images, texts = unit_rows(image_features, "image"), unit_rows(text_features, "text")
    if not len(images) or not len(texts) or images.shape[1] != texts.shape[1]:
        raise ShapeError(
            f"images and texts need features [n >= 1, D] and [K >= 1, D]: got {images.shape} and {texts.shape}"
        )
    return images, texts


def _nearest(
    rows: Float[np.ndarray, "row dim"], others: Float[np.ndarray, "other dim"]
) -> Int[np.ndarray, " row"]:
    """The most similar of the others to each row; of several as near (as `ranking.ranked` has it) the first."""
    return np.round(rows @ others.T, DIGITS).argmax(axis=1)
