"""Re-identification measures: mAP and CMC with the same-camera or same-scene rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.feature_spaces import unit_rows
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["RULES", "RetrievalReport", "retrieval"]

RULES = ("camera", "scene", "none")
"""What a query's gallery leaves out beside the query itself: its identity in the same camera or scene, or nothing."""
_CHUNK = 2_000_000  # pairs of query and gallery image ranked at once
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
    query_pids
        Identity of each query, ``[n_queries]``.
    """

    mAP: float  # noqa: N815 (the field's name)
    cmc: Mapping[int, float]
    per_query_ap: Float[np.ndarray, " query"]
    first_match: Float[np.ndarray, " query"]
    query_pids: Int[np.ndarray, " query"]

    @property
    def per_identity_ap(self) -> dict[int, float]:
        """Identity -> mean average precision of its queries, 0..1; NaN where none of them has a match."""
        pids, of = np.unique(self.query_pids, return_inverse=True)
        answered = ~np.isnan(self.per_query_ap)
        sums = np.bincount(of, weights=np.where(answered, self.per_query_ap, 0))
        counts = np.bincount(of, weights=answered)
        with np.errstate(invalid="ignore"):
            return dict(zip(pids.tolist(), (sums / counts).tolist(), strict=True))


def retrieval(
    features: Float[np.ndarray, "image dim"],
    pids: Sequence[int],
    camids: Sequence[int],
    *,
    query: Sequence[int] | None = None,
    gallery: Sequence[int] | None = None,
    ranks: Sequence[int] = (1, 5, 10),
    rule: str = "camera",
    scenes: Sequence[int] | None = None,
) -> RetrievalReport:
    """Rank the gallery for each query by cosine, as re-ID evaluation does.

    The ranking is that of the Euclidean distance between L2-normalised features. A gallery image with the
    query's identity *and* camera is dropped for that query (the query itself among them). Equal similarities
    keep the gallery's order. mAP and CMC are those of Zheng et al. (2015, Market-1501), over the queries with
    a match. Only the ranks of matches are looked for, a block of queries at a time: memory beside the features
    stays below 100 MB.

    Parameters
    ----------
    features
        One row for each image; normalised here.
    pids, camids
        Identity and camera of each image.
    query, gallery
        Indices of the images that ask and answer; all against all if None.
    ranks
        For which the CMC is reported, from 1.
    rule
        ``"camera"``; ``"scene"``: identity and scene instead (MSVR310's); ``"none"``: only the query itself is
        dropped.
    scenes
        Scene of each image, for that rule.

    Raises
    ------
    ShapeError
        If the arrays' lengths differ, there is no query or gallery image, or a feature has no direction.
    OptionError
        If an index or a rank is out of range, or the rule is not on offer or lacks its scenes.
    """
    features, pids, camids = _checked(features, pids, camids)
    asked, answering = _indices(query, len(pids), "query"), _indices(gallery, len(pids), "gallery")
    if any(rank < 1 for rank in ranks):
        raise OptionError(f"ranks are counted from 1: got {tuple(ranks)}")
    places = _Places.of(pids, _keys(rule, camids, scenes), answering)
    shown = features if gallery is None else features[answering]
    ap, first = np.full(len(asked), np.nan), np.full(len(asked), np.nan)
    step = max(1, _CHUNK // len(answering))
    for start in range(0, len(asked), step):
        similarity = features[asked[start : start + step]] @ shown.T
        for row, (image, similar) in enumerate(
            zip(asked[start : start + step], similarity, strict=True), start
        ):
            matches, dropped = places.around(image)
            if len(matches):
                found = _ranks(similar, matches, dropped)
                ap[row] = np.mean(np.arange(1, len(found) + 1) / found)
                first[row] = found[0]
    answered = first[~np.isnan(first)]
    none = len(answered) == 0
    cmc = {rank: float("nan") if none else float((answered <= rank).mean()) for rank in ranks}
    return RetrievalReport(float("nan") if none else float(np.nanmean(ap)), cmc, ap, first, pids[asked])


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the gallery holds each identity, in the gallery's order."""

    pids: np.ndarray
    keys: np.ndarray  # camera or scene of each image, or its index
    gallery: np.ndarray
    order: np.ndarray
    sorted_pids: np.ndarray

    @staticmethod
    def of(pids: np.ndarray, keys: np.ndarray, gallery: np.ndarray) -> _Places:
        order = np.argsort(pids[gallery], kind="stable")
        return _Places(pids, keys, gallery, order, pids[gallery][order])

    def around(self, image: int) -> tuple[Int[np.ndarray, " match"], Int[np.ndarray, " dropped"]]:
        """Places in the gallery of an image's matches, and of what is dropped for it."""
        pid = self.pids[image]
        start, end = (np.searchsorted(self.sorted_pids, pid, side=side) for side in ("left", "right"))
        same = self.order[start:end]
        dropped = self.keys[self.gallery[same]] == self.keys[image]
        return same[~dropped], same[dropped]


def _ranks(
    similarity: Float[np.ndarray, " gallery"],
    matches: Int[np.ndarray, " match"],
    dropped: Int[np.ndarray, " dropped"],
) -> Int[np.ndarray, " match"]:
    """Ranks of the matches, from 1, ascending: how many are more similar, or as similar and earlier in the gallery.

    Counting is enough where nothing comes near a match; only near ties are put in order.
    """
    similarity[dropped] = -np.inf
    wanted, near = similarity[matches], 2 * 10.0**-_DIGITS
    rivals = similarity[similarity >= wanted.min() - near]
    rivals.sort()
    from_above = len(rivals) - np.searchsorted(rivals, wanted + near, side="right")
    with_ties = len(rivals) - np.searchsorted(rivals, wanted - near, side="left")
    if (with_ties - from_above == 1).all():
        return np.sort(from_above) + 1
    where = np.flatnonzero(similarity >= wanted.min() - near)
    order = np.argsort(-np.round(similarity[where], _DIGITS), kind="stable")
    return np.flatnonzero(np.isin(where[order], matches)) + 1


def _keys(
    rule: str, camids: Int[np.ndarray, " image"], scenes: Sequence[int] | None
) -> Int[np.ndarray, " image"]:
    """What must differ, beside the same identity, for a gallery image to count."""
    if rule not in RULES:
        raise OptionError(f"rule is one of {', '.join(RULES)}: got {rule!r}")
    if rule != "scene":
        return camids if rule == "camera" else np.arange(len(camids))
    if scenes is None:
        raise OptionError("the scene rule needs the scene of each image: got none; pass scenes=")
    if np.shape(scenes) != camids.shape:
        raise ShapeError(f"each of the {len(camids)} images has one scene: got {np.shape(scenes)}")
    return np.asarray(scenes)


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
    return unit_rows(features, "image"), pids, camids


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
