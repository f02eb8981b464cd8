"""k-reciprocal re-ranking (Zhong et al., 2017): lists ranked again by how much two images' neighbourhoods overlap.

The encodings are sparse and the distances are computed a block of rows at a time, so that no matrix of all pairs is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array

from mswin_viz.analysis.arrays import chosen_rows, real_numbers
from mswin_viz.analysis.measures.ranking import DIGITS, check_metric, compared_rows
from mswin_viz.analysis.measures.reranking_record import Reranking, check_reranking
from mswin_viz.data.progress import Stop
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from numpy.typing import ArrayLike

_CHUNK = 2_000_000  # distances held at once


class _Members(NamedTuple):
    """Query and gallery images together, each once: queries first, then the rest of the gallery."""

    features: Float[np.ndarray, "member dim"]
    query: Int[np.ndarray, " query"]
    gallery: Int[np.ndarray, " gallery"]
    is_unit: bool

    def distances(self, rows: Any, others: Any) -> Float[np.ndarray, "row other"]:
        """Squared Euclidean distances between some members and others."""
        a, b = self.features[rows], self.features[others]
        products = a @ b.T
        products *= -2
        if self.is_unit:
            products += 2
        else:
            products += np.einsum("ij,ij->i", a, a)[:, None]
            products += np.einsum("ij,ij->i", b, b)
        return np.maximum(products, 0, out=products)


def reranked_blocks(
    features: Float[np.ndarray, "image dim"],
    query: Int[np.ndarray, " query"],
    gallery: Int[np.ndarray, " gallery"],
    reranking: Reranking,
    *,
    metric: str,
    step: int,
) -> Iterator[Float[np.ndarray, "block gallery"]]:
    """Minus the final distances of ``step`` queries after others to the whole gallery.

    Features are as `ranking.compared_rows` gives them for the metric. Raises OptionError if there are fewer images
    than neighbours.
    """
    members = _members(features, query, gallery, metric)
    near, largest = _nearest_members(members, reranking)
    codes = _encodings(members, near, largest, reranking)
    by_neighbour = csc_array(codes[members.gallery])
    weight = float(reranking.lambda_value)
    for start in range(0, len(query), step):
        block = members.query[start : start + step]
        result = np.stack([_jaccard_distances(codes, row, by_neighbour, len(gallery)) for row in block])
        result *= weight - 1
        if weight > 0:
            original = members.distances(block, members.gallery)
            original /= largest[block][:, None]
            original *= weight
            result -= original
        yield result


def _members(
    features: Float[np.ndarray, "image dim"],
    query: Int[np.ndarray, " query"],
    gallery: Int[np.ndarray, " gallery"],
    metric: str,
) -> _Members:
    both = np.concatenate([query, gallery])
    _, first, places = np.unique(both, return_index=True, return_inverse=True)
    order = np.argsort(first)  # of the images, by where each first occurs
    rank = np.argsort(order)
    rows, places = both[np.sort(first)], rank[places]
    whole = np.array_equal(rows, np.arange(len(features)))
    chosen = features if whole else features[rows]
    if (
        metric != "cosine"
    ):  # a power of two: exact, and DIGITS decimals stay above the rounding of the products
        size = float(np.median(np.einsum("ij,ij->i", chosen, chosen)))
        chosen = chosen / np.exp2(np.round(np.log2(size) / 2)) if size > 0 else chosen
    return _Members(chosen, places[: len(query)], places[len(query) :], metric == "cosine")


def _nearest_members(
    members: _Members, reranking: Reranking
) -> tuple[Int[np.ndarray, "member near"], Float[np.ndarray, " member"]]:
    """Nearest members of each, itself among them, equal ones in order; and its largest distance, 1 if that is 0."""
    n = len(members.features)
    k = max(reranking.k1 + 1, reranking.k2)
    if k > n:
        raise OptionError(
            f"re-ranking needs more than k1 images, and at least k2, in query and gallery together: got k1={reranking.k1} "
            f"and k2={reranking.k2} for {n}; use smaller ones, such as mv.Reranking(k1={max(1, n // 4)}, k2={min(2, n)})"
        )
    near, largest = np.empty((n, k), np.int64), np.empty(n)
    step = max(1, _CHUNK // n)
    for start in range(0, n, step):
        distances = members.distances(slice(start, start + step), slice(None))
        largest[start : start + step] = distances.max(axis=1)
        np.round(distances, DIGITS, out=distances)
        limits = np.partition(distances, k - 1, axis=1)[:, k - 1]
        for row, (values, limit) in enumerate(zip(distances, limits, strict=True), start):
            places = np.flatnonzero(values <= limit)
            near[row] = places[np.argsort(values[places], kind="stable")[:k]]
    return near, np.where(largest > 0, largest, 1)


def _encodings(
    members: _Members,
    near: Int[np.ndarray, "member near"],
    largest: Float[np.ndarray, " member"],
    reranking: Reranking,
) -> csr_array:
    """Each member's weights over its expanded k-reciprocal neighbours, averaged over its nearest; rows add up to 1."""
    n, k1, k2 = len(near), reranking.k1, reranking.k2
    sets = _expanded(_reciprocal(near[:, : k1 + 1]), _reciprocal(near[:, : round(k1 / 2) + 1]))
    weights = np.empty(sets.nnz)
    for row in range(n):
        part = slice(sets.indptr[row], sets.indptr[row + 1])
        distances = members.distances(slice(row, row + 1), sets.indices[part])[0]
        each = np.exp(-distances / largest[row])
        weights[part] = each / each.sum() if len(each) else each
    codes = csr_array((weights, sets.indices, sets.indptr), shape=(n, n))
    return codes if k2 == 1 else csr_array(_members_of(near[:, :k2], np.full((n, k2), 1 / k2)) @ codes)


def _reciprocal(near: Int[np.ndarray, "member near"]) -> csr_array:
    """1 where two members are each among the nearest of the other."""
    step = max(1, _CHUNK // near.shape[1] ** 2)
    mutual = [
        (
            near[near[start : start + step]] == np.arange(start, min(start + step, len(near)))[:, None, None]
        ).any(axis=2)
        for start in range(0, len(near), step)
    ]
    return _members_of(near, np.concatenate(mutual).astype(np.int32))


def _expanded(sets: csr_array, halves: csr_array) -> csr_array:
    """The sets, with each half set of one of their members more than two thirds of which they hold."""
    shared = csr_array(csr_array(sets @ halves.T).multiply(sets)).tocoo()
    sizes = np.asarray(halves.sum(axis=1)).ravel()
    joins = 3 * shared.data > 2 * sizes[shared.col]
    chosen = csr_array(
        (np.ones(joins.sum(), np.int32), (shared.row[joins], shared.col[joins])), shape=sets.shape
    )
    found = csr_array(sets + chosen @ halves)
    found.sort_indices()
    return found


def _members_of(near: Int[np.ndarray, "member near"], values: np.ndarray) -> csr_array:
    """A sparse matrix with those values, without the zeros, in the columns of each row's nearest."""
    n, k = near.shape
    indices = near.flatten()  # a copy, which loses the zeros in place
    result = csr_array((values.flatten(), indices, np.arange(0, n * k + 1, k)), shape=(n, n))
    result.eliminate_zeros()
    return result


def _jaccard_distances(
    codes: csr_array, row: int, by_neighbour: csc_array, n_gallery: int
) -> Float[np.ndarray, " gallery"]:
    """Of one member to the gallery, whose encodings are stored by neighbour: 1 - sum of minima / sum of maxima."""
    part = slice(codes.indptr[row], codes.indptr[row + 1])
    columns, own = codes.indices[part], codes.data[part]
    starts = by_neighbour.indptr[columns].astype(np.int64)
    counts = by_neighbour.indptr[columns + 1] - starts
    ends = np.cumsum(counts)
    at = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
    smaller = np.minimum(np.repeat(own, counts), by_neighbour.data[at])
    shared = np.bincount(by_neighbour.indices[at], weights=smaller, minlength=n_gallery)
    return 1 - shared / (2 - shared)


def rerank(
    features: Float[np.ndarray, "image dim"],
    reranking: Reranking | None = None,
    *,
    query: ArrayLike | None = None,
    gallery: ArrayLike | None = None,
    metric: str = "cosine",
    stop: Stop | None = None,
) -> Float[np.ndarray, "query gallery"]:
    """The final distances of k-reciprocal re-ranking (Zhong et al., 2017), from each query to each gallery image.

    :func:`retrieval` and :func:`compare` re-rank with ``reranking=`` and keep no such matrix. No rule is applied here: an image
    of the query's own camera has its distance like any other. Query and gallery together are the images among which
    neighbours are looked for, each once, so an image that is in both has itself as its nearest.

    Parameters
    ----------
    features
        One row for each image, raw.
    reranking
        Parameters; those of the paper if None.
    query, gallery
        Their indices, or a boolean for each image; all if None.
    metric
        ``"cosine"``, or ``"euclidean"``: distance of the features as they are.
    stop
        Called before each block of queries; True ends the work.

    Returns
    -------
    distances
        0..1, smaller is nearer, ``[n_queries, n_gallery]`` float32: 4 bytes for each pair, 576 MB for 12,000 images against themselves.

    Raises
    ------
    ShapeError
        If features are not rows of finite numbers, have no direction by cosine, or no image is chosen.
    OptionError
        If an index or the metric is wrong, or there are not more than ``k1`` images.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> table = mv.embed(model, samples[:32], modalities=["TI"], progress=False)
    >>> distances = mv.rerank(table.enhanced, mv.Reranking(k1=8, k2=3), query=range(4))
    >>> distances.shape, distances.argmin(axis=1).tolist()  # each query is its own nearest image
    ((4, 32), [0, 1, 2, 3])
    """
    reranking = Reranking() if reranking is None else reranking
    check_reranking(reranking)
    check_metric(metric)
    rows = real_numbers(features, "features", copy=False)
    if rows.ndim != 2:
        raise ShapeError(f"re-ranking needs features [n, D]: got shape {rows.shape}")
    rows = compared_rows(rows, metric, "image")
    queries, others = chosen_rows(query, len(rows), "query"), chosen_rows(gallery, len(rows), "gallery")
    step, start = max(1, _CHUNK // len(others)), 0
    result = np.empty((len(queries), len(others)), np.float32)
    for block in reranked_blocks(rows, queries, others, reranking, metric=metric, step=step):
        if stop is not None and stop():
            raise StoppedError(f"re-ranking was stopped after {start} of {counted(len(queries), 'queries')}")
        result[start : start + len(block)] = -block
        start += len(block)
    return result
