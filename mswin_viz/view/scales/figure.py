"""The scale explorer's view as one static figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mswin_viz.analysis.scales.panels import Panel, shared_range
from mswin_viz.analysis.scales.token_panels import PATCH_PANELS
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.figure_text import caption_lines, folded_name, write_caption
from mswin_viz.view.parts.heat import colour_scale, heat_pixels
from mswin_viz.view.parts.waterfall import draw_waterfall, waterfall_bars, waterfall_words
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.share_bars import cls_rows, waterfall_of
from mswin_viz.view.scales.slot_names import slot_name
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import THOUSANDTHS, VALUES, unit_words

__all__ = ["Display", "scales_figure"]

_MOST_OF_A_NAME = 36  # two lines above a picture
_MOST_OF_A_TARGET = 180
_PIN = "#ffb000"


@dataclass(frozen=True, kw_only=True)
class Display:
    """How the heatmaps are drawn: the board's traits of the same names."""

    opacity: float = 0.55
    threshold: float = 0.0
    cmap: str = "auto"
    outline: bool = True
    shared: bool = False
    hidden: Sequence[str] = ()
    pinned: Mapping[str, Any] | None = None


def named_figure(result: ExplorerResult | None, board: HeatmapBoard, words: str) -> tuple[str, Figure]:
    """The figure of a result as a board shows it, and the name of its file, without an ending.

    Raises OptionError if there is no result.
    """
    if result is None:
        raise OptionError(
            "a figure shows what is on screen: there is nothing yet; choose an image that can be read"
        )
    name = "_".join([*(sample.name for sample in result.samples), "scales"])
    display = Display(**{option.name: getattr(board, option.name) for option in fields(Display)})
    return name, scales_figure(result, provenance=words, display=display)


def scales_figure(result: ExplorerResult, *, provenance: str = "", display: Display | None = None) -> Figure:
    """Pictures, heatmaps with their colour bars, and the shares of the cosine; drawn as on a new board if ``display`` is None."""
    display = display or Display()
    panels = [panel for panel in result.view.panels if panel.key not in display.hidden]
    ranges = _ranges(panels, shared=display.shared)
    n_rows, n_cols = len(result.names), len(panels) + 2
    width = 1.35 * (n_cols - 1) + 3.1
    words = filter(None, (shown_words(result, display.pinned), provenance))
    caption = caption_lines(" ".join(words), int(width * 21))
    figure = new_figure(width, 2.5 * n_rows + 1.1 + 0.1 * max(0, len(caption) - 2))
    axes = figure.subplots(n_rows, n_cols, squeeze=False, width_ratios=[1] * (n_cols - 1) + [2.1])
    for row, name in enumerate(result.names):
        shown = _moved(result.pictures[row].shown, result)
        axes[row, 0].imshow(shown)
        axes[row, 0].set_title(folded_name(name, 18, most=_MOST_OF_A_NAME), fontsize=8)
        for axis, panel in zip(axes[row, 1:-1], panels, strict=True):
            _draw_panel(axis, panel, row, shown, ranges[panel.key], display)
        _draw_shares(axes[row, -1], result, row)
    for axis in axes[:, :-1].ravel():
        axis.set_axis_off()
    for panel, column in zip(panels, axes[:, 1:-1].T, strict=True):
        _draw_colour_bar(figure, list(column), panel, ranges[panel.key], display)
    write_caption(figure, caption)
    return figure


def shown_words(result: ExplorerResult, pinned: Mapping[str, Any] | None = None) -> str:
    """Whose pictures these are, their scores, and the window that is pinned."""
    names = " and ".join(sample.name for sample in result.samples)
    scores = zip(result.names, result.view.cosine.score, strict=True)
    words = f"{names}: cosine of the enhanced CLS with “{short_text(result.target, _MOST_OF_A_TARGET)}”: "
    words += ", ".join(f"{row} {score:.3f}" for row, score in scores) + "."
    for panel in result.view.panels:
        if pinned and _is_pinned(panel, int(pinned["row"]), pinned):
            row, window = int(pinned["row"]), int(pinned["window"])
            value = f"{VALUES[panel.unit]} {panel.values[row, window]:.3g}"
            kind = "patch" if panel.key in PATCH_PANELS else "window"
            words += f" Pinned: {kind} {window} of {panel.title}, {result.names[row]}: {value}."
    return words


def _is_pinned(panel: Panel, row: int, pinned: Mapping[str, Any]) -> bool:
    """Whether a pin, which may be older than the panels, is a window of one row of this panel."""
    is_there = row < len(panel.values) and int(pinned["window"]) < panel.geometry.n_windows
    return is_there and pinned["key"] == panel.key and int(pinned["row"]) == row


def _ranges(panels: Sequence[Panel], *, shared: bool) -> Mapping[str, tuple[float, float]]:
    """Each panel's colour range: its own, or one for all panels of a unit."""
    if not shared:
        return {panel.key: shared_range([panel.values], signed=panel.signed) for panel in panels}
    of_unit = {panel.unit: [other.values for other in panels if other.unit == panel.unit] for panel in panels}
    return {panel.key: shared_range(of_unit[panel.unit], signed=panel.signed) for panel in panels}


def _draw_colour_bar(
    figure: Figure, axes: list[Axes], panel: Panel, limits: tuple[float, float], display: Display
) -> None:
    colours = colour_scale(limits, signed=panel.signed, cmap=display.cmap)
    bar = figure.colorbar(colours, ax=axes, location="bottom", pad=0.01)
    ticks = [limits[0], sum(limits) / 2, limits[1]]
    factor = 1000 if panel.unit in THOUSANDTHS else 1
    bar.set_ticks(ticks, labels=[f"{factor * tick:.3g}" for tick in ticks])
    bar.ax.tick_params(labelsize=6)
    bar.set_label(unit_words(panel.unit), fontsize=6)


def _moved(image: Image.Image, result: ExplorerResult) -> Image.Image:
    """The picture with its patches where a shuffle put them."""
    if result.shuffle is None:
        return image
    rows, cols = result.subject.tokens.grid
    width, height = image.width // cols, image.height // rows
    moved = image.copy()
    for to, origin in enumerate(result.shuffle.order):
        (r, c), (down, across) = divmod(int(origin), cols), divmod(to, cols)
        patch = image.crop((c * width, r * height, (c + 1) * width, (r + 1) * height))
        moved.paste(patch, (across * width, down * height))
    return moved


def _draw_panel(
    axis: Axes, panel: Panel, row: int, image: Image.Image, limits: tuple[float, float], display: Display
) -> None:
    rows, cols = panel.geometry.grid
    colours = colour_scale(limits, signed=panel.signed, cmap=display.cmap)
    heat = heat_pixels(panel, row, colours, opacity=display.opacity, threshold=display.threshold)
    axis.imshow(image)
    axis.imshow(heat, extent=(0, image.width, image.height, 0), interpolation="nearest")
    cell = image.width / cols, image.height / rows
    if display.outline and panel.geometry.scale > 1:
        _draw_outlines(axis, panel, *cell)
    if display.pinned and _is_pinned(panel, row, display.pinned):
        tokens = panel.geometry.tokens[int(display.pinned["window"])]
        inside = np.isin(np.arange(rows * cols), tokens).reshape(rows, cols)
        _draw_edges(axis, np.pad(inside, 1), (0, *cell), color=_PIN, linewidths=2)
    for token in panel.geometry.dropped:
        corner = (token % cols * cell[0], token // cols * cell[1])
        axis.add_patch(Rectangle(corner, *cell, fill=False, hatch="////", ec="0.35", lw=0))
    axis.set_title("\n".join(filter(None, (panel.title, panel.origin))), fontsize=8)


def _draw_outlines(axis: Axes, panel: Panel, width: float, height: float) -> None:
    """A line wherever two neighbouring cells belong to different windows."""
    geometry = panel.geometry
    member = np.zeros((geometry.n_tokens, geometry.n_windows), bool)
    member[geometry.tokens.ravel(), np.repeat(np.arange(geometry.n_windows), geometry.scale)] = True
    _draw_edges(axis, member.reshape(*geometry.grid, -1), (1, width, height), color="white", linewidths=0.5)


def _draw_edges(axis: Axes, labels: np.ndarray, cell: tuple[int, float, float], **style: Any) -> None:
    """A line wherever two neighbouring cells have other labels; ``cell``: number of the first edge, width, height."""
    first, width, height = cell
    labels = labels.reshape(*labels.shape[:2], -1)
    beside = np.argwhere((labels[:, 1:] != labels[:, :-1]).any(axis=2))
    below = np.argwhere((labels[1:] != labels[:-1]).any(axis=2))
    start = first - 1  # of the cells: one outside the picture where the labels have a rim
    edges = [((c + first, r + start), (c + first, r + 1 + start)) for r, c in beside]
    edges += [((c + start, r + first), (c + 1 + start, r + first)) for r, c in below]
    lines = list(np.reshape(edges, (-1, 2, 2)) * (width, height))
    axis.add_collection(LineCollection(lines, **style), autolim=False)


def _draw_shares(axis: Axes, result: ExplorerResult, image: int) -> None:
    found = waterfall_of(result, image)
    draw_waterfall(axis, waterfall_bars(found, cls_rows(result, image)))
    sums = textwrap.fill(waterfall_words(found), 36)
    if (gate := result.view.cosine.gate) is not None:
        names = [slot_name(slot).removeprefix("scale ") for slot in result.view.slots]
        sums += "\ngate " + ", ".join(f"{n}: {g:.2f}" for n, g in zip(names, gate[image], strict=True))
    words = textwrap.fill(f"cosine with “{short_text(result.target, _MOST_OF_A_TARGET)}”", 30)
    axis.set_title(f"{words}\n{sums}", fontsize=7)
