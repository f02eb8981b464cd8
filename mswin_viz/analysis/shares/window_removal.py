"""What a score becomes when a window is taken away: ReLU gates may flip, so this is not the window's share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.shares.decomposition import direction_of_each
from mswin_viz.analysis.shares.fusion import FusionState, SlotWindows, fusion_state
from mswin_viz.analysis.shares.fusion_weights import FusionWeights, Slot
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["WindowRemoval", "remove_each_window", "remove_window"]


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
        How many ReLU gates open or close. Where none does, ``change`` is minus the window's share; a mixture of
        experts has no such gates, and everything in it is computed again.
    """

    score: Float[np.ndarray, "batch ..."]
    change: Float[np.ndarray, "batch ..."]
    cosine: Float[np.ndarray, "batch ..."]
    cosine_change: Float[np.ndarray, "batch ..."]
    norm: Float[np.ndarray, "batch ..."]
    flipped: Int[np.ndarray, "batch ..."]


def remove_window(
    tokens: Tokens,
    weights: FusionWeights,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    slot_index: int,
    window: int,
    *,
    slots: Sequence[Slot] | None = None,
) -> WindowRemoval:
    """Take one window away: its own term becomes zero, the number of windows and the biases stay.

    Gives one number for each image, ``[B]``. Tokens, weights, direction and slots as in
    :func:`mswin_viz.analysis.shares.decomposition.decompose_fusion`. Raises OptionError if there is no such slot or
    window, or the slot is off.
    """
    state = fusion_state(tokens, weights, slots=slots)
    view = _slot_with_windows(state, slot_index)
    if not 0 <= window < view.geometry.n_windows:
        raise OptionError(
            f"a window of slot {slot_index} is one of 0..{view.geometry.n_windows - 1}: got {window}"
        )
    removal = _without(state, weights, direction_of_each(direction, tokens), view, int(window))
    return WindowRemoval(**{name: values[:, 0] for name, values in vars(removal).items()})


def remove_each_window(
    tokens: Tokens,
    weights: FusionWeights,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    slot_index: int,
    *,
    slots: Sequence[Slot] | None = None,
) -> WindowRemoval:
    """:func:`remove_window` for each window of a slot in turn, ``[B, n_windows]``."""
    state = fusion_state(tokens, weights, slots=slots)
    view = _slot_with_windows(state, slot_index)
    return _without(state, weights, direction_of_each(direction, tokens), view, slice(None))


def _without(
    state: FusionState,
    weights: FusionWeights,
    v: Float[np.ndarray, "batch dim"],
    view: SlotWindows,
    window: int | slice,
) -> WindowRemoval:
    terms = view.terms(weights, window) / view.geometry.n_windows  # [B, m, D]
    without = weights.head.without(state.fused, view.index, terms)
    enhanced = state.cls[:, None] + state.gain * without.shift
    score, cosine = _scores(enhanced, v)
    score_with, cosine_with = _scores(state.enhanced[:, None], v)
    return WindowRemoval(
        score=score,
        change=score - score_with,
        cosine=cosine,
        cosine_change=cosine - cosine_with,
        norm=np.linalg.norm(enhanced, axis=2),
        flipped=(without.gates != state.fused.gates[:, None]).sum(axis=2),
    )


def _scores(
    enhanced: Float[np.ndarray, "batch window dim"], v: Float[np.ndarray, "batch dim"]
) -> tuple[Float[np.ndarray, "batch window"], Float[np.ndarray, "batch window"]]:
    """Score and cosine."""
    score = np.einsum("bmd,bd->bm", enhanced, v)
    norms = np.linalg.norm(enhanced, axis=2) * np.linalg.norm(v, axis=1)[:, None]
    return score, np.divide(score, norms, out=np.full_like(score, np.nan), where=norms > 0)


def _slot_with_windows(state: FusionState, index: int) -> SlotWindows:
    if not 0 <= index < len(state.slots):
        raise OptionError(f"a slot of this fusion is one of 0..{len(state.slots) - 1}: got {index}")
    view = state.slots[index]
    if view is None:
        raise OptionError(f"only a slot that is on has windows to take away: got slot {index}, which is off")
    return view
