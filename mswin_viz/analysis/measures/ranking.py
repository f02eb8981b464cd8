"""How similar queries are to gallery images, by cosine or Euclidean distance, and where the matches of one query rank."""

from __future__ import annotations

from collections.abc import Iterator
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

PAIRS_AT_ONCE = 2_000_000
"""Pairs of query and gallery image ranked at once: 16 MB of similarities."""
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


def similar_blocks(
    features: Float[np.ndarray, "image dim"],
    query: Int[np.ndarray, " query"],
    gallery: Int[np.ndarray, " gallery"],
    *,
    metric: str,
) -> Iterator[Float[np.ndarray, "block gallery"]]:
    """Similarities of some queries after others to the whole gallery, ``PAIRS_AT_ONCE`` or one query at a time.

    Query and gallery are rows of the features, which are as :func:`compared_rows` gives them for the metric.
    """
    first, last = int(gallery[0]), int(gallery[-1])
    in_a_row = np.array_equal(gallery, np.arange(first, last + 1))
    candidates = features[first : last + 1] if in_a_row else features[gallery]  # a view where it can be one
    step = queries_at_once(len(gallery))
    for start in range(0, len(query), step):
        yield similarities(features[query[start : start + step]], candidates, metric)


def queries_at_once(n_gallery: int) -> int:
    """How many queries are ranked against a gallery at once, at least one."""
    return max(1, PAIRS_AT_ONCE // n_gallery)


def match_ranks(
    similarity: Float[np.ndarray, " gallery"], matches: Int[np.ndarray, " match"]
) -> Int[np.ndarray, " match"]:
    """Ranks of one query's matches, from 1, ascending, in the order of :func:`ranked`.

    ``matches`` are places in the gallery; what is left out for this query has the similarity -inf. Counting is enough
    where nothing comes near a match; only near ties are put in order.
    """
    wanted, near = similarity[matches], 2 * 10.0**-DIGITS
    rivals = similarity[similarity >= wanted.min() - near]
    rivals.sort()
    from_above = len(rivals) - np.searchsorted(rivals, wanted + near, side="right")
    with_ties = len(rivals) - np.searchsorted(rivals, wanted - near, side="left")
    if (with_ties - from_above == 1).all():
        return np.sort(from_above) + 1
    places = np.flatnonzero(similarity >= wanted.min() - near)
    return np.flatnonzero(np.isin(places[ranked(similarity[places])], matches)) + 1


def average_precision(ranks: Int[np.ndarray, " match"]) -> float:
    """Mean, over the matches, of the precision at their ranks (from 1, ascending), 0..1; NaN without a match."""
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else float("nan")


def inverse_penalty(ranks: Int[np.ndarray, " match"]) -> float:
    """Number of matches divided by the rank of the last one, 0..1; NaN without a match. Its mean is mINP (Ye et al., 2021)."""
    return float(len(ranks) / ranks[-1]) if len(ranks) else float("nan")
