"""Findings as one matplotlib figure: each image, why it is here, and the images that show it."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.findings.record import Findings
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.findings.items import KEY, MOST_EVIDENCE, evidence_mark
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.figure_text import MOST_OF_A_NAME, caption
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.row_pictures import joined, picture_size, read_or_blank

_PIXELS = 256  # of a picture's longer side
_INCHES = 1.0  # of the same, in the figure
_LINE, _MOST_LINES = 20, 3
_EDGES = {"suggested": ("#0072b2", "solid"), "own": ("#d55e00", "dashed")}


def findings_figure(found: Findings, *, first: int = 0, n: int = 6, provenance: str = "") -> Figure:
    """Some findings, the worst first: each image, why it is listed, and the images that show it.

    Parameters
    ----------
    found
        From :func:`mswin_viz.wrong_identities` or its sisters.
    first, n
        From which place in the list on, and how many.
    provenance
        Printed small below.

    Raises
    ------
    OptionError
        If nothing was found, or there is no such place in the list.

    Examples
    --------
    >>> table = mv.embed(model, [*samples[:12], samples[3]], modalities=["RGB"], progress=False)
    >>> figure = mv.findings_figure(mv.near_duplicates(table), n=2)
    >>> bool(figure.get_size_inches()[0] > 2)
    True
    """
    if not isinstance(found, Findings):
        raise OptionError(
            f"a figure of findings needs Findings: got {found!r:.60}; mv.wrong_identities(table) makes some"
        )
    check_counts(1, n=n)
    if not isinstance(first, int) or not 0 <= first < len(found):
        raise OptionError(
            f"a figure of findings begins at one of the list's {counted(len(found), 'places')}, from 0: got {first}; "
            f"there is nothing to draw beyond them"
        )
    numbers = range(first, min(first + n, len(found)))
    size = picture_size(found.table.files, longer=_PIXELS)
    n_pictures = max(len(found.files(at)) for at in numbers)
    across, down = (n_pictures, 1) if size[1] >= size[0] else (1, n_pictures)
    cell = (_INCHES * size[0] / max(size) * across + 0.15, _INCHES * size[1] / max(size) * down)
    n_cols = 1 + max(min(len(found.evidence[at]), MOST_EVIDENCE) for at in numbers)
    width = max(4.5, n_cols * max(cell[0], 0.95) + 0.3)
    figure = new_figure(width, len(numbers) * (cell[1] + 0.75) + 0.4)
    parts = figure.subfigures(len(numbers), 1, squeeze=False)[:, 0]
    for part, at in zip(parts, numbers, strict=True):
        _draw(part, found, at, size, n_cols)
    caption(
        figure, f"{KEY if found.kind == 'wrong identities' else ''} {found.criterion} {provenance}".strip()
    )
    return figure


def _draw(part: SubFigure, found: Findings, at: int, size: tuple[int, int], n_cols: int) -> None:
    words = f"{at + 1}: {who(found.table, int(found.rows[at]))}: {found.reasons[at]}"
    lines = textwrap.wrap(short_text(words, 6 * MOST_OF_A_NAME), int(17 * part.figure.get_size_inches()[0]))
    part.suptitle("\n".join(lines[:_MOST_LINES]), fontsize=7.5, x=0.01, ha="left")
    axes = part.subplots(1, n_cols, squeeze=False)[0]
    for axis in axes:
        axis.set_axis_off()
    rows = [int(found.rows[at]), *found.evidence[at][:MOST_EVIDENCE]]
    every = [found.files(at), *found.evidence_files(at)]
    for place, (axis, row, files) in enumerate(zip(axes, rows, every, strict=False)):
        picture = joined([read_or_blank(file, size) for file in files.values()], gap=4)
        axis.imshow(picture)
        _frame(axis, picture.size, evidence_mark(found, at, row) if place else "asked")
        label = textwrap.wrap(short_text(who(found.table, row), MOST_OF_A_NAME), _LINE)[:_MOST_LINES]
        axis.set_title("\n".join(label), fontsize=6.5, pad=3)


def _frame(axis: Axes, size: tuple[int, int], mark: str) -> None:
    colour, line = _EDGES.get(mark, ("black" if mark == "asked" else "none", "solid"))
    axis.add_patch(Rectangle((-0.5, -0.5), *size, fill=False, ec=colour, ls=line, lw=1.6, clip_on=False))
