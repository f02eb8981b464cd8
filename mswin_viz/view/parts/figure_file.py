"""How every figure is made, styled and saved. No pyplot, no global state."""

from __future__ import annotations

import io
from numbers import Real

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_text import draw_plainly, truetype

FORMATS = ("png", "svg", "pdf")
"""The kinds of files that a figure is saved as."""
SCREEN_DPI = 110
"""Dots an inch of figures in widgets and notebooks."""
_PRINT_DPI = 300
_MOST_PIXELS = 2**16
"""Along a side of a picture; more takes gigabytes."""
_ABOUT = {"png": "Description", "svg": "Description", "pdf": "Subject"}
"""Where the files keep what a figure's label says."""


class NotebookFigure(Figure):
    """A figure that draws itself in Jupyter, which shows others only once pyplot has been imported."""

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, "Figure", 1)

    def draw(self, renderer: RendererBase) -> None:
        """Draw it with names as they are: see :func:`mswin_viz.view.parts.figure_text.draw_plainly`."""
        draw_plainly(self)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png", dpi=SCREEN_DPI)


def new_figure(width: float, height: float) -> NotebookFigure:
    """An empty figure of a size in inches, which fits its parts together when it is drawn."""
    return NotebookFigure(figsize=(width, height), layout="constrained", dpi=100)


def fixed_figure(width: float, height: float) -> NotebookFigure:
    """An empty figure of a size in inches, whose parts stay where they are put."""
    return NotebookFigure(figsize=(width, height), dpi=100)


def cell_size(image: Image.Image, *, width: float, height: float, above: float) -> tuple[float, float]:
    """Width and height of a picture's place in a figure, in inches, with ``above`` for its title.

    An upright picture has ``width`` and at most ``height``; one that lies is wider, and no higher than it needs.
    """
    wide = width if image.height >= image.width else 1.4 * width
    return wide, min(height, 0.8 * wide * image.height / image.width + above)


def tidy(*axes: Axes, size: float = 7) -> None:
    """Small numbers at the ticks, and no line above and to the right."""
    for axis in axes:
        axis.tick_params(labelsize=size)
        axis.spines[["top", "right"]].set_visible(False)


def figure_bytes(figure: Figure, kind: str, *, dpi: int = _PRINT_DPI) -> bytes:
    """A figure as a PNG, SVG or PDF file, at print quality unless it says otherwise.

    A PDF holds its fonts (TrueType), and text that can be searched. What ``figure.get_label()`` says, the provenance of a
    :func:`paper_figure`, stands in the file's metadata.

    Parameters
    ----------
    figure
        Of matplotlib.
    kind
        ``"png"``, ``"svg"`` or ``"pdf"``.
    dpi
        Dots an inch, of PNG and of pictures within the others.

    Returns
    -------
    file
        The content of the file.

    Raises
    ------
    OptionError
        If ``figure`` is not a figure, ``kind`` none of the three, or ``dpi`` not a number that a picture can have.

    Examples
    --------
    >>> table = mv.embed(model, samples[:8], modalities=["RGB"], progress=False)
    >>> figure = mv.ranked_figure(table, {"plain": mv.neighbours(table, 0, k=3)})
    >>> mv.figure_bytes(figure, "png", dpi=50)[1:4]
    b'PNG'
    """
    if not isinstance(figure, Figure):
        raise OptionError(
            f"a file is made of a figure of matplotlib: got {value_words(figure)}; see mswin_viz.paper_figure"
        )
    if kind not in FORMATS:
        raise OptionError(f"kind must be one of {', '.join(FORMATS)}: got {value_words(kind)}")
    is_number = isinstance(dpi, Real) and not isinstance(dpi, bool)
    if not is_number or not 1 <= dpi * max(figure.get_size_inches()) < _MOST_PIXELS:
        raise OptionError(
            f"dpi is a number of dots an inch that gives a picture of 1 to {_MOST_PIXELS - 1:,} pixels a side: got "
            f"{value_words(dpi)}; 300 is usual in print"
        )
    file, words = io.BytesIO(), str(figure.get_label())
    about = {_ABOUT[kind]: words} if words else None
    with truetype():
        figure.savefig(file, format=kind, dpi=dpi, metadata=about)
    return file.getvalue()


def figure_picture(figure: Figure) -> Image.Image:
    """A figure's pixels as on the screen, drawn once: a file takes two rounds, of which one is for its layout."""
    figure.set_dpi(SCREEN_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
