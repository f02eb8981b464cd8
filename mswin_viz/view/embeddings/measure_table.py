"""The measures beside the maps, as plain HTML: plain -> enhanced in the full space, and how faithful the maps are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mswin_viz.analysis.embeddings.neighbours import failed_words
from mswin_viz.analysis.embeddings.view import COUPLING_WORDS, EmbeddingView
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.shown_text import counted
from mswin_viz.view.widgets.labels import named
from mswin_viz.view.widgets.markup import CELL, FONT, Markup, fragment, tag

_CELL = CELL | {"padding": "1px 12px 1px 0", "vertical-align": "top"}  # it wraps: no column is cut off
_CAUTION = {
    "border-left": "3px solid var(--jp-warn-color1, #e65100)",
    "padding-left": "8px",
    "margin": "3px 0",
}
_HEADINGS = (
    "", "mAP plain → enhanced", "change (95 % interval)", "p", "Rank-1", "mINP", "neighbours kept", "verdict by mAP",
)  # fmt: skip


def measures_html(view: EmbeddingView) -> Markup:
    """The table of measures, and what the maps are not."""
    first, second = _names(view)
    headings = ("", f"mAP {first} → {second}", *_HEADINGS[2:])
    head = tag("tr", *(tag("th", name, style=_CELL) for name in headings))
    lines = (_line(name, found) for name, found in view.comparisons.items())
    return tag(
        "div",
        tag("table", head, *lines, style=FONT),
        tag("div", _map_words(view)),
        tag("div", COUPLING_WORDS, style=_CAUTION),
        *(tag("div", note) for note in _all_notes(view)),
        css="mswin-measures",
        style=FONT | {"overflow-x": "auto"},
    )


def selection_html(view: EmbeddingView, rows: Sequence[int], n_arrows: int) -> Markup:
    """What is selected, in words."""
    if not rows:
        words = "Nothing selected: click a point, draw a lasso, or search for an identity."
        return tag("div", words, style=FONT)
    at = np.asarray(rows)
    identities = np.unique(view.table.pid[at])
    change = view.ap_change[at]
    known = change[np.isfinite(change)]
    mean = f"mean change of AP {known.mean():+.3f}" if len(known) else "no change of AP is known"
    arrows = f"; arrows for the first {n_arrows}" if len(at) > n_arrows else ""
    n, rows_word = counted(len(at), "rows").split(" ")
    words = f" {rows_word} of {counted(len(identities), 'identities')} selected, {mean}{arrows}."
    return tag("div", tag("b", n), words, style=FONT)


def _line(name: str, found: Comparison) -> Markup:
    gap = found.difference_interval
    span = "" if np.isnan(gap.low) else f" ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    first = min(found.plain.cmc)
    cells = (
        fragment(f"{_percent(found.plain.mAP)} → ", tag("b", _percent(found.enhanced.mAP))),
        f"{100 * gap.value:+.1f}{span}" if np.isfinite(gap.value) else "not measured",
        f"{found.test.p:.2g}" if np.isfinite(found.test.p) else "-",
        f"{_percent(found.plain.cmc[first])} → {_percent(found.enhanced.cmc[first])}",
        f"{_percent(found.plain.mINP)} → {_percent(found.enhanced.mINP)}",
        f"{_percent(float(found.overlap.mean()))} of {found.k}",
        found.verdict,
    )
    rest = (tag("td", cell, style=_CELL) for cell in cells)
    over = f" ({found.plain.queries})" if found.plain.n_answered < found.plain.n_queries else ""
    head = tag("td", tag("b", modality_words(name)), over, style=_CELL | {"text-align": "left"})
    return tag("tr", head, *rest)


def _all_notes(view: EmbeddingView) -> list[str]:
    """What could not be measured or embedded, and why."""
    measured = [
        f"{modality_words(name)}: {note}"
        for name, found in view.comparisons.items()
        for note in (*found.plain.unanswered_sentences(), *found.notes)
    ]
    return [*view.notes, *failed_words(view.table), *measured, *view.projection.notes]


def _map_words(view: EmbeddingView) -> str:
    first, second = _names(view)
    before, after = view.projection.plain_quality, view.projection.enhanced_quality
    return (
        f"Maps of {counted(len(view), 'rows')}: trustworthiness {before.trustworthiness:.3f} {first}, {after.trustworthiness:.3f} "
        f"{second}; neighbours kept on the map {before.knn_recall:.0%} and {after.knn_recall:.0%} (of {before.k}); disparity of "
        f"the two maps {view.projection.disparity:.2f} (0: they lie on each other)."
    )


def _names(view: EmbeddingView) -> tuple[str, str]:
    """What plain and enhanced are called on screen."""
    first, second = map(named, view.table.feature_names)
    return first, second


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %" if np.isfinite(fraction) else "-"
