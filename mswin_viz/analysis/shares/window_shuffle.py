"""The order of windows carries no weight: shuffle them and measure what moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.shares.addon_map import AddonMap, checked_map
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ScaleError
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Shuffle:
    """What a shuffle of whole runs of tokens does to a fusion.

    Attributes
    ----------
    order, tokens
        Which token comes to each place, ``[N]``, and the images' tokens in that order; the CLS stays.
    pooled_change, enhanced_change
        How far each slot's pooled vector, ``[B, n_slots]``, and the enhanced CLS, ``[B]``, move as a fraction of their
        norms; 0 for a slot that is off.
    """

    order: Int[np.ndarray, " token"]
    tokens: Tokens
    pooled_change: Float[np.ndarray, "batch slot"]
    enhanced_change: Float[np.ndarray, " batch"]


def shuffled_order(n_tokens: int, run: int, *, seed: int = 0) -> Int[np.ndarray, " token"]:
    """Whole runs of ``run`` tokens in another order, none of them where it was; the tail stays where it is."""
    n_runs = n_tokens // run if isinstance(run, Integral) and run >= 1 else 0
    if n_runs < 2:
        raise ScaleError(
            f"a shuffle needs at least two runs in {counted(n_tokens, 'tokens')}: got runs of {run!r:.80}; use shorter runs"
        )
    rng = np.random.default_rng(seed)
    cycle = rng.permutation(n_runs)  # each run goes where the next of this cycle was: nothing stays
    places = np.empty(n_runs, np.int64)
    places[cycle] = np.roll(cycle, 1)
    runs = np.arange(n_runs * run).reshape(n_runs, run)[places]
    return np.concatenate([runs.ravel(), np.arange(n_runs * run, n_tokens)])


def shuffle_windows(
    tokens: Tokens,
    weights: AddonMap | None,
    run: int,
    *,
    slots: Sequence[Slot] | None = None,
    seed: int = 0,
) -> Shuffle:
    """Shuffle whole runs of patch tokens and measure what moves: windows that stay whole leave their pooled vector as it is.

    Parameters
    ----------
    tokens
        Of a batch of images.
    weights
        From :func:`fusion_weights`; None for plain CLIP, where nothing but the tokens moves.
    run
        Tokens that stay together, 1 up to half of all.
    slots
        What stands in each place of the fusion; the trained windows if None.
    seed
        Of the order; no run stays where it was.

    Returns
    -------
    shuffle
        ``order [N]``, the shuffled ``tokens``, ``pooled_change [B, n_slots]`` and ``enhanced_change [B]``: how far vectors
        moved, as a fraction of their norm.

    Raises
    ------
    ScaleError
        If there are fewer than two runs.

    Examples
    --------
    >>> weights = mv.fusion_weights(model.addon)
    >>> shuffle = mv.shuffle_windows(tokens, weights, run=8)
    >>> for scale, change in zip(weights.scales, shuffle.pooled_change.max(axis=0)):
    ...     print(scale, "moves" if change > 1e-6 else "stays")
    4 stays
    8 stays
    16 moves
    """
    are_tokens(tokens)
    order = shuffled_order(tokens.patches.shape[1], run, seed=seed)
    moved = replace(tokens, patches=tokens.patches[:, order.tolist()])
    if weights is None:
        return Shuffle(order, moved, np.zeros((len(tokens), 0)), np.zeros(len(tokens)))
    weights = checked_map(weights)
    before, after = (weights.run(t, slots) for t in (tokens, moved))
    changes = [_moved(old, new) for old, new in zip(before.pooled, after.pooled, strict=True)]
    pooled = np.stack(changes, axis=1) if changes else np.zeros((len(tokens), 0))
    return Shuffle(order, moved, pooled, _moved(before.enhanced, after.enhanced))


def common_run(scales: Sequence[int]) -> int:
    """The shortest run that holds whole windows of every scale: shuffling such runs moves no slot."""
    return math.lcm(*scales)


def _moved(
    before: Float[np.ndarray, "batch dim"], after: Float[np.ndarray, "batch dim"]
) -> Float[np.ndarray, " batch"]:
    length = np.linalg.norm(before, axis=1)
    distance = np.linalg.norm(after - before, axis=1)
    return np.divide(distance, length, out=np.zeros_like(distance), where=length > 0)
