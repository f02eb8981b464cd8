"""The scale explorer's view as one static figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from mswin_viz.analysis.scales.panels import Panel, shared_range
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import cell_size, new_figure
from mswin_viz.view.parts.figure_text import LEAST_SIZE, caption_lines, folded_name, write_caption
from mswin_viz.view.parts.heat import colour_scale, heat_pixels
from mswin_viz.view.parts.waterfall import draw_waterfall
from mswin_viz.view.scales.pins import pinned_kind
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.share_bars import bars_of, sums_of
from mswin_viz.view.scales.shown_results import ShownResults, ShownRow
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import (
    ABSENCES,
    THOUSANDTHS,
    VALUES,
    difference_name,
    difference_words,
    slot_name,
    unit_words,
)

_MOST_OF_A_NAME = 36  # two lines above a picture
_MOST_OF_A_TARGET = 180
_UNIT_WIDTH = 24  # characters of a line below a colour bar
_BARS_SIZE = 3.1, 2.3  # of the waterfall, in inches; least height
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


@dataclass(frozen=True)
class _Colours:
    """The colours of some rows of a panel: those of values, or those of differences."""

    limits: tuple[float, float]
    signed: bool
    cmap: str
    is_empty: bool = False  # two models do not differ, or one of them has no such panel: no colour bar

    @property
    def scale(self) -> ScalarMappable:
        """For matplotlib."""
        return colour_scale(self.limits, signed=self.signed, cmap=self.cmap)


def named_figure(shown: ShownResults | None, board: HeatmapBoard, words: str) -> tuple[str, Figure]:
    """The figure of what a board shows, and the name of its file, without an ending.

    Raises OptionError if there is nothing.
    """
    if shown is None:
        raise OptionError(
            "a figure shows what is on screen: there is nothing yet; choose an image that can be read"
        )
    name = "_".join([*(sample.name for sample in shown.first.samples), "scales"])
    display = Display(**{option.name: getattr(board, option.name) for option in fields(Display)})
    return name, scales_figure(shown, provenance=words, display=display)


def scales_figure(shown: ShownResults, *, provenance: str = "", display: Display | None = None) -> Figure:
    """Pictures, heatmaps with their colour bars, and the shares of the cosine; drawn as on a new board if ``display`` is None."""
    display = display or Display()
    panels = [panel for panel in shown.panels if panel.key not in display.hidden]
    n_rows, n_cols = len(shown.rows), len(panels) + 2
    wide, high = cell_size(shown.rows[0].picture.shown, width=1.35, height=2.5, above=0.45)
    width = wide * (n_cols - 1) + _BARS_SIZE[0]
    words = filter(None, (shown_words(shown, display.pinned), provenance))
    caption = caption_lines(" ".join(words), int(width * 21))
    height = max(high, _BARS_SIZE[1]) * n_rows + 1.1 + 0.1 * max(0, len(caption) - 2)
    figure = new_figure(width, height)
    axes = figure.subplots(
        n_rows, n_cols, squeeze=False, width_ratios=[wide] * (n_cols - 1) + [_BARS_SIZE[0] - 0.25]
    )
    for is_of_differences in (False, True):
        rows = [at for at, row in enumerate(shown.rows) if (row.model is None) == is_of_differences]
        colours = _colours(panels, rows, display, is_of_differences=is_of_differences)
        for at in rows:
            _draw_row(axes[at], shown, at, list(zip(panels, colours, strict=True)), display)
        for panel, own, column in zip(panels, colours, axes[rows, 1:-1].T, strict=True):
            _draw_colour_bar(figure, list(column), panel, own)
    for axis in axes[:, :-1].ravel():
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_anchor("S")  # as the colour bars do to the heatmaps beside it
    write_caption(figure, caption)
    return figure


def shown_words(shown: ShownResults, pinned: Mapping[str, Any] | None = None) -> str:
    """Whose pictures these are, their scores, what rows of differences are, and the window that is pinned."""
    names = " and ".join(sample.name for sample in shown.first.samples)
    feature = "enhanced" if any(result.has_addon for result in shown.results) else "plain"
    words = f"{names}: cosine of the {feature} CLS with “{short_text(shown.target, _MOST_OF_A_TARGET)}”: "
    words += ", ".join(f"{row.name} {score:.3f}" for row, score in _scores(shown)) + "."
    if shown.pair is not None:
        words += f" {difference_name(shown.pair)}: {difference_words(shown.pair)}."
    for panel in shown.panels:
        for at, row in enumerate(shown.rows):
            pin = _pin_in(panel, shown, at, pinned)
            if pin is not None:
                value = f"{VALUES[panel.unit]} {panel.values[at, pin]:.3g}"
                words += f" Pinned: {pinned_kind(panel.key)} {pin} of {panel.title}, {row.name}: {value}."
    return words


def _scores(shown: ShownResults) -> list[tuple[ShownRow, float]]:
    """The enhanced cosine of each row that has one."""
    return [
        (row, float(shown.results[row.model].view.cosine.score[row.image]))
        for row in shown.rows
        if row.model is not None
    ]


def _pin_in(panel: Panel, shown: ShownResults, at: int, pinned: Mapping[str, Any] | None) -> int | None:
    """The window of a row that a pin marks: that of its panel in every row of its image. A pin may be older than the panels."""
    if not pinned or pinned["key"] != panel.key or int(pinned["row"]) >= len(shown.rows):
        return None
    is_there = int(pinned["window"]) < panel.geometry.n_windows and at not in panel.absent
    is_same = shown.rows[int(pinned["row"])].image == shown.rows[at].image
    return int(pinned["window"]) if is_there and is_same else None


def _colours(
    panels: Sequence[Panel], rows: Sequence[int], display: Display, *, is_of_differences: bool
) -> list[_Colours]:
    """Each panel's colours in some rows, their range its own or one for all panels of a unit."""
    each = []
    for panel in panels:
        alike = [panel] if not display.shared else [other for other in panels if other.unit == panel.unit]
        signed = panel.signed or is_of_differences
        values = [other.values[list(rows)] for other in alike]
        is_empty = is_of_differences and not np.nan_to_num(np.concatenate(values, axis=None)).any()
        each.append(_Colours(shared_range(values, signed=signed), signed, display.cmap, is_empty))
    return each


def _draw_row(
    axes: Sequence[Axes],
    shown: ShownResults,
    at: int,
    panels: Sequence[tuple[Panel, _Colours]],
    display: Display,
) -> None:
    """A row's picture, heatmaps and shares; of a difference, words in place of shares."""
    row = shown.rows[at]
    picture = _moved(row.picture.shown, shown.first)
    axes[0].imshow(picture)
    axes[0].set_title(folded_name(row.name, 18, most=_MOST_OF_A_NAME), fontsize=8)
    for axis, (panel, colours) in zip(axes[1:-1], panels, strict=True):
        _draw_heat(axis, picture, panel, at, colours, display)
        is_absent = at in panel.absent
        if not is_absent:
            _draw_marks(axis, picture, panel, display, _pin_in(panel, shown, at, display.pinned))
        origin = ABSENCES[row.kind] if is_absent else panel.origin
        axis.set_title("\n".join(filter(None, (panel.title, origin))), fontsize=8)
    if row.model is not None:
        _draw_shares(
            axes[-1], shown.results[row.model], row.image, shown.models[row.model] if shown.pair else ""
        )
    elif shown.pair is not None:
        axes[-1].set_axis_off()
        axes[-1].set_title(textwrap.fill(difference_words(shown.pair), 30), fontsize=7)


def _draw_colour_bar(figure: Figure, axes: list[Axes], panel: Panel, colours: _Colours) -> None:
    if not axes or colours.is_empty:
        return
    bar = figure.colorbar(colours.scale, ax=axes, location="bottom", pad=0.01)
    ticks = [colours.limits[0], sum(colours.limits) / 2, colours.limits[1]]
    factor = 1000 if panel.unit in THOUSANDTHS else 1
    bar.set_ticks(ticks, labels=[f"{factor * tick:.3g}" for tick in ticks])
    bar.ax.tick_params(labelsize=LEAST_SIZE)
    bar.set_label(textwrap.fill(unit_words(panel.unit), _UNIT_WIDTH), fontsize=LEAST_SIZE)


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


def _draw_heat(
    axis: Axes, image: Image.Image, panel: Panel, row: int, colours: _Colours, display: Display
) -> None:
    axis.imshow(image)
    heat = heat_pixels(
        panel, row, colours.scale, opacity=display.opacity, threshold=display.threshold, signed=colours.signed
    )
    axis.imshow(heat, extent=(0, image.width, image.height, 0), interpolation="nearest")


def _draw_marks(axis: Axes, image: Image.Image, panel: Panel, display: Display, pin: int | None) -> None:
    """Outlines, the pinned window, and hatches where no window is."""
    rows, cols = panel.geometry.grid
    cell = image.width / cols, image.height / rows
    if display.outline and panel.geometry.scale > 1:
        _draw_outlines(axis, panel, *cell)
    if pin is not None:
        inside = np.isin(np.arange(rows * cols), panel.geometry.tokens[pin]).reshape(rows, cols)
        _draw_edges(axis, np.pad(inside, 1), (0, *cell), color=_PIN, linewidths=2)
    for token in panel.geometry.dropped:
        corner = (token % cols * cell[0], token // cols * cell[1])
        axis.add_patch(Rectangle(corner, *cell, fill=False, hatch="////", ec="0.35", lw=0))


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


def _draw_shares(axis: Axes, result: ExplorerResult, image: int, model: str) -> None:
    bars = bars_of(result, image)
    if bars:
        draw_waterfall(axis, bars)
    else:
        axis.set_axis_off()
    sums = textwrap.fill(sums_of(result, image), 36)
    if (gate := result.view.cosine.gate) is not None:
        names = [slot_name(slot).removeprefix("scale ") for slot in result.view.slots]
        sums += "\ngate " + ", ".join(f"{n}: {g:.2f}" for n, g in zip(names, gate[image], strict=True))
    words = textwrap.fill(f"cosine with “{short_text(result.target, _MOST_OF_A_TARGET)}”", 30)
    axis.set_title("\n".join(filter(None, (model, words, sums))), fontsize=7)
