"""The direction that a score is measured along: a text, another image, one channel, or the add-on's shift."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import finite_vectors, unit_rows_or_nan
from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.analysis.shares.fusion import enhanced_cls, float64
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.prompts import words_shown
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

TARGET_KINDS = ("text", "image", "shift", "channel", "own")
"""The first prompt; the second image's enhanced CLS; enhanced minus plain CLS; one channel; the image's plain CLS."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts that could be encoded, their unit features, and notes: what was left out and why, and unknown words."""

    texts: tuple[str, ...]
    features: Float[np.ndarray, "prompt dim"]
    notes: tuple[str, ...]


def encoded_prompts(model: Model, lines: Sequence[str]) -> Prompts:
    """Text features of prompts, one by one, so that one bad line does not take the others with it."""
    texts, features, notes = [], [], []
    for line in lines:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the notes name the words instead
                feature = float64(model.encode_text(line)[0])
        except MswinVizError as problem:
            notes.append(str(problem))
            continue
        texts.append(line.strip())
        features.append(feature / np.linalg.norm(feature))
        if unknown := model.unknown_words(line):
            notes.append(
                f"The text tower never saw: {words_shown(unknown)}. They carry no meaning in the score."
            )
    return Prompts(tuple(texts), np.reshape(features, (-1, model.dim)), tuple(notes))


def target_directions(
    kind: str,
    tokens: Tokens,
    weights: AddonMap | None,
    *,
    slots: Sequence[Slot] | None = None,
    second: Tokens | None = None,
    value: Float[np.ndarray, " dim"] | int | None = None,
) -> Float[np.ndarray, "batch dim"]:
    """Unit directions, one for each image; ``weights`` None for plain CLIP.

    The kind is one of ``TARGET_KINDS``, or ``"pair"``: of two images, each one's direction is the other's enhanced CLS.
    ``second`` is the image of ``"image"``; ``value`` the text feature of ``"text"``, or the channel of ``"channel"``.
    Raises OptionError if there is no such target, or it has no direction; ShapeError if the direction is not finite.
    """
    shape = tuple(tokens.cls.shape)
    if kind == "channel" and isinstance(value, int):
        width = shape[1] if weights is None else weights.feature_dim
        if not 0 <= value < width:
            raise OptionError(
                f"a channel of the enhanced CLS is {numbered(width)}: got {value}; choose another"
            )
        direction = np.zeros((shape[0], width))
        direction[:, value] = 1
    elif kind == "text" and value is not None:
        direction = np.broadcast_to(value, shape)
    elif kind == "image" and second is not None:
        seen = _enhanced(second, weights, slots)
        direction = np.broadcast_to(seen, (shape[0], seen.shape[1]))
    elif kind == "shift":
        direction = _enhanced(tokens, weights, slots).copy()
        direction[:, : shape[1]] -= float64(tokens.cls)
    elif kind == "pair":
        direction = _enhanced(tokens, weights, slots)[::-1]
    elif kind == "own":
        direction = float64(tokens.cls)
    else:
        raise OptionError(f"a target is one of {', '.join((*TARGET_KINDS, 'pair'))}: got {kind!r}")
    direction = finite_vectors(direction, f"the direction of {kind!r}")
    norms = np.linalg.norm(direction, axis=1, keepdims=True)
    if not (norms > 0).all():
        raise OptionError(
            f"a target needs a direction: got {kind!r} of norm 0 (an add-on that shifts nothing has no shift "
            "to look along); choose another target"
        )
    return direction / norms


def prompt_cosines(
    features: Float[np.ndarray, "prompt dim"], images: Float[np.ndarray, "batch wide"]
) -> Float[np.ndarray, "prompt batch"]:
    """Cosine of each prompt with each image's feature; a prompt is zero along what an add-on puts behind the CLS."""
    return features @ unit_rows_or_nan(images)[:, : features.shape[1]].T


def plain_and_enhanced_cosines(
    feature: Float[np.ndarray, " dim"], tokens: Tokens, weights: AddonMap | None
) -> Float[np.ndarray, "batch two"]:
    """Cosine of one prompt's unit feature with the plain and with the enhanced CLS of each image, -1..1.

    Without an add-on both are the same.
    """
    both = float64(tokens.cls), _enhanced(tokens, weights, None)
    return np.stack([prompt_cosines(feature[None], images)[0] for images in both], axis=1)


def _enhanced(
    tokens: Tokens, weights: AddonMap | None, slots: Sequence[Slot] | None
) -> Float[np.ndarray, "batch dim"]:
    return float64(tokens.cls) if weights is None else enhanced_cls(tokens, weights, slots)
