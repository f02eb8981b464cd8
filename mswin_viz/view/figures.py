"""Records -> matplotlib figures, for papers and where widgets cannot run. No pyplot, no global state."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mswin_viz.analysis.scale_view import Panel, ScaleView
from mswin_viz.view.heatmap import CMAPS
from mswin_viz.view.share_bars import share_rows

__all__ = ["scales_figure"]


def scales_figure(
    view: ScaleView, image: Image.Image, *, target: str, provenance: str = "", opacity: float = 0.55
) -> Figure:
    """The explorer's view as one static figure: image, a heatmap for each scale, shares of the cosine.

    Parameters
    ----------
    view
        What to draw.
    image
        The picture as the model saw it.
    target
        The target in words.
    provenance
        Printed small below.
    opacity
        Of the heat, 0..1.
    """
    n_panels = len(view.panels) + 1
    figure = Figure(figsize=(1.75 * n_panels + 3.6, 4.1), layout="constrained")
    axes = figure.subplots(1, n_panels + 1, width_ratios=[1] * n_panels + [1.5])
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=9)
    norm = Normalize(*view.value_range)
    cmap = colormaps[CMAPS[-1] if view.signed else CMAPS[0]]
    for axis, panel in zip(axes[1:-1], view.panels, strict=True):
        _draw_panel(axis, panel, image, ScalarMappable(norm, cmap), opacity)
    for axis in axes[:-1]:
        axis.set_axis_off()
    figure.colorbar(ScalarMappable(norm, cmap), ax=list(axes[1:-1]), location="bottom", shrink=0.6, aspect=40)
    _draw_shares(axes[-1], view, target)
    if provenance:
        figure.supxlabel(provenance, fontsize=6, wrap=True)
    return figure


def _draw_panel(
    axis: Axes, panel: Panel, image: Image.Image, colours: ScalarMappable, opacity: float
) -> None:
    rows, cols = panel.geometry.grid
    extent = (0, image.width, image.height, 0)
    heat = np.full(rows * cols, np.nan)
    owner = np.full(rows * cols, -1)
    heat[panel.geometry.tokens.ravel()] = np.repeat(panel.values, panel.geometry.tokens.shape[1])
    owner[panel.geometry.tokens.ravel()] = np.repeat(
        np.arange(panel.geometry.n_windows), panel.geometry.tokens.shape[1]
    )
    rgba = colours.to_rgba(heat.reshape(rows, cols))
    rgba[..., 3] = np.where(np.isnan(heat), 0, opacity).reshape(rows, cols)
    axis.imshow(image)
    axis.imshow(rgba, extent=extent, interpolation="nearest")
    _draw_outlines(axis, owner.reshape(rows, cols), image.width / cols, image.height / rows)
    for token in panel.geometry.dropped:
        row, col = divmod(int(token), cols)
        corner = (col * image.width / cols, row * image.height / rows)
        cell = Rectangle(
            corner, image.width / cols, image.height / rows, fill=False, hatch="////", ec="0.35", lw=0
        )
        axis.add_patch(cell)
    axis.set_title(f"scale {panel.scale}\n{panel.origin}", fontsize=9)


def _draw_outlines(axis: Axes, owner: np.ndarray, width: float, height: float) -> None:
    """A line wherever two neighbouring cells belong to different windows."""
    for row, col in zip(*np.nonzero(owner[:, 1:] != owner[:, :-1]), strict=True):
        x = (col + 1) * width
        axis.plot([x, x], [row * height, (row + 1) * height], color="white", lw=0.5)
    for row, col in zip(*np.nonzero(owner[1:] != owner[:-1]), strict=True):
        y = (row + 1) * height
        axis.plot([col * width, (col + 1) * width], [y, y], color="white", lw=0.5)


def _draw_shares(axis: Axes, view: ScaleView, target: str) -> None:
    rows = share_rows(view)[::-1]
    values = [value for _, value in rows]
    axis.barh(range(len(rows)), values, color=["#b2182b" if value >= 0 else "#2166ac" for value in values])
    axis.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=8)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    sums = f"plain {view.plain_cosine:.3f}, enhanced {view.cosine.score[0]:.3f}"
    axis.set_title(f"shares of the cosine with\n“{target}”\n{sums}", fontsize=8, wrap=True)
