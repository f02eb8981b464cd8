"""What the retrieval view says in words: how all queries are answered, and why one of them has no results."""

from __future__ import annotations

from collections.abc import Callable

from mswin_viz.data.sample import Sample
from mswin_viz.view.retrieval.query_choice import query_name, summary
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.widgets.markup import Markup, fragment, tag

_NOT_RANKED = "press “embed and rank” to rank all queries; this one is below"


def summary_html(
    rankings: Rankings, choice: str, rule: str, *, said: Callable[[str], str] = lambda note: note
) -> Markup:
    """The line above the lists: the measures over all queries, where they are ranked; ``said`` gets each note, and gives its words."""
    precisions = rankings.precisions(choice, rule)
    words = _NOT_RANKED if precisions is None else summary(*precisions)
    notes = () if precisions is None else rankings.notes(choice, rule)
    lines = (tag("div", said(note)) for note in notes)
    return fragment(tag("b", rankings.words(choice)), f": {words}", *lines)


def missing_words(sample: Sample, modality: str) -> str:
    """Why a query has no results by a modality, which is given in words."""
    return f"{query_name(sample)} has no {modality} row: it lacks an image, or one failed"
