"""Cosines of pairs of images of the same and of different identities, plain and enhanced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import Matching, matching

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int

MOST_PAIRS = 50_000
"""Pairs of each kind and modality; where there are more, so many are drawn."""


@dataclass(frozen=True, eq=False)
class SimilarityPairs:
    """Pairs of rows of one modality, with their cosines in both spaces, ``[p]``.

    ``first`` and ``second`` are rows of the table; ``same`` tells whether they have one identity; ``is_sample``,
    whether pairs were drawn at random because there are too many.
    """

    first: Int[np.ndarray, " pair"]
    second: Int[np.ndarray, " pair"]
    modality: np.ndarray
    same: Bool[np.ndarray, " pair"]
    plain: Float[np.ndarray, " pair"]
    enhanced: Float[np.ndarray, " pair"]
    is_sample: bool

    def gap(self, modality: str) -> tuple[float, float]:
        """Mean cosine of same minus different pairs, plain and enhanced; NaN where a kind has no pair."""
        rows = self.modality == modality
        plain, enhanced = (
            _mean(values[rows & self.same]) - _mean(values[rows & ~self.same])
            for values in (self.plain, self.enhanced)
        )
        return plain, enhanced

    def to_pandas(self) -> pd.DataFrame:
        """One line for each pair and space: modality, identity (same or different), feature, cosine."""
        import pandas as pd  # slow to import, and not needed to measure

        wide = {
            "modality": self.modality,
            "identity": np.where(self.same, "same", "different"),
            "plain": self.plain,
            "enhanced": self.enhanced,
        }
        return pd.DataFrame(wide).melt(["modality", "identity"], var_name="feature", value_name="cosine")


def similarity_pairs(table: EmbeddingTable, *, rule: str = "camera", seed: int = 0) -> SimilarityPairs:
    """Cosines of pairs within each modality; rows whose identity is not known are left out.

    The rule ``"camera"`` leaves out pairs of one identity and one known camera, ``"scene"`` of one scene, ``"none"``
    nothing. Where there are more than ``MOST_PAIRS`` of a kind, the seed decides which are drawn.
    """
    who = matching(table.pid, table.camid, rule=rule, scenes=table.scene)
    rng, parts, drawn = np.random.default_rng(seed), [np.zeros((0, 2), int)], False
    for modality in table.modalities:
        rows = table.rows(modality)
        rows = rows[who.pids[rows] >= 0]
        for pairs in (_same(who, rows), _different(who, rows, rng)):
            if len(pairs) > MOST_PAIRS:
                pairs, drawn = pairs[np.sort(rng.choice(len(pairs), MOST_PAIRS, replace=False))], True
            parts.append(pairs)
    first, second = np.concatenate(parts).T
    return SimilarityPairs(
        first=first,
        second=second,
        modality=table.modality[first],
        same=who.same(first, second),
        plain=_cosines(table.unit("plain"), first, second),
        enhanced=_cosines(table.unit("enhanced"), first, second),
        is_sample=drawn,
    )


def _same(who: Matching, rows: np.ndarray) -> Int[np.ndarray, "pair 2"]:
    """Every pair of one identity that the rule does not leave out."""
    parts = [np.zeros((0, 2), int)]
    for pid in np.unique(who.pids[rows]):
        pairs = _pairs(rows[who.pids[rows] == pid])
        parts.append(pairs[who.matches(*pairs.T)])
    return np.concatenate(parts)


def _different(who: Matching, rows: np.ndarray, rng: np.random.Generator) -> Int[np.ndarray, "pair 2"]:
    """Pairs of different identities: every one while they are few, else more than enough drawn at random."""
    if len(rows) * (len(rows) - 1) // 2 <= 4 * MOST_PAIRS:
        pairs = _pairs(rows)
    else:
        pairs = rows[rng.integers(0, len(rows), (2, 4 * MOST_PAIRS))].T
    return pairs[~who.same(*pairs.T)]


def _pairs(rows: np.ndarray) -> Int[np.ndarray, "pair 2"]:
    first, second = np.triu_indices(len(rows), 1)
    return np.stack([rows[first], rows[second]], axis=1)


def _cosines(unit: np.ndarray, first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, " pair"]:
    step = 20_000  # pairs at once: whole matrices of rows are large
    parts = [
        np.einsum("ij,ij->i", unit[first[start : start + step]], unit[second[start : start + step]])
        for start in range(0, len(first), step)
    ]
    return np.concatenate([np.zeros(0), *parts])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
