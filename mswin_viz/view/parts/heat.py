"""A panel's numbers as colours over a picture, in figures as on the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.view.widgets.colours import SIGNED, UNSIGNED

if TYPE_CHECKING:
    from jaxtyping import Float


def colour_scale(limits: tuple[float, float], *, signed: bool, cmap: str = "auto") -> ScalarMappable:
    """The colours of values between two limits; "auto" chooses the map by the sign."""
    name = (SIGNED if signed else UNSIGNED) if cmap == "auto" else cmap
    return ScalarMappable(Normalize(*limits), colormaps[name])


def token_means(panel: Panel, row: int) -> Float[np.ndarray, " token"]:
    """Mean of the finite values of each token's windows; NaN if it has none."""
    tokens, n_tokens = panel.geometry.tokens, panel.geometry.n_tokens
    values = np.repeat(panel.values[row], tokens.shape[1])
    finite = np.isfinite(values)
    tokens = tokens.ravel()[finite]
    sums = np.bincount(tokens, weights=values[finite], minlength=n_tokens)
    counts = np.bincount(tokens, minlength=n_tokens)
    return np.divide(sums, counts, out=np.full(n_tokens, np.nan), where=counts > 0)


def heat_pixels(
    panel: Panel,
    row: int,
    colours: ScalarMappable,
    *,
    opacity: float,
    threshold: float = 0,
    signed: bool | None = None,
) -> Float[np.ndarray, "rows cols 4"]:
    """Red, green, blue and alpha of each patch in one row, ``colours`` from :func:`colour_scale`.

    What is weaker than the threshold is transparent. The threshold is a fraction of the range, measured from zero if the
    numbers are ``signed`` (None: as the panel's are), else from the low end.
    """
    signed = panel.signed if signed is None else signed
    heat = token_means(panel, row).reshape(panel.geometry.grid)
    low, high = colours.get_clim()
    reach = max(abs(low), abs(high)) if signed else high - low
    strength = (np.abs(heat) if signed else heat - low) / (reach or 1)
    pixels = colours.to_rgba(heat)
    pixels[..., 3] = np.where(np.isfinite(heat) & (np.nan_to_num(strength) >= threshold), opacity, 0)
    return pixels
