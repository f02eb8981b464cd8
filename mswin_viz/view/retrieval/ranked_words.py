"""What the retrieval view says in words: how all queries are answered, and why one of them has no results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mswin_viz.analysis.embeddings.list_changes import ListChange
from mswin_viz.analysis.measures.paired_statistics import Interval
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.view.retrieval.query_choice import query_name, shown_name, summary
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.widgets.markup import CELL, FONT, NOTE, Markup, fragment, tag

_NOT_RANKED = "not all queries are ranked yet: press the button above; this one is below"
_LEFT = CELL | {"text-align": "left"}
_HEADINGS = (
    "",
    "mAP (95 % interval)",
    "mINP",
    "change of mAP (95 % interval)",
    "p",
    "change of mINP",
    "gained",
    "lost",
)


def summary_html(
    rankings: Rankings, choice: str, rule: str, *, said: Callable[[str], str] = lambda note: note
) -> Markup:
    """Above the lists: the measures over all queries, where they are ranked; ``said`` gets each note, and gives its words."""
    precisions = rankings.precisions(choice, rule)
    words = _NOT_RANKED if precisions is None else summary(precisions)
    notes = () if precisions is None else rankings.notes(choice, rule)
    lines = (tag("div", said(note)) for note in notes)
    return fragment(
        tag("b", rankings.words(choice)), f": {words}", changes_html(rankings.changes(choice, rule)), *lines
    )


def changes_html(changes: Sequence[ListChange]) -> Markup:
    """Each list and what it has beyond the first, with intervals and the paired test; nothing for no lists."""
    if not changes:
        return fragment()
    several = len(changes) > 1
    headings = _HEADINGS if several else _HEADINGS[:3]
    head = tag("tr", *(tag("th", words, style=CELL) for words in headings))
    lines = (_line(change, changes[0].name, several=several) for change in changes)
    return tag(
        "div",
        tag("table", head, *lines, style=FONT),
        tag("div", _test_words(changes), style=NOTE) if several else "",
        css="mswin-list-changes",
        style={"overflow-x": "auto"},
    )


def missing_words(sample: Sample, modality: str) -> str:
    """Why a query has no results by a modality, which is given in words."""
    return f"{query_name(sample)} has no {modality} row: it lacks an image, or one failed"


def _line(change: ListChange, first: str, *, several: bool) -> Markup:
    cells = [_percent(change.mean_ap), _percent(change.mean_inp, span=False)]
    if change.name != first:
        p = change.p_adjusted
        cells += [
            _points(change.ap_change), f"{p:.2g}" if np.isfinite(p) else "-", _points(change.inp_change),
            str(change.n_gained), str(change.n_lost),
        ]  # fmt: skip
    elif several:
        cells += [""] * (len(_HEADINGS) - len(cells) - 1)
    name = tag("td", tag("b", shown_name(change.name)), style=_LEFT, title=change.name)
    return tag("tr", name, *(tag("td", words, style=CELL) for words in cells))


def _test_words(changes: Sequence[ListChange]) -> str:
    first, n_tests = changes[0], len(changes) - 1
    queries = counted(first.n_queries, "queries")
    if first.n_identities < 2:
        return f"Over {queries} with a match. One identity has no spread: there is no interval, and a difference is not measured."
    adjusted = f", after Holm's correction for {n_tests} tests" if n_tests > 1 else ""
    return (
        f"Against {shown_name(first.name)}, over {queries} with a match ({counted(first.n_identities, 'identities')}): bootstrap intervals and paired "
        f"sign-flip test of the change of mAP over identities{adjusted}. Gained and lost: queries, by average precision."
    )


def _percent(measure: Interval, *, span: bool = True) -> str:
    ends = (
        f" ({100 * measure.low:.1f} to {100 * measure.high:.1f})" if span and np.isfinite(measure.low) else ""
    )
    return f"{100 * measure.value:.1f} %{ends}"


def _points(change: Interval) -> str:
    ends = f" ({100 * change.low:+.1f} to {100 * change.high:+.1f})" if np.isfinite(change.low) else ""
    return f"{100 * change.value + 0.0:+.1f}{ends}"
