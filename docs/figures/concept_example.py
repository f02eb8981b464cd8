"""What the pictures of the concepts share: one model, one sample, and how a picture is laid out."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes, new_figure

PROMPT, SAMPLE = "a person wearing green bottoms", "000001_cam2_0_00"
SMALL, MEDIUM = 10, 11.5
"""Sizes of letters, in points, at nine inches of width: legible where the picture is 700 pixels wide."""
BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#8a8f98"


@cache
def the_model() -> mv.Model:
    """The embedded model."""
    return mv.load_model(device="cpu")


@cache
def the_sample() -> mv.Sample:
    """The shipped sample that all of these pictures show."""
    return next(sample for sample in mv.samples() if sample.name == SAMPLE)


@cache
def the_tokens() -> mv.Tokens:
    """The sample's tokens, in RGB."""
    return the_model().encode(the_sample().images["RGB"])


def the_picture() -> Image.Image:
    """The sample as the tower sees it."""
    return the_model().displayed(the_sample().images["RGB"])


def the_text() -> np.ndarray:
    """The direction of the prompt."""
    return np.asarray(the_model().encode_text(PROMPT)[0])


def sheet(height: float) -> Figure:
    """An empty picture of nine inches in width."""
    return new_figure(9.0, height)


def show(figure: Figure, name: str, *, has_palette: bool = True) -> None:
    """Write the picture."""
    save_picture(figure_bytes(figure, "png", dpi=200), name, has_palette=has_palette)


def titled(axis: Axes, title: str) -> None:
    """A title above, and no frame."""
    axis.set_title(title, fontsize=SMALL)
    axis.set_axis_off()


def on_grid(axis: Axes, picture: Image.Image, grid: tuple[int, int]) -> None:
    """A picture in units of patches: row and column are the coordinates."""
    rows, cols = grid
    axis.imshow(picture, extent=(0, cols, rows, 0), aspect=picture.height / picture.width * cols / rows)
    axis.set_xlim(-0.02, cols + 0.02)
    axis.set_ylim(rows + 0.02, -0.02)
