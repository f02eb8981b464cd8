"""One number for each window of each slot and for each patch token: what it does to a cosine, in one of three ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.shares.addon_map import AddonState
from mswin_viz.analysis.shares.decomposition import Decomposition, decomposed
from mswin_viz.analysis.shares.net_push import pushes_of, shares_of_norm
from mswin_viz.analysis.shares.window_removal import changes_without

if TYPE_CHECKING:
    from jaxtyping import Float

PART_VALUES = ("removal", "push", "share")
"""Change of the cosine when the part is removed; net push; share of the cosine."""


@dataclass(frozen=True, eq=False)
class PartValues:
    """Of the windows of each slot, ``[B, n_windows]``, None where it is off; of the patch tokens, ``[B, N]``, through all slots."""

    slots: tuple[Float[np.ndarray, "batch window"] | None, ...]
    tokens: Float[np.ndarray, "batch token"]


def part_values(
    state: AddonState, v: Float[np.ndarray, "batch wide"], value: str, cosine: Decomposition
) -> PartValues:
    """One of :data:`PART_VALUES` for every window and token; ``cosine`` has the shares of the same state and direction."""
    if value == "removal":
        slots = tuple(
            None if state.geometry(i) is None else changes_without(state, state.without_each((i,)), v)
            for i in range(len(cosine.slots))
        )
        return PartValues(slots, changes_without(state, state.without_each_token(), v))
    parts = _parts(state, value, cosine)
    none = np.zeros((len(v), state.n_tokens))
    tokens = sum((s.tokens for s in parts.slots if s is not None), start=none)
    return PartValues(tuple(s and s.windows for s in parts.slots), tokens)


def window_values(
    state: AddonState, v: Float[np.ndarray, "batch wide"], value: str, slots: Sequence[int]
) -> Float[np.ndarray, "batch window"]:
    """The same for the windows of one slot, or of several whose windows are the same, taken together."""
    if value == "removal":
        return changes_without(state, state.without_each(slots), v)
    parts = _parts(state, value, decomposed(state, v).cosine())
    return np.sum([parts.slot(i).windows for i in slots], axis=0)


def _parts(state: AddonState, value: str, cosine: Decomposition) -> Decomposition:
    return cosine if value == "share" else pushes_of(cosine, shares_of_norm(state))
