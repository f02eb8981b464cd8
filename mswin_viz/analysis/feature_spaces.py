"""Two feature spaces of the same images, compared in all their dimensions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.nearest import nearest
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["feature_pair", "first_of_equals", "linear_cka", "neighbour_overlap", "silhouettes", "unit_rows"]


def feature_pair(
    plain: np.ndarray, enhanced: np.ndarray
) -> tuple[Float[np.ndarray, "image dim"], Float[np.ndarray, "image dim"]]:
    """Both matrices with rows of length 1, float64.

    Raises
    ------
    ShapeError
        If their shapes differ or are not ``[n, D]``, or a row is not finite or has no length.
    """
    if np.ndim(plain) != 2 or np.shape(plain) != np.shape(enhanced) or np.shape(plain)[1] < 2:
        raise ShapeError(
            "plain and enhanced features must be [n, D >= 2], the same images in the same rows: got "
            f"{np.shape(plain)} and {np.shape(enhanced)}"
        )
    return unit_rows(plain, "plain"), unit_rows(enhanced, "enhanced")


def unit_rows(features: np.ndarray, name: str) -> Float[np.ndarray, "image dim"]:
    """Rows divided by their Euclidean length, float64.

    Raises
    ------
    ShapeError
        If a row is not finite or has no length.
    """
    features = np.asarray(features, dtype=np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        raise ShapeError(
            f"features must be finite and of some length, or they have no direction: got {len(bad)} {name} "
            f"row(s) that are not, the first is row {bad[0]}; leave those images out"
        )
    return features / lengths


def first_of_equals(plain: np.ndarray, enhanced: np.ndarray) -> Int[np.ndarray, " image"]:
    """For each row, the first row whose plain *and* enhanced features are equal to its own, as float32."""
    both = np.concatenate([np.asarray(plain, np.float32), np.asarray(enhanced, np.float32)], axis=1)
    rows = np.ascontiguousarray(both + np.float32(0))  # -0 becomes 0
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.array([seen.setdefault(digest, at) for at, digest in enumerate(digests)], dtype=np.int64)


def neighbour_overlap(
    a: Float[np.ndarray, "image dim"], b: Float[np.ndarray, "image dim"], *, k: int
) -> Float[np.ndarray, " image"]:
    """For each image, the fraction of its ``k`` nearest others in ``a`` that are so in ``b`` too, 0..1.

    Raises
    ------
    OptionError
        If there are no ``k`` others.
    """
    if not 1 <= k < len(a):
        raise OptionError(f"an image has {len(a) - 1} others, and at least one is looked at: got k={k}")
    pairs = zip(nearest(a, k), nearest(b, k), strict=True)
    return np.array([np.isin(one, other, assume_unique=True).mean() for one, other in pairs])


def silhouettes(
    unit: Float[np.ndarray, "image dim"], pids: Int[np.ndarray, " image"]
) -> Float[np.ndarray, " image"]:
    """Silhouette of each image by identity with the cosine distance (Rousseeuw, 1987), -1..1.

    NaN where an identity has one image, or is the only one. Exact, without all pairs: the mean cosine to a group
    is the product with the group's mean of normalised features.

    Parameters
    ----------
    unit
        L2-normalised features.
    """
    _, group, sizes = np.unique(pids, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return np.full(len(unit), np.nan)
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, group, unit)
    to_groups = 1 - unit @ (sums / sizes[:, None]).T
    rows, own = np.arange(len(unit)), sizes[group]
    with np.errstate(invalid="ignore", divide="ignore"):
        within = to_groups[rows, group] * own / (own - 1.0)
        to_groups[rows, group] = np.inf
        other = to_groups.min(axis=1)
        found = (other - within) / np.maximum(other, within)
    return np.where(own > 1, found, np.nan)


def linear_cka(a: Float[np.ndarray, "image dim"], b: Float[np.ndarray, "image dim"]) -> float:
    """Linear centred kernel alignment (Kornblith et al., 2019), 0..1; 1 if one is the other turned or scaled.

    NaN if all rows of one are the same.
    """
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(b.T @ a) ** 2 / scale) if scale > 0 else float("nan")
