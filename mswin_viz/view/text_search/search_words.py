"""What the view of a search by text says in words: words that mean nothing, and what the colours are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mswin_viz.analysis.text_search.record import TextSearch
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.view.text_search.word_maps import WordMap, map_colours
from mswin_viz.view.widgets.colours import SIGNED, end_colours
from mswin_viz.view.widgets.markup import FONT, SMALL, Markup, fragment, tag

_NOTE = {"border-left": "3px solid #e69f00", "padding": "2px 8px", "margin": "2px 0"}


def unknown_html(found: TextSearch) -> Markup:
    """Which words the text tower was never trained on; nothing where it knows all."""
    lines = (tag("div", words, style=_NOTE) for words in found.unknown_sentences())
    return tag("div", *lines, style=FONT, role="status")


def not_embedded_words(samples: Sequence[Sample]) -> str:
    """How many images there are to embed, and how."""
    n = sum(len(sample.images) for sample in samples)
    return f"{counted(len(samples), 'samples')}, {counted(n, 'images')}, not embedded yet: press “embed and search”."


def legend_html(maps: Mapping[int, WordMap], n_rows: int) -> Markup:
    """What the maps' colours are, and how many maps there are so far."""
    if not maps:
        return tag("div", "Maps of the words: not computed yet.", style=FONT | SMALL)
    low, high = end_colours(SIGNED)
    lowest, highest = (f"{limit:+.3f}" for limit in map_colours(maps).get_clim())
    so_far = f" ({n_of(len(maps), n_rows, 'images')} so far)" if len(maps) < n_rows else ""
    return tag(
        "div",
        f"Map of the words{so_far}, on one scale: each patch's exact share of the cosine, from ",
        tag("b", "■", style={"color": low}), f" {lowest} to ", tag("b", "■", style={"color": high}),
        fragment(f" {highest} (the strongest 1 % lie beyond). With the shares of class token, positions and biases they add up to the cosine."),
        style=FONT | SMALL,
    )  # fmt: skip
