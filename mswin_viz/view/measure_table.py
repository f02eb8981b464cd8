"""The measures beside the maps, as plain HTML: plain -> enhanced in the full space, and how faithful the maps are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.comparison_record import Comparison
from mswin_viz.analysis.embedding_view import COUPLING_WORDS, EmbeddingView
from mswin_viz.analysis.neighbours import failed_words

if TYPE_CHECKING:
    pass

__all__ = ["measures_html", "selection_html"]

_FONT = "font:13px/1.5 var(--jp-ui-font-family, sans-serif);color:var(--jp-ui-font-color1, #222)"
_CELL = "padding:1px 14px 1px 0;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
_HEADINGS = (
    "",
    "mAP plain → enhanced",
    "change (95 % interval)",
    "p",
    "Rank-1",
    "neighbours kept",
    "verdict by mAP",
)


def measures_html(view: EmbeddingView) -> str:
    """The table of measures, and what the maps are not."""
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in _HEADINGS)
    lines = "".join(_line(name, found) for name, found in view.comparisons.items())
    return (
        f'<div class="mswin-measures" style="{_FONT};overflow-x:auto"><table style="{_FONT}"><tr>{head}</tr>{lines}</table>'
        f"<div>{escape(_map_words(view))}</div>"
        f'<div style="border-left:3px solid var(--jp-warn-color1, #e65100);padding-left:8px;margin:3px 0">'
        f"{escape(COUPLING_WORDS)}</div>{_notes(_all_notes(view))}</div>"
    )


def selection_html(view: EmbeddingView, rows: Sequence[int], n_arrows: int) -> str:
    """What is selected, in words."""
    if not rows:
        return f'<div style="{_FONT}">Nothing selected: click a point, draw a lasso, or search for an identity.</div>'
    at = np.asarray(rows)
    identities = np.unique(view.table.pid[at])
    change = view.ap_change[at]
    known = change[np.isfinite(change)]
    mean = f"mean change of AP {known.mean():+.3f}" if len(known) else "no change of AP is known"
    arrows = f"; arrows for the first {n_arrows}" if len(at) > n_arrows else ""
    rows_word, ids_word = (
        ("row" if len(at) == 1 else "rows"),
        ("identity" if len(identities) == 1 else "identities"),
    )
    return f'<div style="{_FONT}"><b>{len(at)}</b> {rows_word} of {len(identities)} {ids_word} selected, {mean}{arrows}.</div>'


def _line(name: str, found: Comparison) -> str:
    gap = found.difference_interval
    span = "" if np.isnan(gap.low) else f" ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    first = min(found.plain.cmc)
    cells = (
        f"{_percent(found.plain.mAP)} → <b>{_percent(found.enhanced.mAP)}</b>",
        f"{100 * gap.value:+.1f}{span}" if np.isfinite(gap.value) else "not measured",
        f"{found.test.p:.2g}" if np.isfinite(found.test.p) else "-",
        f"{_percent(found.plain.cmc[first])} → {_percent(found.enhanced.cmc[first])}",
        f"{_percent(float(found.overlap.mean()))} of {found.k}",
        escape(found.verdict),
    )
    rest = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    over = f" ({found.plain.queries})" if found.plain.n_answered < found.plain.n_queries else ""
    return f'<tr><td style="{_CELL};text-align:left"><b>{escape(name)}</b>{over}</td>{rest}</tr>'


def _all_notes(view: EmbeddingView) -> list[str]:
    """What could not be measured or embedded, and why."""
    measured = [
        f"{name}: {note}"
        for name, found in view.comparisons.items()
        for note in (*found.plain.unanswered_sentences(), *found.notes)
    ]
    return [*view.notes, *failed_words(view.table), *measured, *view.projection.notes]


def _map_words(view: EmbeddingView) -> str:
    before, after = view.projection.plain_quality, view.projection.enhanced_quality
    return (
        f"Maps of {len(view)} rows: trustworthiness {before.trustworthiness:.3f} plain, {after.trustworthiness:.3f} "
        f"enhanced; neighbours kept on the map {before.knn_recall:.0%} and {after.knn_recall:.0%} (of {before.k}); disparity of "
        f"the two maps {view.projection.disparity:.2f} (0: they lie on each other)."
    )


def _notes(notes: Sequence[str]) -> str:
    return "".join(f"<div>{escape(note)}</div>" for note in notes)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %" if np.isfinite(fraction) else "-"
