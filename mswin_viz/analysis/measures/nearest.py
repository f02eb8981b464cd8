"""Nearest rows and ranks of rows, exact, a block of rows at a time: memory stays bounded.

scikit-learn computes the distances; the selection is ours, because equal distances come in the order of the rows
whatever the number of threads, and neighbours and ranks come from the same block, never from all pairs at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_PAIRS = 4_000_000  # distances held at once


def nearest(points: Float[np.ndarray, "row dim"], k: int) -> Int[np.ndarray, "row k"]:
    """Indices of the ``k`` nearest other rows of each row, nearest first (Euclidean)."""
    return nearest_with_distances(points, k)[0]


def nearest_with_distances(
    points: Float[np.ndarray, "row dim"], k: int
) -> tuple[Int[np.ndarray, "row k"], Float[np.ndarray, "row k"]]:
    """The ``k`` nearest other rows of each row, nearest first, and their squared distances."""
    return _joined([_smallest(block, k) for _, block in _blocks_to_others(points)])


def nearest_of_new(
    new: Float[np.ndarray, "new dim"], points: Float[np.ndarray, "row dim"], k: int
) -> tuple[Int[np.ndarray, "new k"], Float[np.ndarray, "new k"]]:
    """The ``k`` nearest rows of ``points`` to each new row, nearest first, and their squared distances."""
    return _joined([_smallest(block, k) for block in _blocks(new, points)])


def ranks_of(
    points: Float[np.ndarray, "row dim"], others: Int[np.ndarray, "row k"]
) -> Int[np.ndarray, "row k"]:
    """Rank, from 1, of the given others of each row among all others by distance; equal distances share the best."""
    return np.concatenate(
        [_ranks(block, others[start : start + len(block)]) for start, block in _blocks_to_others(points)]
    )


def nearest_and_ranks(
    points: Float[np.ndarray, "row dim"], k: int, others: Int[np.ndarray, "row k"]
) -> tuple[Int[np.ndarray, "row k"], Int[np.ndarray, "row k"]]:
    """`nearest` and `ranks_of` from distances that are computed once."""
    parts = []
    for start, block in _blocks_to_others(points):
        near, _ = _smallest(block, k)
        parts.append((near, _ranks(block, others[start : start + len(block)])))
    return _joined(parts)


def _blocks(rows: np.ndarray, points: np.ndarray) -> Iterator[np.ndarray]:
    """Squared Euclidean distances of some rows after others to all points."""
    return pairwise_distances_chunked(
        rows,
        points,
        metric="euclidean",
        squared=True,
        n_jobs=1,
        working_memory=max(_PAIRS, len(points)) * 8 / 2**20,
    )


def _blocks_to_others(points: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """First row of each block, and its squared distances to all rows, infinite to themselves."""
    start = 0
    for block in _blocks(points, points):
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        yield start, block
        start += len(block)


def _ranks(block: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Ranks of the given columns in each row; the block is sorted in place."""
    values = np.take_along_axis(block, others, axis=1)
    block.sort(axis=1)
    pairs = zip(block, values, strict=True)
    return np.stack([np.searchsorted(ordered, wanted) + 1 for ordered, wanted in pairs])


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _smallest(distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the ``k`` smallest of each row, in order (equal ones by column), and their values."""
    if k < distances.shape[1]:
        columns = np.sort(np.argpartition(distances, k - 1, axis=1)[:, :k], axis=1)
    else:
        columns = np.broadcast_to(np.arange(distances.shape[1]), distances.shape)
    values = np.take_along_axis(distances, columns, axis=1)
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
