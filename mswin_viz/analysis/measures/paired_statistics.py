"""What a paired difference is worth: bootstrap and sign flips over identities, not over images.

Images of one identity are not independent: a person who is easy to find is easy in every picture. So an
identity is drawn, or its sign flipped, as a whole.

Tests hold both against scipy.stats. `permutation_test` gives the same exact p, but needs ten to twenty times as long;
`bootstrap` draws anew for each measure, where a paired comparison needs one draw for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Num

EXACT_UP_TO = 14
"""Identities up to which all 2^n sign patterns are tried."""
_CHUNK = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class Interval:
    """A measure with the ends of its percentile bootstrap interval; NaN if there are fewer than two identities."""

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PairedTest:
    """A two-sided sign-flip test of ``difference``, a mean over queries.

    ``p`` is the chance of a difference at least as large in size, were the sign of each identity's difference
    arbitrary; NaN if no identity was measured. ``exact``: the ``patterns`` of signs looked at are all there are.
    """

    difference: float
    p: float
    patterns: int
    exact: bool


def bootstrap_means(
    sums: Float[np.ndarray, "identity column"], counts: Num[np.ndarray, " identity"], *, draws: int, seed: int
) -> Float[np.ndarray, "draw column"]:
    """Means over queries of identities drawn with replacement; the same draw for all columns (paired).

    Each identity has the sums over its queries, one for each measure, and the number of its queries.
    """
    rng, n = np.random.default_rng(seed), len(counts)
    means, step = [], max(1, _CHUNK // n)
    for start in range(0, draws, step):
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(step, draws - start))
        means.append((times @ sums) / (times @ counts)[:, None])
    return np.concatenate(means)


def interval(value: float, drawn: Float[np.ndarray, " draw"] | None, *, level: float = 0.95) -> Interval:
    """Percentile interval (Efron, 1979) of what was drawn; NaN ends if nothing was."""
    if drawn is None:
        return Interval(value, float("nan"), float("nan"), level)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def sign_flip(
    sums: Float[np.ndarray, " identity"], counts: Num[np.ndarray, " identity"], *, flips: int, seed: int
) -> PairedTest:
    """Sign-flip test of paired differences, whole identities at a time (Fisher, 1935).

    All patterns where there are at most 2^14, else so many random ones; the observed pattern counts as one of them,
    so that p is never 0 (Phipson and Smyth, 2010). Each identity has the sum over its queries of the differences, and
    the number of its queries.
    """
    n = len(sums)
    if n == 0:
        return PairedTest(float("nan"), float("nan"), 0, True)
    observed = abs(sums.sum())
    close = observed - 1e-12 * (np.abs(sums).sum() + 1e-300)  # what rounding alone makes smaller counts too
    difference = float(sums.sum() / counts.sum())
    if n <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return PairedTest(difference, float((np.abs(signs @ sums) >= close).mean()), 2**n, True)
    rng, larger, step = np.random.default_rng(seed), 1, max(1, _CHUNK // n)
    for start in range(0, flips, step):
        signs = 1 - 2 * rng.integers(0, 2, size=(min(step, flips - start), n), dtype=np.int8)
        larger += int((np.abs(signs @ sums) >= close).sum())
    return PairedTest(difference, larger / (flips + 1), flips + 1, False)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p after Holm's step-down correction (Holm, 1979), for the family of all that are given; NaN, no test, stays."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")  # NaN last
    factors = np.maximum(np.isfinite(p).sum() - np.arange(len(p)), 1)
    stepped: Float[np.ndarray, " test"] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return adjusted.tolist()
