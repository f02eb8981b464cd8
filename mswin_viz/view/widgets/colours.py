"""The colours of figures and widgets."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import UInt8

CMAPS = ("viridis", "cividis", "magma", "RdBu_r")
"""The colour maps of heatmaps, by matplotlib's names."""
UNSIGNED, SIGNED = CMAPS[0], CMAPS[-1]
"""The maps that "auto" stands for: that of values from a low to a high one, and that of values about zero."""
COLOUR_ENDS = {
    "viridis": ("violet", "yellow"),
    "cividis": ("dark blue", "yellow"),
    "magma": ("black", "light yellow"),
    "RdBu_r": ("blue", "red"),
}
"""What the two ends of a colour map are called."""
MARK_COLOURS = {"right": "#009e73", "wrong": "#d55e00", "unknown": "#8a8a8a"}
"""The mark of a neighbour (Okabe and Ito, for the colour-blind); the style sheet of the strip has the same."""
FEATURES = {"plain": "#8a8f98", "enhanced": "#0072b2"}
RISES, FALLS, STAYS = "#1b7837", "#b35806", "0.6"
"""A measure that the add-on raises, lowers or leaves as it is."""
_FEW = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#9a8700", "#7a52a8"]
_GOLDEN = 0.6180339887498949
_TONES = ((0.47, 0.75), (0.66, 0.85), (0.38, 0.95), (0.57, 0.45), (0.74, 0.6))
_POSITIVE, _NEGATIVE = "#b2182b", "#2166ac"


def sign_colour(value: float) -> str:
    """Red for a share that raises the score, blue for one that lowers it, as at the ends of ``SIGNED``."""
    return _POSITIVE if value >= 0 else _NEGATIVE


def colour_tables() -> UInt8[np.ndarray, "maps 256 3"]:
    """Red, green and blue of every map in ``CMAPS``, as matplotlib has them: canvas and figures cannot differ."""
    places = np.arange(256)
    return np.stack([colormaps[name].resampled(256)(places, bytes=True)[:, :3] for name in CMAPS])


def end_colours(cmap: str) -> tuple[str, str]:
    """The colours of low and high values in a map of ``CMAPS``; a step inside its ends, which are too dark to tell apart."""
    low, high = colormaps[cmap]([0.1, 0.9])
    return to_hex(low), to_hex(high)


def distinct_colours(n: int) -> tuple[str, ...]:
    """Different colours that can be seen on white and on black; the first are the furthest apart.

    The colour-blind can tell the first eight apart (after Okabe and Ito); then hues go round by the golden
    section, in five tones. Of 24 colours the nearest two are 12.6 apart (CIELAB), of seaborn's husl palette 8.5.
    """
    if n < 0:
        raise OptionError(f"the number of colours must be at least 0: got {n}")
    colours, step = dict.fromkeys(_FEW[:n]), 0
    while len(colours) < n:
        lightness, saturation = _TONES[step % len(_TONES)]
        colours[to_hex(colorsys.hls_to_rgb((step * _GOLDEN) % 1.0, lightness, saturation))] = None
        step += 1
        if step > 4 * n + 64:  # 24 bits of colour have run out of new roundings on this walk
            raise OptionError(
                f"no more than {counted(len(colours), 'colours')} differ: got {n}; colour by a value"
            )
    return tuple(colours)
