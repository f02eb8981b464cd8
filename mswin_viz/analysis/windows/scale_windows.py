"""The windows of many scales at once: what each token answers to each tap of a kernel, mixed by the scales."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.windows.activations import resampling_matrix

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_GROUP = 16  # windows that are mixed at a time: neighbours of about one size see few answers between them


class _Mixture(NamedTuple):
    """Some windows, which of the kept answers they get, and how much of each."""

    windows: Int[np.ndarray, " window"]
    answers: Int[np.ndarray, " answer"]
    weights: Float[np.ndarray, "window answer"]


class _Plan(NamedTuple):
    """For each tap the tokens that some window sees through it, whose answers are kept tap by tap; and all windows."""

    seen: tuple[Int[np.ndarray, " token"], ...]
    mixtures: tuple[_Mixture, ...]


def mixed_windows(
    tokens: Float[np.ndarray, "batch token dim_in"],
    taps: Float[np.ndarray, "tap dim_in dim_out"],
    scales: tuple[int, ...],
) -> Float[np.ndarray, "batch window dim_out"]:
    """The convolution's outputs, its bias apart, at every window of every scale, one scale behind the other; float32.

    ``taps`` is a trained kernel, tap by tap; it is resampled to each scale. Windows stand end to end.
    """
    n_images, n_tokens, width = tokens.shape
    wide, plan = taps.shape[2], _plan(len(taps), scales, n_tokens)
    by_token = np.ascontiguousarray(tokens.swapaxes(0, 1))
    answers = np.empty((sum(map(len, plan.seen)), n_images, wide), np.float32)
    first = 0
    for tap, seen in zip(taps, plan.seen, strict=True):
        own = answers[first : first + len(seen)].reshape(-1, wide)
        np.matmul(by_token[seen].reshape(-1, width), tap, out=own)
        first += len(seen)
    mixed = np.empty((n_images, sum(n_tokens // scale for scale in scales), wide), np.float32)
    for some in plan.mixtures:
        mixed[:, some.windows] = some.weights @ answers[some.answers].swapaxes(0, 1)
    return mixed


def mean_windows(
    tokens: Float[np.ndarray, "batch token dim"], scales: tuple[int, ...]
) -> Float[np.ndarray, "batch window dim"]:
    """Plain means of every window of every scale, one scale behind the other; float32."""
    n_images, n_tokens, width = tokens.shape
    sums = np.zeros((n_images, n_tokens + 1, width))
    np.cumsum(tokens, axis=1, dtype=np.float64, out=sums[:, 1:])
    edges = [np.arange(n_tokens // scale + 1) * scale for scale in scales]
    first, last = (np.concatenate(ends) for ends in zip(*((e[:-1], e[1:]) for e in edges), strict=True))
    return ((sums[:, last] - sums[:, first]) / (last - first)[:, None]).astype(np.float32)


def split_by_scale(
    values: Float[np.ndarray, "batch window *wide"], scales: tuple[int, ...], n_tokens: int
) -> list[Float[np.ndarray, "batch window *wide"]]:
    """The windows of each scale, from those that stand one scale behind the other."""
    return np.split(values, np.cumsum([n_tokens // scale for scale in scales])[:-1], axis=1)


@lru_cache(maxsize=8)
def _plan(n_taps: int, scales: tuple[int, ...], n_tokens: int) -> _Plan:
    rows, order = [], []
    for scale in scales:
        kernel = resampling_matrix(n_taps, scale)
        for first in range(0, n_tokens - scale + 1, scale):
            row = np.zeros((n_taps, n_tokens), np.float32)
            row[:, first : first + scale] = kernel
            rows.append(row)
            order.append((scale.bit_length(), first, scale))
    every = np.stack(rows)
    is_seen = np.logical_or.reduce(every != 0)
    places = np.cumsum(is_seen).reshape(is_seen.shape) - 1
    ordered, mixtures = sorted(range(len(order)), key=order.__getitem__), []
    for first in range(0, len(ordered), _GROUP):
        windows = np.array(ordered[first : first + _GROUP])
        own = every[windows]
        is_used = own.any(axis=0)
        mixtures.append(_Mixture(windows, places[is_used], np.ascontiguousarray(own[:, is_used])))
    return _Plan(tuple(np.flatnonzero(is_seen[tap]) for tap in range(n_taps)), tuple(mixtures))
