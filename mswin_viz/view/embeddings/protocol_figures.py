"""Retrieval across modalities as heatmaps for print."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mswin_viz.analysis.embeddings.cross_modality import CrossModality, set_words
from mswin_viz.analysis.measures.paired_retrieval import PairedRetrieval
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.figure_text import caption, folded_name

_WIDE = 14  # characters beside a cell
_LINE = 0.2  # inches that a line of a name takes
_MIDDLE = 0.179  # relative luminance with the same contrast to black and to white (WCAG 2)


def cross_modality_figure(found: CrossModality, *, provenance: str = "") -> Figure:
    """mAP of each pair of sets by plain and by enhanced features, and the change with its 95 % interval.

    mINP stands in brackets below mAP. Of the change, a star marks a pair of sets in which the two can be told apart.

    Parameters
    ----------
    found
        From :func:`cross_modality`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If ``found`` is something else, or no pair of sets has a query with a match.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> found = mv.cross_modality(table, draws=200)
    >>> figure = mv.cross_modality_figure(found, provenance=model.provenance)
    >>> [axis.get_title() for axis in figure.axes]
    ['plain: mAP (mINP), %', 'enhanced: mAP (mINP), %', 'change of mAP, points (95 %); violet: gain']
    """
    if not isinstance(found, CrossModality):
        raise OptionError(
            f"a heatmap of sets needs their comparison: got {value_words(found)}; make it with mswin_viz.cross_modality"
        )
    levels = {name: _values(found, f"{name}_interval") for name in ("plain", "enhanced")}
    change = _values(found, "difference_interval")
    if not np.isfinite(change).any():
        raise OptionError("a heatmap of sets needs a query with a match: got none in any pair of sets")
    rows, columns = change.shape
    beside, below = (
        [folded_name(set_words(name), _WIDE) for name in names] for names in (found.queries, found.galleries)
    )
    row_height = max(0.62, _LINE * _lines(beside))
    figure = new_figure(1.6 + 3 * (0.7 + 0.75 * columns), 1.35 + row_height * rows + _LINE * _lines(below))
    axes = figure.subplots(1, 3, sharey=True)
    for axis, name in zip(axes, levels, strict=False):
        _heatmap(axis, levels[name], below, title=f"{name}: mAP (mINP), %", colours=("Blues", 0, 100))
        _write(axis, found, name)
    reach = max(1.0, float(np.nanmax(np.abs(change))))
    _heatmap(
        axes[2],
        change,
        below,
        title="change of mAP, points (95 %); violet: gain",
        colours=("PuOr", -reach, reach),
    )
    _write(axes[2], found, "change")
    axes[0].set_yticks(range(rows), beside, fontsize=8)
    axes[0].set_ylabel("query", fontsize=8)
    caption(
        figure,
        f"{' '.join(found.notes[:2])} * told apart by a test over identities, each by itself. {provenance}",
    )
    return figure


def _cell(found: CrossModality, row: int, column: int) -> PairedRetrieval:
    return found.cells[found.queries[row], found.galleries[column]]


def _lines(names: list[str]) -> int:
    """Of the name that has most."""
    return max(name.count("\n") + 1 for name in names)


def _values(found: CrossModality, name: str) -> np.ndarray:
    """In percent, a row for each set of queries."""
    return np.array(
        [[100 * getattr(found.cells[q, g], name).value for g in found.galleries] for q in found.queries]
    )


def _heatmap(
    axis: Axes, values: np.ndarray, names: list[str], *, title: str, colours: tuple[str, float, float]
) -> None:
    colour_map, low, high = colours
    axis.imshow(values, cmap=colour_map, vmin=low, vmax=high, aspect="auto")
    axis.set_title(title, fontsize=8)
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_xlabel("gallery", fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _write(axis: Axes, found: CrossModality, kind: str) -> None:
    """The numbers of each cell, in black or white, whichever has the higher contrast."""
    image = axis.images[0]
    rgba = image.to_rgba(np.ma.masked_invalid(np.asarray(image.get_array(), float)))
    linear = np.where(rgba <= 0.04045, rgba / 12.92, ((rgba + 0.055) / 1.055) ** 2.4)[..., :3]
    luminance = np.where(rgba[..., 3] > 0, linear @ [0.2126, 0.7152, 0.0722], 1.0)
    for (row, column), light in np.ndenumerate(luminance):
        words = _words(_cell(found, row, column), kind)
        colour = "black" if light > _MIDDLE else "white"
        axis.text(column, row, words, ha="center", va="center", fontsize=7.5, color=colour)


def _words(cell: PairedRetrieval, kind: str) -> str:
    if len(cell.identities) == 0:
        return "not\nmeasured"
    if kind == "change":
        gap = cell.difference_interval
        star = " *" if cell.verdict in ("better", "worse") else ""
        span = "" if np.isnan(gap.low) else f"\n{100 * gap.low:+.1f} to {100 * gap.high:+.1f}"
        return f"{100 * gap.value:+.1f}{star}{span}"
    report = getattr(cell, kind)
    return f"{100 * report.mAP:.1f}\n({100 * report.mINP:.1f})"
