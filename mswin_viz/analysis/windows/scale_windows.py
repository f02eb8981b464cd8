"""The windows of many scales at once: what each token answers to each tap of a kernel, mixed by the scales."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.windows.activations import resampling_matrix

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["mean_windows", "mixed_windows", "split_by_scale"]

_BLOCK = 32  # tokens whose windows are mixed at a time: most windows lie outside of any


class _Block(NamedTuple):
    """Tokens from ``first`` to ``last``, the windows that see any of them, and how much of each tap's answer they get."""

    first: int
    last: int
    windows: Int[np.ndarray, " window"]
    weights: Float[np.ndarray, "window tap_and_token"]


def mixed_windows(
    tokens: Float[np.ndarray, "batch token dim_in"],
    taps: Float[np.ndarray, "tap dim_in dim_out"],
    scales: tuple[int, ...],
) -> Float[np.ndarray, "batch window dim_out"]:
    """The convolution's outputs, its bias apart, at every window of every scale, one scale behind the other; float32.

    ``taps`` is a trained kernel, tap by tap; it is resampled to each scale. Windows stand end to end.
    """
    n_images, n_tokens, width = tokens.shape
    n_taps, _, wide = taps.shape
    answers = (tokens.reshape(1, -1, width) @ taps).reshape(n_taps, n_images, n_tokens, wide)
    mixed = np.zeros((n_images, sum(n_tokens // scale for scale in scales), wide), np.float32)
    for block in _blocks(n_taps, scales, n_tokens):
        seen = answers[:, :, block.first : block.last].swapaxes(0, 1).reshape(n_images, -1, wide)
        mixed[:, block.windows] += block.weights @ seen
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
    values: Float[np.ndarray, "batch window"], scales: tuple[int, ...], n_tokens: int
) -> list[Float[np.ndarray, "batch window"]]:
    """The windows of each scale, from those that stand one scale behind the other."""
    return np.split(values, np.cumsum([n_tokens // scale for scale in scales])[:-1], axis=1)


@lru_cache(maxsize=8)
def _blocks(n_taps: int, scales: tuple[int, ...], n_tokens: int) -> tuple[_Block, ...]:
    rows = []
    for scale in scales:
        kernel = resampling_matrix(n_taps, scale)
        for first in range(0, n_tokens - scale + 1, scale):
            row = np.zeros((n_taps, n_tokens), np.float32)
            row[:, first : first + scale] = kernel
            rows.append(row)
    every, blocks = np.stack(rows), []
    for first in range(0, n_tokens, _BLOCK):
        own = every[:, :, first : first + _BLOCK]
        windows = np.flatnonzero(own.any(axis=(1, 2)))
        weights = np.ascontiguousarray(own[windows].reshape(len(windows), -1))
        blocks.append(_Block(first, min(first + _BLOCK, n_tokens), windows, weights))
    return tuple(blocks)
