"""The parts of a paper's figure: cells, the words around them, and colour bars."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from mswin_viz.view.paper.paper_columns import Column
from mswin_viz.view.paper.paper_layout import LINE, Layout, folded_to, title_lines
from mswin_viz.view.paper.paper_maps import PaperMaps, Place
from mswin_viz.view.parts.figure_text import LEAST_SIZE

OPACITY = 0.75
"""Of a map over the picture in grey; the colour bar has it, too."""


def draw_cell(
    axis: Axes, maps: PaperMaps, which: tuple[Place, Column], colours: ScalarMappable | None, *, width: float
) -> None:
    """A picture, a map over the picture in grey, or, in a cell of ``width`` inches, why there is neither."""
    place, column = which
    axis.set_xticks([])
    axis.set_yticks([])
    picture = maps.pictures.get(place)
    if picture is None:
        axis.spines[:].set_color("0.8")
        axis.spines[:].set_linewidth(0.5)
        words = folded_to(maps.missing[place], width)
        axis.text(
            0.5,
            0.5,
            words,
            ha="center",
            va="center",
            fontsize=LEAST_SIZE,
            color="0.4",
            transform=axis.transAxes,
        )
        return
    axis.set_axis_off()
    extent = (0, picture.width, picture.height, 0)
    if colours is None:
        axis.imshow(picture, extent=extent, interpolation="none")
    else:
        axis.imshow(_grey(picture), extent=extent, interpolation="none")
        axis.imshow(
            maps.maps[place, column.name],
            cmap=colours.cmap,
            vmin=colours.get_clim()[0],
            vmax=colours.get_clim()[1],
            alpha=OPACITY,
            extent=extent,
            interpolation="none",
        )
    axis.set_aspect("equal")


def draw_labels(figure: Figure, layout: Layout) -> None:
    """Headings of groups and titles of columns above each block, and words beside each row."""
    width, height = layout.width, layout.height
    n_lines = max(len(title_lines(column, layout.cell[0])) for column in layout.columns)
    for first in range(0, len(layout.rows), layout.n_down):
        for group, heading in enumerate(layout.groups):
            left, top = layout.corner(first, group, 0)
            right = layout.corner(first, group, len(layout.columns) - 1)[0] + layout.cell[0]
            if heading:
                above = top - 0.02 - n_lines * LINE - 0.2 * LINE
                words = folded_to(heading, right - left, most=int((right - left) * 18)).replace("\n", " ")
                figure.text((left + right) / 2 / width, 1 - above / height, words, fontsize=LEAST_SIZE + 1, ha="center", va="bottom", weight="bold")  # fmt: skip
            for at, column in enumerate(layout.columns):
                left, top = layout.corner(first, group, at)
                words = "\n".join(title_lines(column, layout.cell[0]))
                across = (left + layout.cell[0] / 2) / width
                figure.text(across, 1 - (top - 0.02) / height, words, fontsize=LEAST_SIZE, ha="center", va="bottom", linespacing=1.05)  # fmt: skip
    for row, line in enumerate(layout.rows):
        left, top = layout.corner(row, 0, 0)
        middle = 1 - (top + layout.cell[1] / 2) / height
        for at, words in enumerate(reversed(line.label)):
            most = int(layout.cell[1] * 19)
            beside = (left - 0.03 - at * LINE) / width
            figure.text(beside, middle, _cut(words, most), fontsize=LEAST_SIZE, rotation=90, ha="right", va="center")  # fmt: skip


def draw_bar(
    figure: Figure, colours: ScalarMappable, words: str, which: tuple[int, int], *, top: float
) -> None:
    """One of several colour bars side by side, ``top`` inches below the upper edge, with its numbers and its unit."""
    at, n_bars = which
    width, height = figure.get_size_inches()
    long = min(2.4, width / n_bars - 0.5)
    left = (at + 0.5) * width / n_bars - long / 2
    axis = figure.add_axes((left / width, 1 - (top + 0.07) / height, long / width, 0.07 / height))
    axis.set_gid(f"bar {at}")
    low, high = colours.get_clim()
    axis.imshow(
        np.linspace(low, high, 256)[None],
        cmap=colours.cmap,
        vmin=low,
        vmax=high,
        alpha=OPACITY,
        aspect="auto",
        extent=(low, high, 0, 1),
        interpolation="none",
    )
    axis.set_yticks([])
    ticks = [low, 0.0, high] if low < 0 else [0.0, high]
    axis.set_xticks(ticks, [f"{tick:+.2g}" if tick else "0" for tick in ticks])
    axis.tick_params(labelsize=LEAST_SIZE, length=2, width=0.5, pad=1)
    axis.spines[:].set_linewidth(0.5)
    axis.set_xlabel(words, fontsize=LEAST_SIZE, labelpad=1)


def _cut(words: str, most: int) -> str:
    """Words that fit beside a row: the end is left out."""
    return words if len(words) <= most else f"{words[: max(1, most - 1)]}…"


def _grey(picture: Image.Image) -> np.ndarray:
    """Grey and light, so that only the map has colour, ``[H, W, 3]`` 8 bits."""
    grey = np.asarray(ImageOps.grayscale(picture), np.float64) / 255
    return np.repeat(np.round(255 * (0.35 + 0.65 * grey)).astype(np.uint8)[..., None], 3, axis=2)
