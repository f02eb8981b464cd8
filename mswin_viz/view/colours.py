"""The colours of figures and widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

if TYPE_CHECKING:
    from jaxtyping import UInt8

__all__ = [
    "CMAPS",
    "FALLS",
    "FEATURES",
    "MARK_COLOURS",
    "RISES",
    "SIGNED",
    "UNSIGNED",
    "colour_tables",
    "sign_colour",
]

CMAPS = ("viridis", "cividis", "magma", "RdBu_r")
"""The colour maps of heatmaps, by matplotlib's names."""
UNSIGNED, SIGNED = CMAPS[0], CMAPS[-1]
"""The maps that "auto" stands for: that of values from a low to a high one, and that of values about zero."""
MARK_COLOURS = {"right": "#009e73", "wrong": "#d55e00", "unknown": "#8a8a8a"}
"""The mark of a neighbour (Okabe and Ito, for the colour-blind); the style sheet of the strip has the same."""
FEATURES = {"plain": "#8a8f98", "enhanced": "#0072b2"}
RISES, FALLS, STAYS = "#1b7837", "#b35806", "0.6"
"""A measure that the add-on raises, lowers or leaves as it is."""
_POSITIVE, _NEGATIVE = "#b2182b", "#2166ac"


def sign_colour(value: float) -> str:
    """Red for a share that raises the score, blue for one that lowers it, as at the ends of ``SIGNED``."""
    return _POSITIVE if value >= 0 else _NEGATIVE


def colour_tables() -> UInt8[np.ndarray, "maps 256 3"]:
    """Red, green and blue of every map in ``CMAPS``, as matplotlib has them: canvas and figures cannot differ."""
    places = np.arange(256)
    return np.stack([colormaps[name].resampled(256)(places, bytes=True)[:, :3] for name in CMAPS])
