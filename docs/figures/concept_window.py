"""Draws docs/figures/concept_window.png: the windows of scales 4, 8 and 16, and of 12, one of which runs over the end of a row.

Run: python docs/figures/concept_window.py
"""

from __future__ import annotations

import numpy as np
from concept_example import BLUE, ORANGE, SMALL, on_grid, sheet, show, the_picture, the_tokens, titled
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import ImageOps

import mswin_viz as mv

SCALES, MARKED = (4, 8, 16, 12), 5
WORDS = {4: "half a row", 8: "a row", 16: "two rows", 12: "a row and a half"}


def main() -> None:
    grid, picture = the_tokens().grid, ImageOps.grayscale(the_picture()).convert("RGB")
    figure = sheet(4.5)
    for axis, scale in zip(figure.subplots(1, len(SCALES)), SCALES, strict=True):
        geometry = mv.windows(grid, scale)
        on_grid(axis, picture, grid)
        _draw_windows(axis, geometry)
        dropped = f", {len(geometry.dropped)} dropped" if len(geometry.dropped) else ""
        titled(axis, f"scale {scale}: {WORDS[scale]}\n{geometry.n_windows} windows{dropped}")
    figure.text(
        0.5, 0.0, f"orange: window {MARKED}, counted from 0; hatched: tokens that no window covers",
        ha="center", va="bottom", fontsize=SMALL,
    )  # fmt: skip
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    show(figure, "concept_window")


def _draw_windows(axis: Axes, geometry: mv.WindowGeometry) -> None:
    """Tinted tokens with white lines between windows, one of which is marked, and the order in which it is read."""
    rows, cols = geometry.grid
    of_token = np.full(geometry.n_tokens, -1)
    for window, tokens in enumerate(geometry.tokens):
        of_token[tokens] = window
    of_token = of_token.reshape(rows, cols)
    for (row, col), window in np.ndenumerate(of_token):
        look = {
            "facecolor": ORANGE if window == MARKED else BLUE,
            "alpha": 0.85 if window == MARKED else 0.38,
        }
        if window < 0:
            look = {"facecolor": "white", "edgecolor": "0.35", "hatch": "////", "alpha": 0.9}
        axis.add_patch(Rectangle((col, row), 1, 1, lw=0, **look))
        line = {"color": "white", "lw": 1.6, "solid_capstyle": "butt"}
        if row and of_token[row - 1, col] != window:
            axis.plot([col, col + 1], [row, row], **line)
        if col and of_token[row, col - 1] != window:
            axis.plot([col, col], [row, row + 1], **line)
    _draw_order(axis, geometry.tokens[MARKED], cols)


def _draw_order(axis: Axes, tokens: np.ndarray, cols: int) -> None:
    rows, places = np.divmod(tokens, cols)
    for row in np.unique(rows):
        here = places[rows == row]
        arrow = {"arrowstyle": "->", "lw": 1.6, "color": "black", "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", (here.max() + 0.85, row + 0.5), (here.min() + 0.15, row + 0.5), arrowprops=arrow)


if __name__ == "__main__":
    main()
