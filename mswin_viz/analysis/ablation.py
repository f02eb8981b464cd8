"""What a score becomes when a window is taken away: gates may flip, so this is not the window's share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.decomposition import direction_of_each
from mswin_viz.analysis.fusion import FusionWeights, Slot, fusion_state
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Ablation", "ablate_window", "ablations"]


@dataclass(frozen=True, eq=False)
class Ablation:
    """Scores without one window, for each image ``[B]``, or without each window in turn ``[B, n_windows]``.

    Attributes
    ----------
    score, change
        ``v . enhanced`` without the window, and that minus the score with it.
    cosine, cosine_change
        The same for the cosine with ``v``, norms recomputed; NaN where a vector is zero.
    norm
        Length of the enhanced CLS without the window.
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


def ablate_window(
    tokens: Tokens,
    weights: FusionWeights,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    slot_index: int,
    window: int,
    *,
    slots: Sequence[Slot] | None = None,
) -> Ablation:
    """Take one window away: its own term becomes zero, the number of windows and the biases stay.

    Parameters
    ----------
    tokens, weights, direction, slots
        As in :func:`mswin_viz.analysis.decomposition.decompose_fusion`.
    slot_index, window
        Which slot of the fusion, and which of its windows.

    Returns
    -------
    ablation
        One number for each image, ``[B]``.

    Raises
    ------
    OptionError
        If there is no such slot or window, or the slot is off.
    """
    each = _without(tokens, weights, direction, (slot_index, window), slots)
    return Ablation(*(getattr(each, name)[:, 0] for name in Ablation.__dataclass_fields__))


def ablations(
    tokens: Tokens,
    weights: FusionWeights,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    slot_index: int,
    *,
    slots: Sequence[Slot] | None = None,
) -> Ablation:
    """:func:`ablate_window` for each window of a slot in turn, ``[B, n_windows]``."""
    return _without(tokens, weights, direction, (slot_index, None), slots)


def _without(
    tokens: Tokens,
    weights: FusionWeights,
    direction: np.ndarray | torch.Tensor,
    place: tuple[int, int | None],
    slots: Sequence[Slot] | None,
) -> Ablation:
    v = direction_of_each(direction, tokens)
    state = fusion_state(tokens, weights, slots=slots)
    index, window = place
    n_windows = _checked_windows(state.slots, index, window)
    terms = state.slots[index].terms(weights, slice(None) if window is None else int(window))  # [B, m, D]
    shift, gates = weights.head.without(state.fused, index, terms / n_windows)
    enhanced = state.cls[:, None] + state.gain * shift
    score, norm, cosine = _measures(enhanced, v)
    before, _, cosine_before = _measures(state.enhanced[:, None], v)
    flipped = (gates != state.gates[:, None]).sum(axis=2)
    return Ablation(score, score - before, cosine, cosine - cosine_before, norm, flipped)


def _measures(
    enhanced: Float[np.ndarray, "batch window dim"], v: Float[np.ndarray, "batch dim"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, norm and cosine, ``[B, m]`` each."""
    score, norm = np.einsum("bmd,bd->bm", enhanced, v), np.linalg.norm(enhanced, axis=2)
    lengths = norm * np.linalg.norm(v, axis=1)[:, None]
    return score, norm, np.divide(score, lengths, out=np.full_like(score, np.nan), where=lengths > 0)


def _checked_windows(slots: Sequence, index: int, window: int | None) -> int:
    if not 0 <= index < len(slots):
        raise OptionError(f"a slot of this fusion is one of 0..{len(slots) - 1}: got {index}")
    if slots[index].origin == "off":
        raise OptionError(f"only a slot that is on has windows to take away: got slot {index}, which is off")
    n_windows = slots[index].tokens.shape[1]
    if window is not None and not 0 <= window < n_windows:
        raise OptionError(f"a window of slot {index} is one of 0..{n_windows - 1}: got {window}")
    return n_windows
