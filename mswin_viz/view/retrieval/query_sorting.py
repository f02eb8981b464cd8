"""The order of the menu of queries, and the value behind each, as the view's controls ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.embeddings.query_order import (
    AS_LISTED,
    DISAGREEMENT,
    order_names,
    order_parts,
    ordered,
)
from mswin_viz.view.parts.neighbour_words import list_title
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.retrieval.source import RetrievalSource
from mswin_viz.view.widgets.glossary import TERMS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_WORDS = {
    "AP": "AP, lowest first: {name}",
    "loss": "AP lost, largest loss first: {name} against {first}",
    "gain": "AP gained, largest gain first: {name} against {first}",
    "margin": "margin, worst first: {name}",
    "first match": "first match, latest first: {name}",
}
EXPLAINED = {
    AS_LISTED: "The order of the samples.",
    "AP": "Average precision of one list.",
    "loss": "Average precision minus that of the first list.",
    "gain": "Average precision minus that of the first list.",
    "margin": TERMS["margin"],
    "first match": "Rank of the first result that is a match.",
    DISAGREEMENT: "Fewest of the first results in common to all lists, then the largest spread of average precision.",
}
"""Kind of order -> what it goes by."""


@dataclass(frozen=True, eq=False)
class Sorted:
    """The place of every sample, and the words of the value behind it; samples without a value come last."""

    places: Int[np.ndarray, " sample"]
    values: Float[np.ndarray, " sample"]
    shown: Callable[[float], str]

    def words(self, position: int) -> str:
        """The value behind a query."""
        value = float(self.values[position])
        return self.shown(value) if np.isfinite(value) else "no match"


@dataclass(frozen=True, eq=False)
class QuerySorting:
    """Orders the samples of ``source`` as the traits ``order``, ``modality``, ``rule`` and ``k`` of ``owner`` say."""

    owner: Any
    source: RetrievalSource
    rankings: Rankings

    @property
    def key(self) -> tuple[object, ...]:
        """What the order depends on; another key is another order."""
        o = self.owner
        is_sorted = o.order != AS_LISTED
        return (o.order, o.modality, o.rule, o.k, self.is_ranked) if is_sorted else (AS_LISTED,)

    @property
    def is_ranked(self) -> bool:
        """Whether every query is ranked by the present modality and rule."""
        return (
            self.source.lists is not None
            and self.rankings.values(self.owner.modality, self.owner.rule) is not None
        )

    def now(self) -> Sorted | None:
        """The present order; None for that of the samples, and while queries are not ranked."""
        o, source = self.owner, self.source
        values = self.rankings.values(o.modality, o.rule)
        if o.order == AS_LISTED or values is None or source.lists is None:
            return None
        found = ordered(values, o.order, k=o.k)
        table = self.rankings.lists(source.lists, o.modality).table
        rows = table.rows(self.rankings.row_modality(o.modality))
        is_asked = np.isin(found.rows, rows)
        n = len(source.samples)
        places, of_samples = np.full(n, n), np.full(n, np.nan)
        in_order = table.sample[found.rows[is_asked]]
        places[in_order] = np.arange(len(in_order))
        of_samples[table.sample[rows]] = found.value[rows]
        return Sorted(places, of_samples, _shown(o.order, o.k))

    def sorted(self, positions: Sequence[int]) -> list[int]:
        """Some samples in the present order."""
        now = self.now()
        return list(positions) if now is None else sorted(positions, key=lambda at: now.places[at])


def order_choices(names: Sequence[str]) -> dict[str, str]:
    """The orders for lists of these names, and their words."""
    return {order: _order_words(order, names[0]) for order in order_names(names)}


def _order_words(order: str, first: str) -> str:
    kind, name = order_parts(order)
    if kind == AS_LISTED:
        return "as listed"
    if kind == DISAGREEMENT:
        return "where the lists disagree first"
    return _WORDS[kind].format(name=list_title(name), first=list_title(first))


def _shown(order: str, k: int) -> Callable[[float], str]:
    kind, _ = order_parts(order)
    if kind == DISAGREEMENT:
        return lambda value: f"{value:.0f} of {k} shared"
    if kind == "first match":
        return lambda value: f"rank {value:.0f}"
    return (lambda value: f"{value:.3f}") if kind == "AP" else (lambda value: f"{value + 0.0:+.3f}")
