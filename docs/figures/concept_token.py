"""Draws docs/figures/concept_token.png: an image, its grid of patches in reading order, and the tokens that the tower makes of them.

Run: python docs/figures/concept_token.py
"""

from __future__ import annotations

import numpy as np
from concept_example import BLUE, ORANGE, SMALL, on_grid, sheet, show, the_picture, the_tokens, titled
from matplotlib.axes import Axes
from PIL import Image

N_CHANNELS, MARKED = 48, 37


def main() -> None:
    tokens, picture = the_tokens(), the_picture()
    figure = sheet(4.4)
    image, grid, table = figure.subplots(1, 3, width_ratios=[1, 1.05, 2.3])
    on_grid(image, picture, tokens.grid)
    titled(image, f"image\n{picture.height} x {picture.width} pixels")
    _draw_patches(grid, picture, tokens.grid)
    rows, cols = tokens.grid
    titled(grid, f"grid\n{rows} x {cols} patches, row by row")
    _draw_tokens(
        table, np.concatenate([np.asarray(tokens.cls)[:, None], np.asarray(tokens.patches)], axis=1)[0]
    )
    show(figure, "concept_token")


def _draw_patches(axis: Axes, picture: Image.Image, grid: tuple[int, int]) -> None:
    on_grid(axis, picture, grid)
    rows, cols = grid
    for row in range(rows + 1):
        axis.axhline(row, color="white", lw=0.9)
    for col in range(cols + 1):
        axis.axvline(col, color="white", lw=0.9)
    for number in sorted({*range(0, rows * cols, cols), *range(cols - 1, rows * cols, cols), MARKED}):
        row, col = divmod(number, cols)
        back = {"facecolor": ORANGE if number == MARKED else "white", "alpha": 0.8, "lw": 0, "pad": 0.8}
        axis.text(col + 0.5, row + 0.5, number, fontsize=7.5, ha="center", va="center", bbox=back)


def _draw_tokens(axis: Axes, values: np.ndarray) -> None:
    """The first channels of every token, CLS on top."""
    shown = values[:, :N_CHANNELS] / values.std(axis=1, keepdims=True)
    n = len(shown)
    axis.imshow(shown[:1], extent=(0, 100, -2, -9), cmap="RdBu_r", vmin=-2.5, vmax=2.5, aspect="auto")
    axis.imshow(shown[1:], extent=(0, 100, n - 1, 0), cmap="RdBu_r", vmin=-2.5, vmax=2.5, aspect="auto")
    axis.set_xlim(-24, 101)
    axis.set_ylim(n, -10)
    axis.text(-2, -5.5, "CLS", ha="right", va="center", fontsize=SMALL, color=BLUE, weight="bold")
    for number in (0, MARKED, n - 2):
        is_marked = number == MARKED
        axis.text(
            -2, number + 0.5, f"patch {number}", ha="right", va="center", fontsize=SMALL,
            color=ORANGE if is_marked else "0.2", weight="bold" if is_marked else "normal",
        )  # fmt: skip
    axis.plot([0, 100, 100, 0, 0], [MARKED, MARKED, MARKED + 1, MARKED + 1, MARKED], color=ORANGE, lw=1.6)
    titled(
        axis,
        f"tokens: 1 + {n - 1} rows of {values.shape[1]} numbers\n(the first {N_CHANNELS} of them are drawn)",
    )


if __name__ == "__main__":
    main()
