"""The figure of what a retrieval view shows, with its name and where it comes from."""

from __future__ import annotations

from matplotlib.figure import Figure

from mswin_viz.errors import OptionError
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.retrieval.figures import ranked_figure
from mswin_viz.view.retrieval.pair_works import PairWorks
from mswin_viz.view.retrieval.query_choice import query_name
from mswin_viz.view.retrieval.rankings import Rankings
from mswin_viz.view.retrieval.source import RetrievalSource
from mswin_viz.view.widgets.freshness import Freshness


def named_figure(
    strip: NeighbourStrip | None,
    freshness: Freshness,
    about: tuple[RetrievalSource, Rankings, PairWorks],
    now: tuple[int, str],
    *,
    n_shares: int,
    scale: int | None,
) -> tuple[str, Figure]:
    """What the lists show, named after their query: where the last ranking failed, not the one that is chosen.

    ``now`` are the query and modality that are chosen. Raises OptionError if nothing is ranked.
    """
    source, rankings, pairs = about
    shown = freshness.shown
    if strip is None or shown is None:
        raise OptionError(
            'a figure needs ranked results: got none yet; press "embed and rank", or call start()'
        )
    results = dict(strip.results)
    if not results:
        raise OptionError(
            f"a figure needs a query with ranked results: got {query_name(source.samples[now[0]])}, which has none "
            f"by {rankings.words(now[1])}; choose another query"
        )
    table, clicked = strip.table, strip.clicked
    whose, shares = pairs.shares_of_first(strip.rows.lists_of, results, n_shares)
    position, modality, rule = shown[:3]
    name = source.samples[position].name
    chosen = f", chosen result {source.samples[table.sample[clicked]].name}" if clicked >= 0 else ""
    words = f"Query {name}{chosen}. Ranked by {rankings.words(modality)}, rule {rule}; {source.provenance}"
    words = f"{'Older than the controls. ' * freshness.is_old}{words}"
    figure = ranked_figure(table, results, shares=shares, scale=scale, provenance=words, shares_of=whose)
    return f"{name}_ranked", figure
