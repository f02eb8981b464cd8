"""A query and its ranked results as one matplotlib figure, right and wrong marked by sign, colour and line."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from PIL import Image

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.figure_text import MOST_OF_A_NAME, caption_lines, write_caption
from mswin_viz.view.parts.neighbour_words import list_title, measures_in_words, sample_files, who
from mswin_viz.view.parts.row_pictures import joined, picture_size, read_or_blank
from mswin_viz.view.widgets.colours import MARK_COLOURS

GAP = 4
"""Pixels between joined modalities."""
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
_PIXELS = 256  # of a picture's longer side
_KEY = "Solid frame and tick: the query's identity. Dashed frame and cross: another. Dotted and question mark: not known."


@dataclass(frozen=True)
class PageSize:
    """The sizes of a figure of neighbours."""

    picture: tuple[int, int]  # width and height of one, pixels
    n_cols: int  # results beside each other


def neighbours_figure(
    table: EmbeddingTable,
    results: Mapping[str, Neighbours],
    *,
    note: str = "",
    draw_below: Callable[[SubFigure, PageSize], None] | None = None,
) -> Figure:
    """A query of the table and its ranked results, a row for each list.

    Parameters
    ----------
    results
        List -> neighbours of one query, such as ``"plain"`` and ``"enhanced"``.
    note
        Printed small below.
    draw_below
        Draws two more lines of the results' pictures below the lists.
    """
    queries = sorted({ranked.query for ranked in results.values()})
    if len(queries) != 1:
        raise OptionError(f"ranked results must be of one query: got those of {queries}")
    size = picture_size(table.files, longer=_PIXELS)
    cell = _cell_inches(len(table.files[queries[0]]), size)
    page = PageSize(size, max(len(ranked.rows) for ranked in results.values()))
    heights = [cell[1] + 0.62] * len(results) + [2 * cell[1] + 1.45] * (draw_below is not None)
    side = max(0.95, size[0] / size[1] * 1.1)
    width = side + page.n_cols * cell[0] + 0.2
    lines = caption_lines(f"{_KEY} {note}", int(width * 21))
    figure = new_figure(width, sum(heights) + 0.11 * len(lines))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[side, width - side])[0]
    _draw_query(left, table, queries[0], size)
    blocks = right.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for block, (feature, ranked) in zip(blocks, results.items(), strict=False):
        _draw_list(block, table, feature, ranked, page)
    if draw_below is not None:
        draw_below(blocks[-1], page)
    write_caption(figure, lines, ha="left", x=0.01)
    return figure


def row_picture(table: EmbeddingTable, row: int, size: tuple[int, int]) -> Image.Image:
    """The pictures of a row, joined."""
    return joined([read_or_blank(file, size) for file in table.files[row].values()], gap=GAP)


def _cell_inches(n_pictures: int, size: tuple[int, int]) -> tuple[float, float]:
    """Width and height of a result's pictures: a single one is 1.25 inches at its longer side, joined ones 0.95."""
    longer = 1.25 if n_pictures == 1 else 0.95
    width, height = (longer * pixels / max(size) for pixels in size)
    across, down = (n_pictures, 1) if height >= width else (1, n_pictures)
    return width * across + 0.12, height * down


def _draw_query(part: SubFigure, table: EmbeddingTable, query: int, size: tuple[int, int]) -> None:
    """The query in every modality there is; those that are ranked by are framed."""
    files, ranked_by = sample_files(table, query), table.files[query]
    part.suptitle("query", fontsize=8, fontweight="bold", x=0.05, ha="left")
    axes = part.subplots(len(files), 1, squeeze=False)[:, 0]
    for axis, (name, file) in zip(axes, files.items(), strict=True):
        axis.imshow(read_or_blank(file, size))
        _frame(axis, size, "black" if name in ranked_by else "none", "solid")
        shown = short_text(name, MOST_OF_A_NAME)
        axis.set_title(shown if name in ranked_by else f"{shown} (not used)", fontsize=6.5, pad=2)
        axis.set_axis_off()
    _write_below(axes[-1], _in_lines(who(table, query).replace(", ", "\n")))


def _draw_list(
    part: SubFigure, table: EmbeddingTable, feature: str, ranked: Neighbours, page: PageSize
) -> None:
    part.suptitle(f"{list_title(feature)}: {measures_in_words(ranked)}", fontsize=8, x=0.01, ha="left")
    axes = part.subplots(1, page.n_cols, squeeze=False)[0]
    for axis in axes:
        axis.set_axis_off()
    for rank, (axis, row, mark) in enumerate(zip(axes, ranked.rows.tolist(), ranked.marks, strict=False), 1):
        picture = row_picture(table, row, page.picture)
        axis.imshow(picture)
        _mark(axis, picture.size, mark)
        words = _in_lines(who(table, row).replace("camera ", "c").replace("scene ", "s"))
        _write_below(axis, f"{rank}: {ranked.similarity[rank - 1]:.3f}\n{words}")


def _write_below(axis: Axes, words: str) -> None:
    axis.text(0.5, -0.04, words, transform=axis.transAxes, ha="center", va="top", fontsize=6.5)


def _in_lines(words: str) -> str:
    """In lines that fit below a picture: a file name may be any length."""
    lines = [part for line in words.split("\n") for part in textwrap.wrap(line, _LINE) or [""]]
    more = len(lines) > _MOST_LINES
    return "\n".join(lines[:_MOST_LINES]) + ("…" if more else "")


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
