"""Many windowings of one slot at once: the shares, pushes and removals of all their windows, each in its own fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.shares.fusion import FusionState
from mswin_viz.analysis.shares.fusion_layers import Fused
from mswin_viz.analysis.shares.net_push import cosine_gradient
from mswin_viz.analysis.shares.window_removal import cosines
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class SlotBatch:
    """What one slot hands to the fusion under each of several windowings, and each window's part of it.

    Attributes
    ----------
    index
        The slot.
    fused
        The fusion with each windowing, ``[B, S, ...]``: :func:`fused_with`.
    terms
        Each window's part of its windowing's vector, ``[B, W, D]``: its convolution without the bias, over the number of
        windows (for shares and pushes of what is linear in the patch tokens, where the windows read projected ones). The
        windows of all windowings stand one behind the other.
    windowing
        Which windowing each window belongs to, ``[W]``.
    """

    index: int
    fused: Fused
    terms: Float[np.ndarray, "batch window wide"]
    windowing: Int[np.ndarray, " window"]


def fused_with(state: FusionState, index: int, pooled: Float[np.ndarray, "batch windowing wide"]) -> Fused:
    """The fusion with each of several vectors from one slot in turn, biases included; the other slots as they are."""
    before = state.fused.pooled[index][:, None]
    return state.weights.head.without(state.fused.spread(), {index: before - pooled})


def batch_values(
    state: FusionState, v: Float[np.ndarray, "batch dim"], batch: SlotBatch, value: str
) -> Float[np.ndarray, "batch window"]:
    """``"share"``, ``"push"`` or ``"removal"`` of every window, in units of the cosine with ``v``.

    Each windowing stands in its slot alone, the other slots as they are in ``state``. Raises OptionError if there is no such
    value.
    """
    if value not in ("share", "push", "removal"):
        raise OptionError(f"a value of many windows is one of share, push, removal: got {value!r}")
    head, fused = state.weights.head, batch.fused
    enhanced = state.cls[:, None] + state.gain * fused.shift
    if value == "removal":
        left = head.without(fused.spread(batch.windowing), {batch.index: batch.terms})
        after = cosines(state.cls[:, None] + state.gain * left.shift, v)
        return after - cosines(enhanced, v)[:, batch.windowing]
    if value == "push":
        along = cosine_gradient(enhanced, v[:, None])
    else:
        lengths = np.linalg.norm(enhanced, axis=2) * np.linalg.norm(v, axis=1)[:, None]
        along = np.divide(
            v[:, None], lengths[..., None], out=np.full_like(enhanced, np.nan), where=lengths[..., None] > 0
        )
    r = head.pulled_back_to(batch.index, along * state.gain, fused)
    return np.einsum("bwd,bwd->bw", batch.terms, r[:, batch.windowing])
