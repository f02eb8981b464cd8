"""Ranked results, with the windows that their similarity comes from, as one matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, SubFigure

from mswin_viz.analysis.embeddings.given import of_table
from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.pair_record import PairShares
from mswin_viz.analysis.embeddings.pair_shares import pair_panels
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.scales.panels import Panel, shared_range
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.figure_text import LEAST_SIZE
from mswin_viz.view.parts.heat import colour_scale, heat_pixels
from mswin_viz.view.parts.neighbour_figure import GAP, PageSize, neighbours_figure, row_picture
from mswin_viz.view.parts.neighbour_words import list_title
from mswin_viz.view.widgets.labels import PARTS, STEPS, VALUES

_OPACITY = 0.6
_KEY = (
    "Heat: the {exact}share of each {one} in the cosine of the enhanced features, norms frozen; the query above, the "
    "result below. From the plain cosine {sums} of either image lead to the enhanced one; norm: what the CLS's share loses "
    "or gains as its length changes. A share is not what is lost when a {one} is removed."
)


def ranked_figure(
    table: EmbeddingTable,
    results: Mapping[str, Neighbours],
    *,
    shares: Sequence[PairShares] = (),
    scale: int | None = None,
    provenance: str = "",
    shares_of: str = "enhanced",
) -> Figure:
    """A query and its ranked results, a row for each list, right and wrong marked by sign, colour and line.

    Parameters
    ----------
    table
        The table that holds the query.
    results
        ``"plain"`` and/or ``"enhanced"``, or names of several models -> neighbours of one query, in tables with the same
        rows.
    shares
        Of the query and each result of one list, in their order; there may be fewer than results. With them, two more
        rows show which windows of either image the similarity comes from.
    scale
        Whose windows are shown; fused, patch by patch, if None, and always where the add-on has no scales.
    provenance
        Printed small below.
    shares_of
        Which list the shares are of.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If there is no result, results are of different queries, or the shares have no such scale or list.

    Examples
    --------
    >>> table = mv.embed(model, samples[:8], modalities=["RGB"], progress=False)
    >>> results = {name: mv.neighbours(table, 0, k=3, feature=name) for name in ("plain", "enhanced")}
    >>> pair = mv.pair_window_shares(model, table, 0, int(results["enhanced"].rows[0]))
    >>> figure = mv.ranked_figure(table, results, shares=[pair], scale=8)
    >>> mv.figure_bytes(figure, "svg")[:5]
    b'<?xml'
    """
    of_table(table)
    of_kind(
        results,
        Mapping,
        "results must be a dictionary of lists by name",
        "make them with mswin_viz.neighbours",
    )
    if not shares:
        return neighbours_figure(table, results, note=provenance)
    if shares_of not in results:
        raise OptionError(
            f"shares are of one of the lists {', '.join(map(repr, results))}: got {shares_of!r:.60}"
        )
    panels = [_panel(pair, scale) for pair in shares]

    pairs = list(zip(shares, panels, strict=True))
    notes = dict.fromkeys(pair.note for pair in shares)
    note = " ".join(filter(None, (_key(shares[0]), *notes, provenance)))
    return neighbours_figure(
        table,
        results,
        note=note,
        draw_below=lambda part, page: _draw_heat(part, page, table, (shares_of, results[shares_of]), pairs),
    )


def _panel(shares: PairShares, scale: int | None) -> Panel:
    panels = {panel.key: panel for panel in pair_panels(shares)}
    key = "fused" if scale is None else f"scale-{scale}"
    if key not in panels:
        scales = ", ".join(map(str, shares.scales)) or "(none)"
        raise OptionError(
            "shares are shown at a scale of the add-on, or, of any add-on, patch by patch with scale=None: got "
            f"scale={scale}, and scales {scales}"
        )
    return panels[key]


def _key(shares: PairShares) -> str:
    *first, last = (_sum_name(kind, shares) for kind in shares.waterfall("a").by_kind)
    one = "window" if shares.scales else "patch token"
    return _KEY.format(exact="" if shares.left else "exact ", one=one, sums=f"{', '.join(first)} and {last}")


def _draw_heat(
    part: SubFigure,
    page: PageSize,
    table: EmbeddingTable,
    named: tuple[str, Neighbours],
    pairs: Sequence[tuple[PairShares, Panel]],
) -> None:
    """The query's windows above, each result's of a list below, on one scale; and the sums of their shares."""
    name, ranked = named
    whose = "" if name == "enhanced" else f"{list_title(name)}: "
    title = f"{whose}where the enhanced cosine comes from: {pairs[0][1].title}, query above, result below"
    part.suptitle(title, fontsize=8, x=0.01, ha="left")
    limits = shared_range([panel.values for _, panel in pairs], signed=True)
    colours = colour_scale(limits, signed=True)
    axes = part.subplots(2, page.n_cols, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for column, row, (pair, panel) in zip(axes.T, ranked.rows.tolist(), pairs, strict=False):
        sides_of = zip(column, (ranked.query, row), ("a", "b"), strict=True)
        for line, (axis, owner, side) in enumerate(sides_of):
            axis.imshow(row_picture(table, owner, page.picture))
            for place in range(len(pair.a)):
                _draw_windows(axis, panel, (2 * place + line, place), page.picture, colours)
            axis.text(
                0.5,
                -0.03,
                _sums(pair, side),
                transform=axis.transAxes,
                ha="center",
                va="top",
                fontsize=LEAST_SIZE,
            )
    bar = part.colorbar(colours, ax=axes, location="bottom", aspect=50, shrink=0.5, pad=0.02)
    bar.ax.tick_params(labelsize=LEAST_SIZE)
    bar.set_label(VALUES["share"], fontsize=LEAST_SIZE)


def _draw_windows(
    axis: Axes, panel: Panel, which: tuple[int, int], size: tuple[int, int], colours: ScalarMappable
) -> None:
    """Heat of one of the joined pictures; ``which``: row of the panel, and place among the pictures."""
    row, place = which
    width, height = size
    left, top = (place * (width + GAP), 0) if height >= width else (0, place * (height + GAP))
    bounds = axis.get_xlim(), axis.get_ylim()
    heat = heat_pixels(panel, row, colours, opacity=_OPACITY)
    axis.imshow(heat, extent=(left, left + width, top + height, top), interpolation="nearest")
    axis.set(xlim=bounds[0], ylim=bounds[1])


def _sums(pair: PairShares, side: Literal["a", "b"]) -> str:
    """The waterfall in numbers, all scales as one."""
    found = pair.waterfall(side)
    steps = (f"{_sum_name(kind, pair)} {round(value, 3) + 0.0:+.3f}" for kind, value in found.by_kind.items())
    return "\n".join([f"plain {found.plain:.3f}", *steps])


def _sum_name(kind: str, shares: PairShares) -> str:
    """What the steps of a kind are called where all scales are one."""
    if kind == "windows":
        return "windows" if shares.scales else PARTS["tokens"]
    return STEPS.get(kind) or PARTS.get(kind, kind)
