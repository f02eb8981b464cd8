"""The rows of hits in the browser: for each modality the pictures that a text found, each beside the map of its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets

from mswin_viz.analysis.text_search.record import TextHits, TextSearch
from mswin_viz.data.shown_text import counted, n_of, shown_text
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.labels import MODALITIES
from mswin_viz.view.widgets.lifetime import ClosedWhole

_HEIGHT = 128  # of a thumbnail, pixels; shown smaller


class TextHitRows(ClosedWhole, anywidget.AnyWidget):
    """Hits of a text, a row for each modality. The traits are the whole state.

    The browser says ``{"kind": "shown"}`` when they are first drawn.
    """

    _esm = script("text_hits")
    _css = style("list_box", "text_hits")

    lists = traitlets.List(traitlets.Dict()).tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)  # row as text -> JPEG file
    maps = traitlets.Dict().tag(sync=True)  # the same with the map of the words over it
    selected = traitlets.List(traitlets.Int()).tag(sync=True)

    def __repr__(self) -> str:
        return f"TextHitRows({counted(len(self.lists), 'modalities')}, {len(self.selected)} chosen)"

    def release(self) -> None:
        """Release the pictures."""
        self.lists, self.pictures, self.maps = [], {}, {}

    def show(self, found: TextSearch) -> None:
        """Show the hits of the first prompt, none of them chosen and without maps yet."""
        hits, table = [one for one in found.hits if one.prompt == found.prompts[0]], found.table
        size = picture_size(table.files, longer=_HEIGHT)
        rows = dict.fromkeys(int(row) for one in hits for row in one.rows)
        with self.hold_sync():
            self.selected, self.maps = [], {}
            self.pictures = {str(row): row_thumbnail(table.files[row], size) for row in rows}
            self.lists = [_list(found, one) for one in hits]


def hits_words(hits: TextHits) -> str:
    """How many images were ranked, and how many could not be."""
    bad = f", {hits.n_left_out} without a direction left out" if hits.n_left_out else ""
    return f"first {n_of(len(hits.rows), hits.n_ranked, 'images')}{bad}"


def _list(found: TextSearch, hits: TextHits) -> dict[str, Any]:
    return {
        "modality": hits.modality,
        "title": MODALITIES.get(hits.modality, hits.modality),
        "words": hits_words(hits),
        "hits": _items(found, hits),
    }


def _items(found: TextSearch, hits: TextHits) -> Sequence[dict[str, Any]]:
    table = found.table
    return [
        {
            "row": row,
            "label": who(table, row),
            "name": shown_text(table.path[row].name),
            "cosine": float(cosine),
        }
        for row, cosine in zip(hits.rows.tolist(), hits.cosine, strict=True)
    ]
