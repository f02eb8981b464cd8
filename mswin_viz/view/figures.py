"""Looks -> matplotlib figures, for papers and where widgets cannot run. No pyplot, no global state."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mswin_viz.analysis.panels import Panel, shared_range
from mswin_viz.data.shown_text import short_text
from mswin_viz.view.answers import Look
from mswin_viz.view.colours import CMAPS
from mswin_viz.view.figure_text import caption_lines, draw_plainly, folded_name
from mswin_viz.view.share_bars import share_rows, slot_name

__all__ = [
    "SCREEN_DPI",
    "Display",
    "NotebookFigure",
    "figure_bytes",
    "figure_picture",
    "folded",
    "scales_figure",
]

_DPI = 300
SCREEN_DPI = 110
"""Dots an inch of figures in widgets and notebooks."""
_MOST_OF_A_NAME = 36  # two lines above a picture
_MOST_OF_A_TARGET = 180
_UNITS = {
    "norm": "activation length",
    "share": "share of the cosine",
    "cosine": "cosine",
    "channel": "channel value",
}


class NotebookFigure(Figure):
    """A figure with a picture of its own: Jupyter shows others only once pyplot has been imported."""

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, "Figure", 1)

    def draw(self, renderer: RendererBase) -> None:
        """Draw it with names as they are: see :func:`mswin_viz.view.figure_text.draw_plainly`."""
        draw_plainly(self)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png", dpi=SCREEN_DPI)


@dataclass(frozen=True)
class Display:
    """How a look is displayed: the board's traits of the same names."""

    opacity: float = 0.55
    threshold: float = 0.0
    cmap: str = "auto"
    outline: bool = True
    shared: bool = False
    hidden: Sequence[str] = ()


def scales_figure(look: Look, *, provenance: str = "", display: Display | None = None) -> Figure:
    """A look as one static figure: pictures, heatmaps with their colour bars, shares of the cosine.

    Parameters
    ----------
    look
        What to draw.
    provenance
        The caption below.
    display
        As on the screen.
    """
    display = Display() if display is None else display
    panels = [panel for panel in look.view.panels if panel.key not in display.hidden]
    ranges = _ranges(panels, shared=display.shared)
    n_rows, n_cols = len(look.names), len(panels) + 2
    width = 1.35 * (n_cols - 1) + 2.6
    caption = caption_lines(provenance, int(width * 21))
    height = 2.5 * n_rows + 1.1 + 0.1 * max(0, len(caption) - 2)
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(n_rows, n_cols, squeeze=False, width_ratios=[1] * (n_cols - 1) + [1.7])
    for row, name in enumerate(look.names):
        shown = _moved(look.pictures[row].shown, look)
        axes[row, 0].imshow(shown)
        axes[row, 0].set_title(folded_name(name, 18, most=_MOST_OF_A_NAME), fontsize=8)
        for axis, panel in zip(axes[row, 1:-1], panels, strict=True):
            _draw_panel(axis, panel, row, shown, ranges[panel.key], display)
        _draw_shares(axes[row, -1], look, row)
    for axis in axes[:, :-1].ravel():
        axis.set_axis_off()
    for column, panel in enumerate(panels, start=1):
        bar = figure.colorbar(
            _colours(panel, ranges[panel.key], display), ax=list(axes[:, column]), location="bottom", pad=0.01
        )
        low, high = ranges[panel.key]
        bar.set_ticks(
            [low, (low + high) / 2, high], labels=[f"{n:.2g}" for n in (low, (low + high) / 2, high)]
        )
        bar.ax.tick_params(labelsize=6)
        bar.set_label(_UNITS[panel.unit], fontsize=6)
    if caption:
        figure.supxlabel("\n".join(caption), fontsize=6)
    return figure


def figure_bytes(figure: Figure, kind: str, *, dpi: int = _DPI) -> bytes:
    """A figure as a PNG, SVG or PDF file, at print quality unless it says otherwise."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=dpi)
    return file.getvalue()


def figure_picture(figure: Figure) -> Image.Image:
    """A figure's pixels as on the screen, drawn once: a file takes two rounds, of which one is for its layout."""
    figure.set_dpi(SCREEN_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _ranges(panels: Sequence[Panel], *, shared: bool) -> Mapping[str, tuple[float, float]]:
    """Each panel's colour range: its own, or one for all panels of a unit."""
    groups: dict[str, list[np.ndarray]] = {}
    for panel in panels:
        groups.setdefault(panel.unit if shared else panel.key, []).append(panel.values)
    return {
        panel.key: shared_range(groups[panel.unit if shared else panel.key], signed=panel.signed)
        for panel in panels
    }


def _colours(panel: Panel, limits: tuple[float, float], display: Display) -> ScalarMappable:
    name = (CMAPS[-1] if panel.signed else CMAPS[0]) if display.cmap == "auto" else display.cmap
    return ScalarMappable(Normalize(*limits), colormaps[name])


def _moved(image: Image.Image, look: Look) -> Image.Image:
    """The picture with its patches where a shuffle put them."""
    if look.shuffle is None:
        return image
    rows, cols = look.subject.tokens.grid
    width, height = image.width // cols, image.height // rows
    moved = image.copy()
    for to, origin in enumerate(look.shuffle.order):
        (r, c), (down, across) = divmod(int(origin), cols), divmod(to, cols)
        patch = image.crop((c * width, r * height, (c + 1) * width, (r + 1) * height))
        moved.paste(patch, (across * width, down * height))
    return moved


def _draw_panel(
    axis: Axes, panel: Panel, row: int, image: Image.Image, limits: tuple[float, float], display: Display
) -> None:
    rows, cols = panel.geometry.grid
    heat = folded(panel, row)
    colours = _colours(panel, limits, display)
    reach = max(abs(limits[0]), abs(limits[1])) if panel.signed else limits[1] - limits[0]
    strength = (np.abs(heat) if panel.signed else heat - limits[0]) / (reach or 1)
    rgba = colours.to_rgba(heat.reshape(rows, cols))
    seen = np.isfinite(heat) & (np.nan_to_num(strength) >= display.threshold)
    rgba[..., 3] = np.where(seen, display.opacity, 0).reshape(rows, cols)
    extent = (0, image.width, image.height, 0)
    axis.imshow(image)
    axis.imshow(rgba, extent=extent, interpolation="nearest")
    cell = image.width / cols, image.height / rows
    if display.outline and panel.geometry.scale > 1:
        _draw_outlines(axis, panel, *cell)
    for token in panel.geometry.dropped:
        corner = (token % cols * cell[0], token // cols * cell[1])
        axis.add_patch(Rectangle(corner, *cell, fill=False, hatch="////", ec="0.35", lw=0))
    axis.set_title("\n".join(filter(None, (panel.title, panel.origin))), fontsize=8)


def folded(panel: Panel, row: int) -> np.ndarray:
    """One value a token: the mean of the finite values of its windows, NaN where there is none."""
    tokens, n_tokens = panel.geometry.tokens, panel.geometry.n_tokens
    values = np.repeat(panel.values[row], tokens.shape[1])
    finite = np.isfinite(values)
    at = tokens.ravel()[finite]
    sums = np.bincount(at, weights=values[finite], minlength=n_tokens)
    counts = np.bincount(at, minlength=n_tokens)
    return np.divide(sums, counts, out=np.full(n_tokens, np.nan), where=counts > 0)


def _draw_outlines(axis: Axes, panel: Panel, width: float, height: float) -> None:
    """A line wherever two neighbouring cells belong to different windows."""
    geometry = panel.geometry
    member = np.zeros((geometry.n_tokens, geometry.n_windows), bool)
    member[geometry.tokens.ravel(), np.repeat(np.arange(geometry.n_windows), geometry.scale)] = True
    member = member.reshape(*geometry.grid, -1)
    lines = [
        [((col + 1) * width, row * height), ((col + 1) * width, (row + 1) * height)]
        for row, col in np.argwhere((member[:, 1:] != member[:, :-1]).any(axis=2))
    ]
    lines += [
        [(col * width, (row + 1) * height), ((col + 1) * width, (row + 1) * height)]
        for row, col in np.argwhere((member[1:] != member[:-1]).any(axis=2))
    ]
    axis.add_collection(LineCollection(lines, colors="white", linewidths=0.5), autolim=False)


def _draw_shares(axis: Axes, look: Look, image: int) -> None:
    rows = share_rows(look, image)[::-1]
    values = [value for _, value in rows]
    axis.barh(range(len(rows)), values, color=["#b2182b" if value >= 0 else "#2166ac" for value in values])
    axis.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=7)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.tick_params(axis="x", labelsize=6)
    axis.locator_params(axis="x", nbins=4)
    axis.spines[["top", "right"]].set_visible(False)
    sums = f"enhanced {look.view.cosine.score[image]:.3f}"
    if not look.is_pair:
        sums = f"plain {look.view.plain_cosine[image]:.3f}, {sums}"
    if (gate := look.view.cosine.gate) is not None:
        weights = zip(look.view.slots, gate[image], strict=True)
        sums += "\ngate " + ", ".join(
            f"{slot_name(slot).removeprefix('scale ')}: {g:.2f}" for slot, g in weights
        )
    words = textwrap.fill(f"cosine with “{short_text(look.target, _MOST_OF_A_TARGET)}”", 30)
    axis.set_title(f"{words}\n{sums}", fontsize=7)
