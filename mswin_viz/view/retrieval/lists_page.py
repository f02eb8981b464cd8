"""One page of many queries' ranked lists: without network or kernel, with small pictures, in any order."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.shown_text import shown_text
from mswin_viz.view.page.page_values import json_text
from mswin_viz.view.parts.neighbour_words import measures_in_words, who
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail
from mswin_viz.view.widgets.assets import as_function, script, style
from mswin_viz.view.widgets.markup import FONT, NOTE, page_document, tag

_HEIGHT = 96  # of a small picture, pixels
_KEY = (
    "Solid frame and ✓: the query's identity. Dashed frame and ✗: another. Dotted frame and ?: not known. "
    "AP: average precision of the query over all candidates."
)


@dataclass(eq=False)
class ListsPage:
    """Collects queries; pictures that occur several times are kept once. ``lists``: their titles."""

    lists: tuple[str, ...]
    _queries: list[dict[str, Any]] = field(default_factory=list)
    _pictures: list[str] = field(default_factory=list)
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _sizes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(
        self, table: EmbeddingTable, found: Sequence[tuple[EmbeddingTable, Neighbours]], files: list[str]
    ) -> None:
        """Add a query: of each of ``lists``, the table that was ranked and the neighbours; and the names of its files."""
        first = found[0][1]
        number = len(self._queries) + 1
        self._queries.append(
            {
                "id": f"query-{number}",
                "number": number,
                "label": who(table, first.query),
                "name": shown_text(table.path[first.query].name),
                "files": files,
                "picture": self._picture(table, first.query),
                "lists": [
                    {
                        "title": title,
                        "words": measures_in_words(one),
                        "ap": float(one.average_precision) if np.isfinite(one.average_precision) else None,
                        "items": self._items(of, one),
                    }
                    for title, (of, one) in zip(self.lists, found, strict=True)
                ],
            }
        )

    def document(self, title: str, provenance: str) -> str:
        """The whole page; ``provenance`` stands at its foot."""
        data = {"title": title, "lists": self.lists, "queries": self._queries, "pictures": self._pictures}
        lines = (tag("div", words) for words in (_KEY, provenance))
        return page_document(
            title,
            tag("div", *lines, style=FONT | NOTE),
            templates={},
            data=json_text(data),
            script=f"const page = {as_function(script('ranked_page'))};\npage.start();\n",
            style=style("page", "list_box", "neighbours", "ranked_page"),
        )

    def _items(self, table: EmbeddingTable, found: Neighbours) -> list[dict[str, Any]]:
        return [
            {
                "label": who(table, row),
                "name": shown_text(table.path[row].name),
                "similarity": float(similarity),
                "measure": "cosine" if found.metric == "cosine" else "distance",
                "mark": mark,
                "picture": self._picture(table, row),
            }
            for row, similarity, mark in zip(found.rows.tolist(), found.similarity, found.marks, strict=True)
        ]

    def _picture(self, table: EmbeddingTable, row: int) -> int:
        """The place of a row's small picture among those of the page."""
        files = table.files[row]
        key = tuple(files.items())
        if key not in self._known:
            size = self._sizes.setdefault(id(table), picture_size(table.files, longer=_HEIGHT))
            self._known[key] = len(self._pictures)
            self._pictures.append(base64.b64encode(row_thumbnail(files, size)).decode("ascii"))
        return self._known[key]
