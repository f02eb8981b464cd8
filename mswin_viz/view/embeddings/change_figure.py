"""What the add-on changes for each identity, as a figure for print."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.view.embeddings.figures import ZERO, measured_modalities, panel_title, query_words
from mswin_viz.view.parts.figure_file import new_figure, tidy
from mswin_viz.view.parts.figure_text import caption
from mswin_viz.view.parts.given import given_view
from mswin_viz.view.widgets.colours import FALLS, RISES, STAYS

_LINE = 0.11  # inches of an identity's name
_MOST_LINES = 60


def change_figure(view: EmbeddingView, *, provenance: str = "") -> Figure:
    """Average precision of each identity, plain and enhanced, as pairs; one panel for each modality.

    With few identities each has a line with an arrow to its enhanced value, worst change first; with many, the
    changes are drawn in order as one curve of points.

    Parameters
    ----------
    view
        From :func:`embedding_view`.
    provenance
        Printed small below, such as ``model.provenance``.

    Returns
    -------
    figure
        Of matplotlib; :func:`figure_bytes` makes a file of it.

    Raises
    ------
    OptionError
        If no identity has a query with a match.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["TI"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> [axis.get_title().splitlines()[0] for axis in mv.change_figure(view).axes]
    ['TI']
    """
    given_view(view)
    names = measured_modalities(view)
    most = max(len(view.comparisons[name].identities) for name in names)
    many = most > _MOST_LINES
    figure = new_figure(3.1 * len(names) + 0.4, 4.6 if many else max(4.6, _LINE * most + 1.2))
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        comparison = view.comparisons[name]
        order = np.argsort(comparison.change, kind="stable")
        (_draw_changes if many else _draw_pairs)(axis, comparison, order)
        gap = comparison.difference_interval
        span = "" if np.isnan(gap.low) else f" ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
        axis.set_title(f"{panel_title(name)}\nmAP {100 * gap.value:+.1f} points{span}", fontsize=8)
        tidy(axis)
    words = f"Each identity's AP, plain and enhanced; arrows: \u25b2 rose, \u25bc fell. {query_words(view)}{provenance}"
    caption(figure, words)
    return figure


def _draw_pairs(axis: Axes, comparison: Comparison, order: np.ndarray) -> None:
    """A line from plain to enhanced for each identity; its end points the way."""
    for place, identity in enumerate(order):
        plain, enhanced = 100 * comparison.plain_ap[identity], 100 * comparison.enhanced_ap[identity]
        colour = RISES if enhanced > plain else FALLS if enhanced < plain else STAYS
        marker = "^" if enhanced > plain else "v" if enhanced < plain else "o"
        axis.plot([plain, enhanced], [place, place], color=colour, lw=1.4)
        axis.plot(plain, place, "o", color="0.45", ms=2.5)
        axis.plot(enhanced, place, marker, color=colour, ms=4)
    axis.set_yticks(range(len(order)), [str(pid) for pid in comparison.identities[order]])
    axis.set_xlabel("AP of the identity, %", fontsize=8)
    axis.set_ylabel("identity, by its change", fontsize=8)


def _draw_changes(axis: Axes, comparison: Comparison, order: np.ndarray) -> None:
    changes = 100 * comparison.change[order]
    for sign, colour, marker in ((1, RISES, "^"), (-1, FALLS, "v"), (0, STAYS, ".")):
        places = np.flatnonzero(np.sign(changes) == sign)
        axis.plot(changes[places], places, marker, color=colour, ms=3, ls="")
    axis.axvline(0, **ZERO)
    axis.set_xlabel("change of AP, points", fontsize=8)
    axis.set_ylabel("identities, by their change", fontsize=8)
