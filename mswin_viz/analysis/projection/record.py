"""The record of a map of plain and enhanced CLS embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.projection.quality import MapQuality
from mswin_viz.analysis.projection.space import MapSpace
from mswin_viz.data.shown_text import counted, n_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

NOT_A_MEASURE = (
    "Joint t-SNE pulls the two places of an image together by construction: how well the halves lie on each "
    "other says nothing about which features are better. Decide by full-dimensional measures (mv.compare)."
)


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """What a map was computed with.

    Attributes
    ----------
    method
        ``"joint"``, ``"separate"``, ``"initialised"`` or ``"scikit-learn"``; see `project`.
    coupling
        Of a joint map; None for the others.
    perplexity_asked, perplexity
        The one requested, and the one used, which so many images allow.
    metric
        ``"cosine"`` or ``"euclidean"``, of L2-normalised features.
    pca
        Components kept; None where the features were taken as they are.
    seed
        Of the whole computation.
    iterations
        Steps of gradient descent that were done, of all runs together.
    """

    method: str
    coupling: float | None
    perplexity_asked: float
    perplexity: float
    metric: str
    pca: int | None
    seed: int
    iterations: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection:
    """Places of plain and enhanced CLS on comparable maps, ``m`` images after duplicates are removed.

    Attributes
    ----------
    plain, enhanced
        Coordinates, ``[m, 2]``; row ``i`` of both is the same image.
    kept
        Row of the input that each place belongs to, ``[m]``, ascending.
    place_of
        Place of every row of the input, ``[n]``, indices into the coordinates; a duplicate has that of its twin.
    removed, equals
        Rows that were left out as duplicates, and the kept row that each equals, ``[n - m]`` each.
    settings
        What the map was computed with.
    plain_quality, enhanced_quality
        How faithful each map is to its own full space (cosine, before PCA).
    disparity
        Procrustes disparity of the two halves, 0..1: how well they lie on each other. Coupling lowers it by
        construction. **Not a measure of improvement.**
    stopped
        True if the computation was stopped before its end: the map is unfinished.
    notes
        What differs from the request, in sentences.
    space
        What :func:`extend` places new images by.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> projection = mv.project(table.plain, table.enhanced, perplexity=5)
    >>> projection.plain.shape, projection.enhanced.shape, 0 <= projection.disparity <= 1
    ((24, 2), (24, 2), True)
    >>> print(projection.duplicates)
    No duplicates among 24 images.
    """

    plain: Float[np.ndarray, "place 2"]
    enhanced: Float[np.ndarray, "place 2"]
    kept: Int[np.ndarray, " place"]
    place_of: Int[np.ndarray, " image"]
    removed: Int[np.ndarray, " duplicate"]
    equals: Int[np.ndarray, " duplicate"]
    settings: MapSettings
    plain_quality: MapQuality
    enhanced_quality: MapQuality
    disparity: float
    stopped: bool
    notes: tuple[str, ...]
    space: MapSpace = field(repr=False)

    @property
    def duplicates(self) -> str:
        """What was removed, in a sentence."""
        n = len(self.removed)
        whose = "its" if n == 1 else "their"
        if n == 0:
            return f"No duplicates among {counted(len(self.place_of), 'images')}."
        return (
            f"{n_of(n, len(self.place_of), 'images')} {'was' if n == 1 else 'were'} removed, because both {whose} plain and "
            f"{whose} enhanced features equal those of an earlier image (as where the query set is the gallery)."
        )

    def sentences(self) -> list[str]:
        """What this map is, what it can show, and what it cannot."""
        used, k = self.settings, self.plain_quality.k
        coupled = "" if used.coupling is None else f", coupling {used.coupling:g}"
        halves = (("plain", self.plain_quality), ("enhanced", self.enhanced_quality))
        quality = [
            f"Of the {counted(k, 'nearest neighbours')} in the full {name} space, {half.knn_recall:.0%} are neighbours on its "
            f"map (trustworthiness {half.trustworthiness:.3f}, continuity {half.continuity:.3f})."
            for name, half in halves
            if not self.stopped
        ]
        return [
            f"Map of {counted(len(self.kept), 'images')}: {used.method} t-SNE{coupled}, perplexity {used.perplexity:g}, "
            f"{used.metric}, seed {used.seed}, {used.iterations} iterations.",
            self.duplicates,
            *self.notes,
            *quality,
            f"Procrustes disparity of the two halves: {self.disparity:.3f}; it does not measure improvement.",
            NOT_A_MEASURE,
        ]
