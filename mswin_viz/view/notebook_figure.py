"""A matplotlib figure that a notebook draws as it stands."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["NotebookFigure", "figure_png"]


class NotebookFigure(Figure):
    """A figure with a picture of its own: Jupyter shows others only once pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        return figure_png(self)


def figure_png(figure: Figure, *, dpi: int = 110) -> bytes:
    """A figure as a PNG file, for a widget or a browser."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()
