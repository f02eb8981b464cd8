"""What a score is measured against: a text, another image, one channel, or the add-on's own shift."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import finite_vectors, unit_rows_or_nan
from mswin_viz.analysis.fusion import FusionWeights, Slot, enhanced_cls
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["TARGETS", "Prompts", "directions", "encoded_prompts", "prompt_cosines"]

TARGETS = ("text", "image", "shift", "channel", "own")
"""The first prompt; the second image's enhanced CLS; enhanced minus plain CLS; one channel; the own plain CLS."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts that could be encoded, and notes on the others.

    Attributes
    ----------
    texts
        In order.
    features
        Unit length, ``[P, D]`` float64.
    notes
        Prompts left out and why, and words that mean nothing to the text tower.
    """

    texts: tuple[str, ...]
    features: Float[np.ndarray, "prompt dim"]
    notes: tuple[str, ...]


def encoded_prompts(model: Model, lines: Sequence[str]) -> Prompts:
    """Text features of prompts, one by one, so that one bad line does not take the others with it."""
    texts, features, notes = [], [], []
    for line in lines:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # said in the notes instead
                feature = model.encode_text(line)[0].double().cpu().numpy()
        except MswinVizError as problem:
            notes.append(str(problem))
            continue
        texts.append(line.strip())
        features.append(feature / np.linalg.norm(feature))
        if unknown := model.unknown_words(line):
            notes.append(
                f"The text tower never saw: {', '.join(unknown)}. They carry no meaning in the score."
            )
    return Prompts(tuple(texts), np.reshape(features, (-1, model.dim)), tuple(notes))


def directions(
    kind: str,
    tokens: Tokens,
    weights: FusionWeights | None,
    *,
    slots: Sequence[Slot] | None = None,
    second: Tokens | None = None,
    given: Float[np.ndarray, " dim"] | int | None = None,
) -> Float[np.ndarray, "batch dim"]:
    """Unit directions, one for each image.

    Parameters
    ----------
    kind
        One of ``TARGETS``, or ``"pair"``: of two images, each one's direction is the other's enhanced CLS.
    tokens, weights, slots
        The images and the fusion; ``weights`` None for plain CLIP.
    second
        The image of ``"image"``.
    given
        The text feature of ``"text"``, the channel of ``"channel"``.

    Raises
    ------
    OptionError
        If the target does not exist or has no direction.
    ShapeError
        If its direction is not finite.
    """
    shape = tuple(tokens.cls.shape)
    if kind == "text":
        found = np.broadcast_to(given, shape)
    elif kind == "channel":
        found = np.zeros(shape)
        found[:, given] = 1
    elif kind == "image":
        found = np.broadcast_to(_enhanced(second, weights, slots), shape)
    elif kind == "shift":
        found = _enhanced(tokens, weights, slots) - _cls(tokens)
    elif kind == "pair":
        found = _enhanced(tokens, weights, slots)[::-1]
    elif kind == "own":
        found = _cls(tokens)
    else:
        raise OptionError(f"a target is one of {', '.join((*TARGETS, 'pair'))}: got {kind!r}")
    found = finite_vectors(found, f"the direction of {kind!r}")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise OptionError(
            f"a target needs a direction: got {kind!r} of length 0 (an add-on that shifts nothing has no shift "
            "to look along); choose another target"
        )
    return found / lengths


def prompt_cosines(
    features: Float[np.ndarray, "prompt dim"], images: Float[np.ndarray, "batch dim"]
) -> Float[np.ndarray, "prompt batch"]:
    """Cosine of each prompt with each image's feature."""
    return features @ unit_rows_or_nan(images).T


def _enhanced(
    tokens: Tokens, weights: FusionWeights | None, slots: Sequence[Slot] | None
) -> Float[np.ndarray, "batch dim"]:
    return _cls(tokens) if weights is None else enhanced_cls(tokens, weights, slots)


def _cls(tokens: Tokens) -> Float[np.ndarray, "batch dim"]:
    return tokens.cls.detach().double().cpu().numpy()
