"""The neighbours of a table's rows as the strip draws them: the query, the ranked lists, and the pictures."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.embeddings.given import of_table
from mswin_viz.analysis.embeddings.named_features import NamedFeatures, features_of
from mswin_viz.analysis.embeddings.neighbours import Neighbours, neighbours
from mswin_viz.data.shown_text import shown_text
from mswin_viz.view.parts.neighbour_words import list_title, measures_in_words, sample_files, short_title, who
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.data.images.image_source import ImageSource

_HEIGHT = 112  # pixels of a thumbnail; shown smaller
_KEPT = 600  # thumbnails


class NeighbourRows:
    """Ranks rows of one table, or of several with the same rows, and keeps the pictures it has read.

    Parameters
    ----------
    table
        From :func:`mswin_viz.embed`; joined modalities are shown side by side. Or named features: a list for each.
    has_addon
        Whether plain and enhanced of a table differ; if not, one list is made. If None, the features are compared.
    """

    def __init__(self, table: EmbeddingTable | NamedFeatures, *, has_addon: bool | None = None) -> None:
        self.given, self.lists_of = table, _named(table, has_addon)
        self.table = self.lists_of.table
        self._size = picture_size(self.table.files, longer=_HEIGHT)
        self._thumbnail = lru_cache(maxsize=_KEPT)(lambda files: row_thumbnail(dict(files), self._size))

    def release(self) -> None:
        """Release the pictures."""
        self._thumbnail.cache_clear()

    def ranked(self, row: int, *, k: int, rule: str) -> dict[str, Neighbours]:
        """The records behind the lists of a query's row, by list; none for -1. Errors as in :func:`neighbours`."""
        if row < 0:
            return {}
        return {
            name: neighbours(table, row, feature=feature, k=k, rule=rule)
            for name, (table, feature) in self.lists_of.of.items()
        }

    def query(self, row: int) -> dict[str, Any]:
        """A query's row: its pictures in every modality of the table, and which of them the ranking uses; empty for -1."""
        if row < 0:
            return {}
        table, ranked_by = self.table, self.table.files[row]
        pictures = [
            {"name": name, "picture": self.picture({name: file}), "is_used": name in ranked_by}
            for name, file in sample_files(table, row).items()
        ]
        return {"label": who(table, row), "name": shown_text(table.path[row].name), "pictures": pictures}

    def lists(self, results: Mapping[str, Neighbours]) -> list[dict[str, Any]]:
        """One ranked list for each record, with what is known of each neighbour."""
        first = self.lists_of.names[0]
        before = results[first].rows.tolist() if first in results else None
        is_only = len(results) == 1
        return [
            {
                "feature": name,
                "title": list_title(name, is_only=is_only),
                "words": measures_in_words(ranked),
                "before": {"title": list_title(first), "short": short_title(first)},
                "items": _items(self.table, ranked, None if name == first else before),
            }
            for name, ranked in results.items()
        ]

    def pictures(self, results: Mapping[str, Neighbours]) -> dict[str, bytes]:
        """A JPEG file of each neighbour, by its row as text."""
        shown = dict.fromkeys(int(row) for ranked in results.values() for row in ranked.rows)
        return {str(row): self.picture(self.table.files[row]) for row in shown}

    def picture(self, files: Mapping[str, ImageSource]) -> bytes:
        """A JPEG file of a row's files."""
        return self._thumbnail(tuple(files.items()))


def _named(table: EmbeddingTable | NamedFeatures, has_addon: bool | None) -> NamedFeatures:
    """Plain and enhanced of a table, plain alone where they are the same; named features as they are."""
    if isinstance(table, NamedFeatures):
        return table
    table = of_table(table)
    differs = not np.array_equal(table.plain, table.enhanced) if has_addon is None else has_addon
    return features_of(table, None if differs else ("plain",))


def _items(table: EmbeddingTable, ranked: Neighbours, before: Sequence[int] | None) -> list[dict[str, Any]]:
    """What is known of each neighbour, and its rank among those of the first list, 0 where it is not there."""
    return [
        {
            "row": int(row),
            "label": who(table, row),
            "name": shown_text(table.path[row].name),
            "similarity": float(similarity),
            "measure": "cosine" if ranked.metric == "cosine" else "distance",
            "mark": mark,
            "plain_rank": None if before is None else (before.index(row) + 1 if row in before else 0),
        }
        for row, similarity, mark in zip(ranked.rows.tolist(), ranked.similarity, ranked.marks, strict=True)
    ]
