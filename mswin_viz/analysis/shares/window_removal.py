"""What a score becomes when a window is taken away.

Of a cosine the norm is computed again, and that is most of why a removal differs from a share: without the window the
enhanced CLS is shorter, which raises every other part's share. Gates that flip add little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.shares.addon_map import AddonMap, AddonState, Without, checked_map
from mswin_viz.analysis.shares.decomposition import direction_of_each
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class WindowRemoval:
    """Scores without one window, for each image ``[B]``, or without each window in turn ``[B, n_windows]``.

    Attributes
    ----------
    score, change
        ``v . enhanced`` without the window, and that minus the score with it.
    cosine, cosine_change
        The same for the cosine with ``v``, norms recomputed; NaN where a vector is zero.
    norm
        Norm of the enhanced CLS without the window.
    flipped
        How many ReLU gates open or close. Where none does, ``change`` is minus the window's share, and only the norm makes
        ``cosine_change`` another number; a mixture of experts has no such gates, and everything in it is computed again.

    Examples
    --------
    >>> green = model.encode_text("a person in green trousers")[0]
    >>> removed = mv.remove_each_window(tokens, mv.fusion_weights(model.addon), green, slot_index=1)
    >>> removed.cosine_change.shape, removed.flipped.shape
    ((4, 16), (4, 16))
    >>> bool((removed.cosine_change[0] > 0).all())  # without any one row of patches it is higher
    True
    """

    score: Float[np.ndarray, "batch ..."]
    change: Float[np.ndarray, "batch ..."]
    cosine: Float[np.ndarray, "batch ..."]
    cosine_change: Float[np.ndarray, "batch ..."]
    norm: Float[np.ndarray, "batch ..."]
    flipped: Int[np.ndarray, "batch ..."]


def remove_each_window(
    tokens: Tokens,
    weights: AddonMap,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    slot_index: int,
    *,
    slots: Sequence[Slot] | None = None,
) -> WindowRemoval:
    """Take each window of a slot away in turn, ``[B, n_windows]``: its own term becomes zero, number and biases stay.

    Parameters
    ----------
    tokens, direction
        As in :func:`decompose`.
    weights
        From :func:`fusion_weights`.
    slot_index
        Which slot of the fusion, from 0 in the order of the scales; 0 for a module that is not made of windows.
    slots
        What stands in each place of the fusion; the trained windows if None.

    Returns
    -------
    removed
        Scores, cosines and norms without each window, ``[B, n_windows]``.

    Raises
    ------
    OptionError
        If there is no such slot, or it is off.
    ShapeError
        If the direction does not fit the tokens, or is not finite.

    Examples
    --------
    >>> weights = mv.fusion_weights(model.addon)
    >>> removed = mv.remove_each_window(tokens, weights, text, weights.scales.index(16))
    >>> removed.score.shape, removed.change.shape
    ((4, 8), (4, 8))
    >>> shares = mv.decompose(tokens, model.addon, text).windows[16]
    >>> same = removed.flipped == 0  # no gate switches: the score falls by the share
    >>> bool(np.allclose(removed.change[same], -shares[same]))
    True
    """
    tokens, weights = checked_tokens(tokens), checked_map(weights)
    state = weights.run(tokens, slots)
    _check_windows(state, weights, slot_index)
    v = direction_of_each(direction, tokens, weights)
    return removed(state, state.without((slot_index,), slice(None)), v)


def cosines(
    enhanced: Float[np.ndarray, "batch window dim"], v: Float[np.ndarray, "batch dim"]
) -> Float[np.ndarray, "batch window"]:
    """Cosine of each of several enhanced CLS tokens of an image with its direction; NaN where a vector is zero."""
    return _scores(enhanced, v)[1]


def changes_without(
    state: AddonState, left: Without, v: Float[np.ndarray, "batch wide"]
) -> Float[np.ndarray, "batch window"]:
    """What the cosine changes by when each of several parts is taken away, norms recomputed."""
    return cosines(left.enhanced, v) - cosines(state.enhanced[:, None], v)


def removed(state: AddonState, left: Without, v: Float[np.ndarray, "batch wide"]) -> WindowRemoval:
    """What becomes of the scores along ``v`` when each of several parts is taken away."""
    score, cosine = _scores(left.enhanced, v)
    score_with, cosine_with = _scores(state.enhanced[:, None], v)
    return WindowRemoval(
        score=score,
        change=score - score_with,
        cosine=cosine,
        cosine_change=cosine - cosine_with,
        norm=np.linalg.norm(left.enhanced, axis=2),
        flipped=(left.gates != state.gates[:, None]).sum(axis=2),
    )


def _scores(
    enhanced: Float[np.ndarray, "batch window dim"], v: Float[np.ndarray, "batch dim"]
) -> tuple[Float[np.ndarray, "batch window"], Float[np.ndarray, "batch window"]]:
    """Score and cosine."""
    score = np.einsum("bmd,bd->bm", enhanced, v)
    norms = np.linalg.norm(enhanced, axis=2) * np.linalg.norm(v, axis=1)[:, None]
    return score, np.divide(score, norms, out=np.full_like(score, np.nan), where=norms > 0)


def _check_windows(state: AddonState, weights: AddonMap, index: int) -> None:
    n_slots = max(1, len(weights.scales))
    if not isinstance(index, Integral) or not 0 <= index < n_slots:
        raise OptionError(f"a slot of this fusion is {numbered(n_slots)}: got {index!r:.80}")
    if state.geometry(index) is None:
        raise OptionError(f"only a slot that is on has windows to take away: got slot {index}, which is off")
