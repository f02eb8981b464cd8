"""How similar a query is to a gallery image: by cosine, or by the Euclidean distance of raw features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import unit_rows
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

METRICS = ("cosine", "euclidean")
"""Cosine; or Euclidean distance of raw features, as hosts rank with FEAT_NORM off."""
METRIC_WORDS = {"cosine": "cosine", "euclidean": "Euclidean distance"}
DIGITS = 12
"""Similarities equal to so many decimals tie: a product's last bits depend on where it is computed."""

_LONGEST = 1e120  # beyond it a squared distance may overflow


def check_metric(metric: str) -> None:
    """Refuse what is not one of ``METRICS``."""
    if metric not in METRICS:
        raise OptionError(f"metric is one of {', '.join(METRICS)}: got {metric!r}")


def compared_rows(
    features: Float[np.ndarray, "image dim"], metric: str, name: str
) -> Float[np.ndarray, "image dim"]:
    """Features as `similarities` takes them: rows of norm 1 for the cosine, else as they are; float64."""
    check_metric(metric)
    if metric == "cosine":
        return unit_rows(features, name)
    features = np.asarray(features, dtype=np.float64)
    bad = np.flatnonzero(~(np.abs(features).max(axis=1, initial=0) < _LONGEST))
    if len(bad):
        raise ShapeError(
            f"features must be finite, and below {_LONGEST:g}, to be ranked by distance: got {len(bad)} {name} row(s) that "
            f"are not, the first is row {bad[0]}; leave those images out"
        )
    return features


def similarities(
    queries: Float[np.ndarray, "query dim"], gallery: Float[np.ndarray, "gallery dim"], metric: str
) -> Float[np.ndarray, "query gallery"]:
    """Cosines; or minus the squared Euclidean distances, in units of about the features' squared norm.

    That unit is a power of two for each query, so that the division is exact and ``DIGITS`` decimals of the result
    are above the rounding of the products. The order is that of the distance.
    """
    result = queries @ gallery.T
    if metric == "cosine":
        return result
    of_queries, of_gallery = (np.einsum("ij,ij->i", rows, rows) for rows in (queries, gallery))
    size = of_queries + np.median(of_gallery)
    unit = np.exp2(np.round(np.log2(np.where(size > 0, size, 1))))[:, None]
    result *= 2
    result -= of_gallery
    result -= of_queries[:, None]
    result /= unit
    return np.minimum(result, 0, out=result)


def ranked(similarity: Float[np.ndarray, " candidate"]) -> Int[np.ndarray, " candidate"]:
    """Places of the candidates, the most similar first; those equal to ``DIGITS`` decimals keep their order."""
    return np.argsort(-np.round(similarity, DIGITS), kind="stable")
