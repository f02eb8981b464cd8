"""Re-identification measures: mAP and CMC with the same-camera rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["RetrievalReport", "retrieval"]

_CHUNK = 4_000_000  # pairs of query and gallery image ranked at once
_DIGITS = (
    12  # similarities equal to so many decimals tie: a product's last bits depend on where it is computed
)


@dataclass(frozen=True, eq=False)
class RetrievalReport:
    """How well a query's nearest gallery images share its identity.

    Attributes
    ----------
    mAP
        Mean average precision over the queries with a match, 0..1; NaN if there is none.
    cmc
        Rank -> fraction of those queries with a match among the first ``rank``.
    per_query_ap
        Average precision of each query, ``[n_queries]``; NaN where the gallery holds no match.
    first_match
        Rank, from 1, of each query's first match, ``[n_queries]``; NaN where there is none.
    """

    mAP: float  # noqa: N815 (the field's name)
    cmc: Mapping[int, float]
    per_query_ap: Float[np.ndarray, " query"]
    first_match: Float[np.ndarray, " query"]


def retrieval(
    features: Float[np.ndarray, "image dim"],
    pids: Sequence[int],
    camids: Sequence[int],
    *,
    query: Sequence[int] | None = None,
    gallery: Sequence[int] | None = None,
    ranks: Sequence[int] = (1, 5, 10),
) -> RetrievalReport:
    """Rank the gallery for each query by cosine, as re-ID evaluation does.

    The ranking is that of the Euclidean distance between L2-normalised features. A gallery image with the
    query's identity *and* camera is dropped for that query (the query itself among them). Equal similarities
    keep the gallery's order. mAP and CMC are those of Zheng et al. (2015, Market-1501), over the queries with
    a match.

    Parameters
    ----------
    features
        One row for each image; normalised here.
    pids, camids
        Identity and camera of each image (for MSVR310 the scene instead of the camera).
    query, gallery
        Indices of the images that ask and answer; all against all if None.
    ranks
        For which the CMC is reported, from 1.

    Raises
    ------
    ShapeError
        If the arrays' lengths differ, there is no query or gallery image, or a feature has no direction.
    OptionError
        If an index or a rank is out of range.
    """
    features, pids, camids = _checked(features, pids, camids)
    query, gallery = _indices(query, len(pids), "query"), _indices(gallery, len(pids), "gallery")
    if any(rank < 1 for rank in ranks):
        raise OptionError(f"ranks are counted from 1: got {tuple(ranks)}")
    ap, first = np.empty(len(query)), np.empty(len(query))
    step = max(1, _CHUNK // len(gallery))
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        asked = query[part]
        similarity = np.round(features[asked] @ features[gallery].T, _DIGITS)
        same = pids[asked][:, None] == pids[gallery][None]
        dropped = same & (camids[asked][:, None] == camids[gallery][None])
        ap[part], first[part] = _ranked(similarity, same, dropped)
    answered = ~np.isnan(ap)
    if not answered.any():
        return RetrievalReport(float("nan"), {rank: float("nan") for rank in ranks}, ap, first)
    cmc = {rank: float((first[answered] <= rank).mean()) for rank in ranks}
    return RetrievalReport(float(ap[answered].mean()), cmc, ap, first)


def _ranked(
    similarity: Float[np.ndarray, "query gallery"],
    same: Bool[np.ndarray, "query gallery"],
    dropped: Bool[np.ndarray, "query gallery"],
) -> tuple[Float[np.ndarray, " query"], Float[np.ndarray, " query"]]:
    """Average precision and the rank of the first match; NaN where no match is left."""
    order = np.argsort(np.where(dropped, np.inf, -similarity), axis=1, kind="stable")
    hits = np.take_along_axis(same & ~dropped, order, axis=1)
    found = hits.cumsum(axis=1)
    precision = found / np.arange(1, hits.shape[1] + 1)
    n_matches = np.where(hits.any(axis=1), found[:, -1], np.nan)
    return (hits * precision).sum(axis=1) / n_matches, np.where(
        n_matches > 0, hits.argmax(axis=1) + 1, np.nan
    )


def _checked(
    features: np.ndarray, pids: Sequence[int], camids: Sequence[int]
) -> tuple[Float[np.ndarray, "image dim"], Int[np.ndarray, " image"], Int[np.ndarray, " image"]]:
    features = np.asarray(features, dtype=np.float64)
    pids, camids = np.asarray(pids), np.asarray(camids)
    if features.ndim != 2 or not pids.shape == camids.shape == features.shape[:1]:
        raise ShapeError(
            "retrieval needs features [n, D] and n pids and camids: got "
            f"{features.shape}, {pids.shape} and {camids.shape}"
        )
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        raise ShapeError(
            f"features must be finite and of some length, or they have no direction: got {len(bad)} that are "
            f"not, the first in row {bad[0]}; leave those images out"
        )
    return features / lengths, pids, camids


def _indices(chosen: Sequence[int] | None, n_images: int, name: str) -> Int[np.ndarray, " chosen"]:
    indices = np.arange(n_images) if chosen is None else np.asarray(chosen)
    if indices.ndim != 1 or len(indices) == 0:
        raise ShapeError(f"retrieval needs at least one {name} image: got indices of shape {indices.shape}")
    if indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= n_images:
        raise OptionError(
            f"{name} holds indices of the {n_images} images, 0..{n_images - 1}: got {indices.dtype} "
            f"from {indices.min()} to {indices.max()}"
        )
    return indices
