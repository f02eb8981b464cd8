"""Affinities of t-SNE: of one feature matrix, and of two that are coupled image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from openTSNE.affinity import PerplexityBasedNN, PrecomputedAffinities, joint_probabilities_nn
from openTSNE.nearest_neighbors import KNNIndex
from scipy import sparse

from mswin_viz.analysis.nearest import nearest_of_new, nearest_with_distances
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["METRICS", "affinities", "affinities_to_new", "coupled", "metric_distances"]

METRICS = ("cosine", "euclidean")


class ExactNeighbours(KNNIndex):
    """openTSNE's neighbour index by exact search: nothing is drawn, so every run finds the same neighbours."""

    VALID_METRICS = METRICS

    def build(self) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of every row, and their distances."""
        indices, squared = nearest_with_distances(self.data, self.k)
        return indices, metric_distances(squared, self.metric)

    def query(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of new rows among the old ones, and their distances."""
        indices, squared = nearest_of_new(query, self.data, k)
        return indices, metric_distances(squared, self.metric)


def metric_distances(squared: np.ndarray, metric: str) -> np.ndarray:
    """Distances of L2-normalised features, from the squared Euclidean ones.

    The cosine distance, 1 - cos, is half the squared Euclidean one; after PCA it is that of the components kept.

    Raises
    ------
    OptionError
        If there is no such metric.
    """
    if metric not in METRICS:
        raise OptionError(f"metric is one of {', '.join(METRICS)}: got {metric!r}")
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


def affinities(
    scores: Float[np.ndarray, "place component"], *, perplexity: float, metric: str
) -> sparse.csr_matrix:
    """Symmetric affinities ``[m, m]`` that sum to 1 (van der Maaten, 2014), of three times perplexity neighbours."""
    index = ExactNeighbours(scores, min(len(scores) - 1, int(np.ceil(3 * perplexity))), metric)
    return PerplexityBasedNN(knn_index=index, perplexity=perplexity).P


def affinities_to_new(
    new: Float[np.ndarray, "new component"],
    scores: Float[np.ndarray, "place component"],
    *,
    perplexity: float,
    metric: str,
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Affinities of new rows to old ones, ``[new, m]``, each row summing to 1, and the neighbours they are of.

    openTSNE's way of adding to an existing map (Policar et al., 2023).
    """
    k = min(len(scores), int(np.ceil(3 * perplexity)))
    neighbours, distances = ExactNeighbours(scores, k, metric).query(new, k)
    found = joint_probabilities_nn(
        neighbours,
        distances,
        [perplexity],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=len(scores),
    )
    return found.tocsr(), neighbours


def coupled(plain: sparse.csr_matrix, enhanced: sparse.csr_matrix, coupling: float) -> PrecomputedAffinities:
    """Joint affinities ``[[P_A, (c/n) I], [(c/n) I, P_B]]``, renormalised to sum to 1.

    A row of P_A or P_B sums to about 1/n, so that ``coupling`` is the pull between the two places of an image in
    units of the pull of all its neighbours together.
    """
    n = plain.shape[0]
    bridge = sparse.identity(n, format="csr") * (coupling / n)
    joint = sparse.bmat([[plain, bridge], [bridge, enhanced]], format="csr") if coupling else None
    if joint is None:
        joint = sparse.block_diag([plain, enhanced], format="csr")
    return PrecomputedAffinities(sparse.csr_matrix(joint), normalize=True)
