"""From two feature matrices to the space that both maps are computed in: checks, duplicates, one PCA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

from mswin_viz.analysis.arrays import real_numbers, unit_rows
from mswin_viz.analysis.measures.feature_spaces import feature_pair, first_of_equals
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LEAST_IMAGES = 5
"""Distinct images that a map needs: with fewer, no perplexity above 1 fits."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DistinctPair:
    """Features of norm 1 of the images that differ; rows and places as in `Projection`."""

    plain: Float[np.ndarray, "place dim"]
    enhanced: Float[np.ndarray, "place wide"]
    kept: Int[np.ndarray, " place"]
    place_of: Int[np.ndarray, " image"]
    removed: Int[np.ndarray, " duplicate"]
    equals: Int[np.ndarray, " duplicate"]


@dataclass(frozen=True, eq=False)
class MapSpace:
    """Scores of L2-normalised features in the components of one PCA of plain and enhanced together.

    ``centre`` is the mean of the features; no components: they are taken as they are. The narrower of two widths is
    followed by zeros. ``widths`` are those of plain and enhanced features.
    """

    plain: Float[np.ndarray, "place component"]
    enhanced: Float[np.ndarray, "place component"]
    centre: Float[np.ndarray, " wide"]
    components: Float[np.ndarray, "component wide"] | None
    widths: tuple[int, int]

    def scores(
        self, features: Float[np.ndarray, "image dim"], *, is_enhanced: bool
    ) -> Float[np.ndarray, "image component"]:
        """Where features lie in this space.

        Raises ShapeError if the width is another one, or a row has no direction.
        """
        new, width = real_numbers(features, "features"), self.widths[is_enhanced]
        if new.ndim != 2 or new.shape[1] != width:
            raise ShapeError(f"the map was made from features of width {width}: got shape {new.shape}")
        centred = _widened(unit_rows(new, "new"), len(self.centre)) - self.centre
        return centred if self.components is None else centred @ self.components.T


def distinct(plain: np.ndarray, enhanced: np.ndarray) -> DistinctPair:
    """Each image once: the first of those whose plain *and* enhanced features are equal as float32."""
    unit_plain, unit_enhanced = feature_pair(plain, enhanced)
    first = first_of_equals(plain, enhanced)
    kept, place_of = np.unique(first, return_inverse=True)
    removed = np.flatnonzero(first != np.arange(len(first)))
    return DistinctPair(
        plain=unit_plain[kept],
        enhanced=unit_enhanced[kept],
        kept=kept,
        place_of=place_of,
        removed=removed,
        equals=first[removed],
    )


def used_perplexity(wanted: float, n_images: int) -> tuple[float, str | None]:
    """The perplexity that so many images allow, (n - 1) / 3 at most, and a sentence if that is less than wanted."""
    if n_images < LEAST_IMAGES:
        raise ShapeError(
            f"a map needs at least {LEAST_IMAGES} images that differ: got {n_images}; add images"
        )
    most = (n_images - 1) / 3
    if wanted <= most:
        return float(wanted), None
    return most, (
        f"Perplexity {wanted:g} was asked for; {counted(n_images, 'images')} allow (n - 1) / 3 = {most:.4g}, which was used."
    )


def map_space(
    plain: Float[np.ndarray, "place dim"], enhanced: Float[np.ndarray, "place wide"], *, pca: int | None
) -> MapSpace:
    """One space for both halves: a PCA fitted on the stack, where that leaves dimensions out."""
    widths = plain.shape[1], enhanced.shape[1]
    stack = np.concatenate([_widened(half, max(widths)) for half in (plain, enhanced)])
    centre, components = stack.mean(axis=0), None
    if pca is not None and pca < min(stack.shape):
        solver = "covariance_eigh" if len(stack) >= stack.shape[1] else "full"
        components = PCA(pca, svd_solver=solver).fit(stack).components_
    scores = stack - centre if components is None else (stack - centre) @ components.T
    return MapSpace(scores[: len(plain)], scores[len(plain) :], centre, components, widths)


def _widened(features: Float[np.ndarray, "image dim"], width: int) -> Float[np.ndarray, "image wide"]:
    """The features and zeros behind them: norms and cosines stay."""
    return np.pad(features, ((0, 0), (0, width - features.shape[1])))
