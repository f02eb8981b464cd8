"""The record of an attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.windows.geometry import WindowGeometry

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much of a score each pixel, token or window accounts for.

    Attributes
    ----------
    values
        Signed; ``[B, H, W]`` for pixels (channels added up), ``[B, N]`` for tokens, ``[B, n_windows]``.
    score, baseline_score
        The score of each image, and of its baseline (NaN where the method has none), ``[B]``.
    rest
        What falls on tokens that no window covers, ``[B]``.
    delta
        ``values + rest - (score - baseline_score)``, added up, ``[B]``; NaN where values are not meant to add up.
    norm
        Norm of the target's feature at the inputs, ``[B]``; frozen or recomputed as ``parameters`` say.
    method, level, target
        As chosen; the target in words, with its feature.
    grid, geometry
        Rows and columns of patches; the windows at the window level, else None.
    seconds
        What it took.
    parameters
        Settings that the result depends on.
    provenance
        Which weights, input and normalisation.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> maps = mv.attribute(model, tokens, target, level="tokens", n_steps=8)
    >>> maps.values.shape, maps.on_patches().reshape(4, *maps.grid).shape
    ((4, 128), (4, 16, 8))
    >>> maps.method, maps.level, maps.target
    ('integrated_gradients', 'tokens', 'the text “a person wearing a red top”, enhanced CLS')
    """

    values: Float[np.ndarray, "batch ..."]
    score: Float[np.ndarray, " batch"]
    baseline_score: Float[np.ndarray, " batch"]
    rest: Float[np.ndarray, " batch"]
    delta: Float[np.ndarray, " batch"]
    norm: Float[np.ndarray, " batch"]
    method: str
    level: str
    target: str
    grid: tuple[int, int]
    geometry: WindowGeometry | None
    seconds: float
    parameters: Mapping[str, Any]
    provenance: str

    def on_patches(self) -> Float[np.ndarray, "batch token"]:
        """One value for each patch: pixels added up, a window's value spread evenly over its tokens."""
        batch, (rows, cols) = len(self.values), self.grid
        if self.level == "pixels":
            sides = self.values.shape[1:]
            starts = [-(-np.arange(n) * side // n) for n, side in zip(self.grid, sides, strict=True)]
            summed = np.add.reduceat(np.add.reduceat(self.values, starts[0], axis=1), starts[1], axis=2)
            return summed.reshape(batch, -1)
        if self.geometry is None:
            return self.values
        spread = np.zeros((batch, rows * cols))
        for window, tokens in enumerate(self.geometry.tokens):
            spread[:, tokens] = self.values[:, [window]] / len(tokens)
        return spread
