"""Ranked results before and after the add-on as one matplotlib figure. No pyplot, no global state."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from PIL import Image

from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.neighbours import Neighbours
from mswin_viz.analysis.pair_shares import PairShares, pair_panels
from mswin_viz.analysis.panels import Panel, shared_range
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.colours import CMAPS
from mswin_viz.view.figure_text import MOST_OF_A_NAME, caption_lines
from mswin_viz.view.figures import NotebookFigure, folded
from mswin_viz.view.neighbour_words import LISTS, measures_in_words, sample_files, who
from mswin_viz.view.row_pictures import joined, picture_size, read_or_blank

__all__ = ["MARK_COLOURS", "ranked_figure"]

MARK_COLOURS = {"right": "#009e73", "wrong": "#d55e00", "unknown": "#8a8a8a"}
"""Colour-blind safe (Okabe and Ito); the browser's strip has the same."""
_LINES = {"right": "solid", "wrong": (0, (2.2, 1.2)), "unknown": (0, (0.8, 1.2))}
_M, _L, _C = Outline.MOVETO, Outline.LINETO, Outline.CURVE3
_SIGNS = {
    "right": Outline([(-1, 0), (-0.3, -0.8), (1, 0.9)], [_M, _L, _L]),
    "wrong": Outline([(-0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8)], [_M, _L, _M, _L]),
    "unknown": Outline(
        [(-0.6, 0.5), (-0.5, 1.1), (0, 1.1), (0.7, 1.1), (0.6, 0.4), (0.4, 0), (0, -0.3), (0, -0.85), (0, -1.1)],
        [_M, _C, _C, _C, _C, _C, _C, _M, _L],
    ),
}  # fmt: skip
_LINE, _MOST_LINES = 18, 4  # characters, and lines, below a picture
_GAP = 4  # pixels between joined modalities
_PIXELS = 256  # of a picture's longer side
_OPACITY = 0.6
_KEY = "Solid frame and tick: the query's identity. Dashed frame and cross: another. Dotted and question mark: not known."
_KEY_OF_HEAT = (
    "Heat: each window's exact share of the cosine of the enhanced features, norms frozen; the query's windows above, "
    "the result's below. CLS, windows and biases of either image add up to the cosine. A share is not an ablation."
)


def ranked_figure(
    table: EmbeddingTable,
    results: Mapping[str, Neighbours],
    *,
    shares: Sequence[PairShares] = (),
    scale: int | None = None,
    provenance: str = "",
) -> Figure:
    """A query and its ranked results, a row for each feature, right and wrong marked by sign, colour and line.

    Parameters
    ----------
    table
        The table that was asked.
    results
        ``"plain"`` and/or ``"enhanced"`` -> neighbours of one query.
    shares
        Of the query and each enhanced result, in their order; fewer than there are results, or none. Where given, two
        more rows show which windows of either image the similarity comes from.
    scale
        Windows that are shown; all scales together, patch by patch, if None.
    provenance
        Printed small below.

    Raises
    ------
    OptionError
        If there is no result, results are of different queries, there is no such scale, or shares are given of an
        add-on that has no windows.
    """
    found = list(results.values())
    if not found or len({some.query for some in found}) > 1:
        raise OptionError(
            f"ranked results are of one query: got those of {sorted({some.query for some in found})}"
        )
    panels = [_panel(some, scale) for some in shares]
    size = picture_size(table.files, longer=_PIXELS)
    cell = _cell_inches(len(table.files[found[0].query]), size)
    n_cols = max(len(some.rows) for some in found)
    heights = [cell[1] + 0.62] * len(found) + ([2 * cell[1] + 1.45] if panels else [])
    note = _note(provenance, shares)
    side = max(0.95, size[0] / size[1] * 1.1)
    width = side + n_cols * cell[0] + 0.2
    lines = caption_lines(note, int(width * 23))
    figure = NotebookFigure(figsize=(width, sum(heights) + 0.11 * len(lines)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[side, width - side])
    _draw_query(left, table, found[0].query, size)
    blocks = np.atleast_1d(right.subfigures(len(heights), 1, height_ratios=heights))
    for block, (feature, some) in zip(blocks, results.items(), strict=False):
        _draw_list(block, table, (feature, some), n_cols, size)
    if panels:
        _draw_heat(blocks[-1], table, (results["enhanced"], shares, panels), n_cols, size)
    figure.supxlabel("\n".join(lines), fontsize=5.5, ha="left", x=0.01)
    return figure


def _panel(shares: PairShares, scale: int | None) -> Panel:
    panels = {panel.key: panel for panel in pair_panels(shares)}
    key = "fused" if scale is None else f"scale-{scale}"
    if key not in panels:
        raise OptionError(
            f"window shares are shown at one of the scales {', '.join(map(str, shares.scales)) or '(none)'}: got "
            f"{scale}"
        )
    return panels[key]


def _note(provenance: str, shares: Sequence[PairShares]) -> str:
    heat = (_KEY_OF_HEAT, shares[0].note) if shares else ()
    return " ".join(filter(None, (_KEY, *heat, provenance)))


def _cell_inches(n_pictures: int, size: tuple[int, int]) -> tuple[float, float]:
    """Width and height of a result's pictures: a single one is 1.25 inches at its longer side, joined ones 1."""
    longer = 1.25 if n_pictures == 1 else 0.95
    width, height = (longer * some / max(size) for some in size)
    across, down = (n_pictures, 1) if height >= width else (1, n_pictures)
    return width * across + 0.12, height * down


def _draw_query(part: SubFigure, table: EmbeddingTable, query: int, size: tuple[int, int]) -> None:
    """The query in every modality there is; those that are ranked by are framed."""
    files, asking = sample_files(table, query), table.files[query]
    part.suptitle("query", fontsize=8, fontweight="bold", x=0.05, ha="left")
    axes = part.subplots(len(files), 1, squeeze=False)[:, 0]
    for axis, (name, file) in zip(axes, files.items(), strict=True):
        axis.imshow(read_or_blank(file, size))
        _frame(axis, size, "black" if name in asking else "none", "solid")
        shown = short_text(name, MOST_OF_A_NAME)
        axis.set_title(shown if name in asking else f"{shown} (not asked)", fontsize=6.5, pad=2)
        axis.set_axis_off()
    axes[-1].text(
        0.5, -0.04, _folded(who(table, query).replace(", ", "\n")), transform=axes[-1].transAxes,
        ha="center", va="top", fontsize=6.5,
    )  # fmt: skip


def _folded(words: str) -> str:
    """In lines that fit below a picture: a file name may be any length."""
    lines = [part for line in words.split("\n") for part in textwrap.wrap(line, _LINE) or [""]]
    more = len(lines) > _MOST_LINES
    return "\n".join(lines[:_MOST_LINES]) + ("…" if more else "")


def _draw_list(
    part: SubFigure,
    table: EmbeddingTable,
    found: tuple[str, Neighbours],
    n_cols: int,
    size: tuple[int, int],
) -> None:
    feature, some = found
    part.suptitle(f"{LISTS[feature]}: {measures_in_words(some)}", fontsize=8, x=0.01, ha="left")
    axes = part.subplots(1, n_cols, squeeze=False)[0]
    for axis in axes:
        axis.set_axis_off()
    for rank, (axis, row, mark) in enumerate(zip(axes, some.rows.tolist(), some.marks, strict=False), 1):
        picture = _joined(table, row, size)
        axis.imshow(picture)
        _mark(axis, picture.size, mark)
        words = f"{rank}: {some.similarity[rank - 1]:.3f}\n{_folded(_short(who(table, row)))}"
        axis.text(0.5, -0.04, words, transform=axis.transAxes, ha="center", va="top", fontsize=6.5)


def _draw_heat(
    part: SubFigure,
    table: EmbeddingTable,
    what: tuple[Neighbours, Sequence[PairShares], Sequence[Panel]],
    n_cols: int,
    size: tuple[int, int],
) -> None:
    """The query's windows above, each result's below, on one scale; and the sums of their shares."""
    found, shares, panels = what
    part.suptitle(
        f"where the enhanced cosine comes from: {panels[0].title}, query above, result below",
        fontsize=8, x=0.01, ha="left",
    )  # fmt: skip
    limits = shared_range([panel.values for panel in panels], signed=True)
    axes = part.subplots(2, n_cols, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for column, (row, pair, panel) in enumerate(zip(found.rows.tolist(), shares, panels, strict=False)):
        for line, (owner, sides) in enumerate(((found.query, pair.a), (row, pair.b))):
            axis = axes[line, column]
            axis.imshow(_joined(table, owner, size))
            for at in range(len(sides)):
                _draw_windows(axis, panel, (2 * at + line, at), size, limits)
            axis.text(0.5, -0.03, _sums(sides), transform=axis.transAxes, ha="center", va="top", fontsize=5.5)
    colours = ScalarMappable(Normalize(*limits), colormaps[CMAPS[-1]])
    bar = part.colorbar(colours, ax=axes, location="bottom", aspect=50, shrink=0.5, pad=0.02)
    bar.ax.tick_params(labelsize=5.5)
    bar.set_label("share of the cosine", fontsize=6)


def _draw_windows(
    axis: Axes,
    panel: Panel,
    which: tuple[int, int],
    size: tuple[int, int],
    limits: tuple[float, float],
) -> None:
    """Heat of one of the joined pictures; ``which``: row of the panel, and place among the pictures."""
    row, place = which
    width, height = size
    left, top = (place * (width + _GAP), 0) if height >= width else (0, place * (height + _GAP))
    heat = folded(panel, row).reshape(panel.geometry.grid)
    rgba = ScalarMappable(Normalize(*limits), colormaps[CMAPS[-1]]).to_rgba(heat)
    rgba[..., 3] = np.where(np.isfinite(heat), _OPACITY, 0)
    bounds = axis.get_xlim(), axis.get_ylim()
    axis.imshow(rgba, extent=(left, left + width, top + height, top), interpolation="nearest")
    axis.set(xlim=bounds[0], ylim=bounds[1])


def _sums(sides: Mapping[str, object]) -> str:
    cls, bias, total = (
        sum(getattr(side, name) for side in sides.values()) for name in ("cls", "bias", "total")
    )
    parts = {"CLS": cls, "windows": total - cls - bias, "bias": bias}
    return "\n".join(f"{name} {round(value, 3) + 0.0:+.3f}" for name, value in parts.items())


def _joined(table: EmbeddingTable, row: int, size: tuple[int, int]) -> Image.Image:
    return joined([read_or_blank(file, size) for file in table.files[row].values()], gap=_GAP)


def _mark(axis: Axes, size: tuple[int, int], mark: str) -> None:
    """A frame and, in its corner, a sign: drawn, so that no font is needed."""
    colour = MARK_COLOURS[mark]
    _frame(axis, size, colour, _LINES[mark])
    place = {"transform": axis.transAxes, "clip_on": False}
    axis.plot([0.0], [1.0], marker="s", ms=9, mfc=colour, mec=colour, zorder=4, **place)
    axis.plot([0.0], [1.0], marker=_SIGNS[mark], ms=5, mfc="none", mec="black", mew=1.2, zorder=5, **place)
    axis.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))


def _frame(axis: Axes, size: tuple[int, int], colour: str, line: object) -> None:
    axis.add_patch(
        Rectangle((-0.5, -0.5), *size, fill=False, ec=colour, ls=line, lw=1.8, clip_on=False, zorder=3)
    )


def _short(words: str) -> str:
    return words.replace("camera ", "c").replace("scene ", "s")
