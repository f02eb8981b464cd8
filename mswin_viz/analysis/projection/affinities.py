"""Affinities of t-SNE: of one feature matrix, and of two that are coupled image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from openTSNE.affinity import PerplexityBasedNN, PrecomputedAffinities, joint_probabilities_nn
from openTSNE.nearest_neighbors import KNNIndex
from scipy import sparse

from mswin_viz.analysis.measures.nearest import nearest_of_new, nearest_with_distances
from mswin_viz.analysis.measures.ranking import METRICS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_Half = TypeVar("_Half")
Pair: TypeAlias = tuple[_Half, _Half]
"""One for the plain half of a map, one for the enhanced half."""


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


def metric_distances(squared: Float[np.ndarray, "*pairs"], metric: str) -> Float[np.ndarray, "*pairs"]:
    """Distances of L2-normalised features, from the squared Euclidean ones.

    The cosine distance, 1 - cos, is half the squared Euclidean one; after PCA it is that of the components kept.
    """
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


def both_affinities(
    plain: Float[np.ndarray, "place component"],
    enhanced: Float[np.ndarray, "place component"],
    *,
    perplexity: float,
    metric: str,
) -> Pair[sparse.csr_matrix]:
    """Symmetric affinities ``[m, m]`` of both halves; each sums to 1 (van der Maaten, 2014)."""
    return (
        affinities(plain, perplexity=perplexity, metric=metric),
        affinities(enhanced, perplexity=perplexity, metric=metric),
    )


def affinities(
    scores: Float[np.ndarray, "place component"], *, perplexity: float, metric: str
) -> sparse.csr_matrix:
    """Symmetric affinities ``[m, m]`` that sum to 1, of three times ``perplexity`` neighbours."""
    index = ExactNeighbours(scores, min(len(scores) - 1, int(np.ceil(3 * perplexity))), metric)
    number: Any = perplexity  # openTSNE's annotation says int; it takes any number
    return PerplexityBasedNN(knn_index=index, perplexity=number).P


def affinities_to_new(
    new: Float[np.ndarray, "new component"],
    scores: Float[np.ndarray, "place component"],
    *,
    perplexity: float,
    metric: str,
) -> tuple[sparse.csr_matrix, Int[np.ndarray, "new neighbour"]]:
    """Affinities of new rows to old ones, ``[new, m]``, each row summing to 1, and the neighbours they are of.

    openTSNE's way of adding to an existing map (Policar et al., 2023).
    """
    k = min(len(scores), int(np.ceil(3 * perplexity)))
    neighbours, distances = ExactNeighbours(scores, k, metric).query(new, k)
    weights = joint_probabilities_nn(
        neighbours,
        distances,
        [perplexity],
        symmetrize=False,
        normalization="point-wise",
        n_reference_samples=len(scores),
    )
    return sparse.csr_matrix(weights), neighbours


def coupled(plain: sparse.csr_matrix, enhanced: sparse.csr_matrix, coupling: float) -> PrecomputedAffinities:
    """Joint affinities ``[[P_A, (c/n) I], [(c/n) I, P_B]]``, renormalised to sum to 1.

    A row of P_A or P_B sums to about 1/n, so that ``coupling`` is the pull between the two places of an image in
    units of the pull of all its neighbours together.
    """
    if coupling:
        n = len(plain.indptr) - 1
        bridge = sparse.identity(n, format="csr") * (coupling / n)
        joint = sparse.bmat([[plain, bridge], [bridge, enhanced]], format="csr")
    else:
        joint = sparse.block_diag([plain, enhanced], format="csr")
    return PrecomputedAffinities(sparse.csr_matrix(joint), normalize=True)
