"""How faithful a map is to the space it was drawn from. It says nothing about which space is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import procrustes

from mswin_viz.analysis.measures.nearest import nearest, nearest_and_ranks, ranks_of
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class MapQuality:
    """How well a map keeps the neighbourhoods of the full space, by ``k`` neighbours; 1 is best.

    Trustworthiness is low if neighbours on the map are far apart in the full space, continuity if neighbours of the
    full space are torn apart on the map; kNN recall is the fraction of each image's nearest neighbours in the full
    space that are nearest on the map. All are NaN for a map that was stopped: an unfinished one is not judged.
    """

    k: int
    trustworthiness: float
    continuity: float
    knn_recall: float


def map_quality(
    features: Float[np.ndarray, "image dim"], coordinates: Float[np.ndarray, "image axis"], *, k: int = 15
) -> MapQuality:
    """Trustworthiness and continuity (Venna and Kaski, 2001), and kNN recall, of a map.

    The full space is compared by Euclidean distance; pass L2-normalised rows for the order of the cosine. Raises
    ShapeError if the numbers of rows differ; OptionError if ``k`` is not in 1..(n - 1) // 2, beyond which
    trustworthiness is not defined.
    """
    n = len(features)
    if len(coordinates) != n:
        raise ShapeError(
            f"each image has one place on the map: got {counted(n, 'images')} and {counted(len(coordinates), 'places')}"
        )
    if not 1 <= k < n / 2:
        raise OptionError(
            f"neighbours must be fewer than half of the {counted(n, 'images')}, and at least one: got k={k}"
        )
    features, coordinates = np.asarray(features, np.float64), np.asarray(coordinates, np.float64)
    on_map = nearest(coordinates, k)
    in_space, map_ranks = nearest_and_ranks(features, k, on_map)
    space_ranks = ranks_of(coordinates, in_space)
    return MapQuality(k, _kept(map_ranks, n), _kept(space_ranks, n), knn_recall(in_space, on_map))


def knn_recall(in_space: Int[np.ndarray, "image k"], on_map: Int[np.ndarray, "image k"]) -> float:
    """Mean fraction of the first neighbours that are among the second."""
    return float(
        np.mean([np.isin(a, b, assume_unique=True).mean() for a, b in zip(in_space, on_map, strict=True)])
    )


def disparity(plain: Float[np.ndarray, "image 2"], enhanced: Float[np.ndarray, "image 2"]) -> float:
    """What is left between two maps after the best shift, rotation, mirroring and scaling (Procrustes), 0..1.

    It tells how well two maps can be laid over each other. Coupling lowers it by construction, whatever the
    features are: it does not measure improvement.
    """
    return float(procrustes(plain, enhanced)[2])


def _kept(ranks: Int[np.ndarray, "image k"], n: int) -> float:
    """1 minus the ranks beyond ``k``, normalised so that the worst case is 0."""
    k = ranks.shape[1]
    return float(1 - 2 * np.maximum(ranks - k, 0).sum() / (n * k * (2 * n - 3 * k - 1)))
