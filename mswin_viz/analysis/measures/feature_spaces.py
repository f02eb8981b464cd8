"""Two feature spaces of the same images, compared in all their dimensions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import silhouette_samples

from mswin_viz.analysis.arrays import real_numbers, unit_rows
from mswin_viz.analysis.measures.nearest import nearest
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def feature_pair(
    plain: Any, enhanced: Any
) -> tuple[Float[np.ndarray, "image dim"], Float[np.ndarray, "image wide"]]:
    """Both matrices with rows of norm 1, float64.

    Raises ShapeError if they are not ``[n, D]`` of the same rows, or a row has no direction. Widths differ where an
    add-on's feature stands behind the CLS token.
    """
    plain, enhanced = real_pair(plain, enhanced)
    return unit_rows(plain, "plain"), unit_rows(enhanced, "enhanced")


def real_pair(
    plain: Any, enhanced: Any
) -> tuple[Float[np.ndarray, "image dim"], Float[np.ndarray, "image wide"]]:
    """Both matrices as they are, float64."""
    plain, enhanced = real_numbers(plain, "plain features"), real_numbers(enhanced, "enhanced features")
    axes = {plain.ndim, enhanced.ndim}
    if axes != {2} or len(plain) != len(enhanced) or min(plain.shape[1], enhanced.shape[1]) < 2:
        raise ShapeError(
            "plain and enhanced features must be [n, D >= 2], the same images in the same rows: got "
            f"{plain.shape} and {enhanced.shape}"
        )
    return plain, enhanced


def first_of_equals(plain: Any, enhanced: Any) -> Int[np.ndarray, " image"]:
    """For each row, the first row with equal plain *and* enhanced features, as float32."""
    both = np.concatenate([real_numbers(plain, "plain"), real_numbers(enhanced, "enhanced")], axis=1)
    both = both.astype(np.float32)
    rows = np.ascontiguousarray(both + np.float32(0))  # -0 becomes 0
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.array([seen.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)


def neighbour_overlap(
    a: Float[np.ndarray, "image dim"], b: Float[np.ndarray, "image wide"], *, k: int
) -> Float[np.ndarray, " image"]:
    """Fraction of each image's ``k`` nearest others in ``a`` that are among its ``k`` nearest in ``b``, 0..1."""
    if not 1 <= k < len(a):
        raise OptionError(f"k must be in 1..{len(a) - 1}, the number of other images: got k={k}")
    pairs = zip(nearest(a, k), nearest(b, k), strict=True)
    return np.array([np.isin(near_a, near_b, assume_unique=True).mean() for near_a, near_b in pairs])


def silhouettes(
    features: Float[np.ndarray, "image dim"], pids: Int[np.ndarray, " image"], *, metric: str = "cosine"
) -> Float[np.ndarray, " image"]:
    """Silhouette of each image by identity (Rousseeuw, 1987), -1..1; NaN where that has one image, or is the only one.

    Features are L2-normalised for the cosine distance, and as they are for the Euclidean one. An image that is like
    no other has an identity by itself.
    """
    _, group, sizes = np.unique(pids, return_inverse=True, return_counts=True)
    if not 2 <= len(sizes) < len(features):
        return np.full(len(features), np.nan)
    if metric == "cosine":
        values = _cosine_silhouettes(features, group, sizes)
    else:
        values = silhouette_samples(features, group, metric="euclidean")
    return np.where(sizes[group] > 1, values, np.nan)


def _cosine_silhouettes(
    unit: Float[np.ndarray, "image dim"], group: Int[np.ndarray, " image"], sizes: Int[np.ndarray, " group"]
) -> Float[np.ndarray, " image"]:
    """Those of scikit-learn, ten times as fast (2 s for 12,000 images): no pairs, a mean cosine is one with a mean."""
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, group, unit)
    to_groups = 1 - unit @ (sums / sizes[:, None]).T
    rows, own_size = np.arange(len(unit)), sizes[group]
    with np.errstate(invalid="ignore", divide="ignore"):
        within = to_groups[rows, group] * own_size / (own_size - 1.0)
        to_groups[rows, group] = np.inf
        other = to_groups.min(axis=1)
        return (other - within) / np.maximum(other, within)


def linear_cka(a: Float[np.ndarray, "image dim"], b: Float[np.ndarray, "image wide"]) -> float:
    """Linear centred kernel alignment (Kornblith et al., 2019), 0..1; 1 if one is the other turned or scaled.

    NaN if all rows of one are the same.
    """
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(b.T @ a) ** 2 / scale) if scale > 0 else float("nan")
