"""A row's nearest neighbours by plain and by enhanced features, as two ranked lists of thumbnails."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from mswin_viz.analysis.embeddings.neighbours import Neighbours, neighbours
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.neighbour_figure import neighbours_figure
from mswin_viz.view.parts.neighbour_words import measures_in_words, sample_files, who
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail
from mswin_viz.view.parts.stored_output import MOST_OF_A_NAME, one_line, with_picture
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.labels import FEATURES
from mswin_viz.view.widgets.lifetime import check_open, close_view, is_closed, made_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.data.images.image_source import ImageSource

__all__ = ["NeighbourStrip", "NeighbourStripError"]

_HEIGHT = 112  # pixels of a thumbnail; shown smaller
_KEPT = 600  # thumbnails, until the strip is closed or gets another table


class NeighbourStripError(OptionError, traitlets.TraitError):
    """The table has no such row; the strip keeps its row."""


class NeighbourStrip(anywidget.AnyWidget):
    """The neighbours of one row of a table by plain and by enhanced features, right and wrong ones marked.

    In a notebook: ``NeighbourStrip(table, row=0)``. Set ``row`` to see the neighbours of another row; observe ``clicked``
    to learn which neighbour was chosen. The traits are the whole state; marks are a sign, a colour and a border style.

    Parameters
    ----------
    table
        From :func:`mswin_viz.embed`; joined modalities are shown side by side.
    has_addon
        Whether plain and enhanced differ; if not, one list is shown. If None, the features are compared.

    Attributes
    ----------
    row
        The query's row in the table; -1 for none. Neighbours are those of its modality.
    k
        How many neighbours each list shows.
    rule
        The matching rule, ``"camera"``, ``"scene"`` or ``"none"``: which images of the query's identity are left out.
    clicked
        The row of the neighbour that was chosen by mouse or keyboard; -1 for none, and whenever ``row`` changes.
    query, lists, pictures
        What is drawn: the query, the two lists, and JPEG files by row.
    message
        Why there are no lists; empty otherwise.
    results
        The records behind the lists, by feature; not sent to the browser.
    """

    _esm = script("neighbours")
    _css = style("neighbours")

    row = traitlets.Int(-1).tag(sync=True)
    k = traitlets.Int(8, min=1).tag(sync=True)
    rule = traitlets.Enum(RULES, RULES[0]).tag(sync=True)
    clicked = traitlets.Int(-1).tag(sync=True)
    query = traitlets.Dict().tag(sync=True)
    lists = traitlets.List(traitlets.Dict()).tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)

    @made_whole()
    def __init__(self, table: EmbeddingTable, *, has_addon: bool | None = None, **traits: Any) -> None:
        self._lock, self._is_setting, self._has_addon = threading.RLock(), threading.Event(), has_addon
        self._guarded = Guard(self, lambda problems: self.set_trait("message", " ".join(problems)))
        self.results: Mapping[str, Neighbours] = {}
        self._thumbnail = lru_cache(maxsize=_KEPT)(lambda files: row_thumbnail(dict(files), self._size))
        self._use(table)
        super().__init__(**traits)
        guarded = self._guarded("following a control")
        self.observe(guarded(lambda _change: self._refresh()), ["row", "k", "rule"])
        self._refresh()

    def __repr__(self) -> str:
        query = "no row"
        if self.row >= 0:
            query = f"row {self.row} ({short_text(who(self._table, self.row), MOST_OF_A_NAME)})"
        return one_line(self, f"{query} of {self._table!r}", is_closed=is_closed(self))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any] | None:
        bundle = super()._repr_mimebundle_(**options)
        return with_picture(
            bundle, repr(self), lambda: neighbours_figure(self._table, self.results) if self.results else None
        )

    def close(self) -> None:
        """Close it with its layout, and release results and pictures."""
        close_view(self)

    def release(self) -> None:
        """Release results and pictures."""
        self._clear()
        self._thumbnail.cache_clear()

    @property
    def table(self) -> EmbeddingTable:
        """The table whose rows are ranked; change it with :meth:`replace`."""
        return self._table

    def replace(self, table: EmbeddingTable, row: int = -1) -> None:
        """Rank the rows of another table, for one of its rows as the query."""
        self.show(table, row, k=self.k, rule=self.rule)

    def show(self, table: EmbeddingTable, row: int, *, k: int, rule: str) -> None:
        """Show the neighbours of one row; they are ranked once, however much of this changes."""
        with self._lock, self.hold_sync():
            self._is_setting.set()
            try:
                if table is not self._table:
                    self._use(table)
                    self.row = -1
                self.row, self.k, self.rule = row, k, rule
            finally:
                self._is_setting.clear()
            self._refresh()

    def _use(self, table: EmbeddingTable) -> None:
        self._table = table
        self._thumbnail.cache_clear()
        has_addon = self._has_addon
        differs = not np.array_equal(table.plain, table.enhanced) if has_addon is None else has_addon
        self._features = tuple(FEATURES) if differs else ("plain",)
        self._size = picture_size(table.files, longer=_HEIGHT)

    @traitlets.validate("row", "clicked")
    def _checked_row(self, proposal: Any) -> int:
        if not -1 <= proposal["value"] < len(self._table):
            raise NeighbourStripError(
                f"{proposal['trait'].name} must be one of the table's rows 0..{len(self._table) - 1}, or -1 for none: got "
                f"{proposal['value']}"
            )
        return proposal["value"]

    def _refresh(self) -> None:
        check_open(self)
        if self._is_setting.is_set():
            return
        with self._lock, self.hold_sync():
            self.clicked = -1
            with self._guarded("showing a query", failed=lambda: self.set_trait("query", {})):
                self.query = {} if self.row < 0 else self._query()
            with self._guarded("ranking", failed=self._clear):
                results = {} if self.row < 0 else self._ranked()
                lists = _lists(self._table, results)
                shown = {int(row) for ranked in results.values() for row in ranked.rows}
                self.pictures = {str(row): self._picture(self._table.files[row]) for row in shown}
                self.results, self.lists = results, lists

    def _picture(self, files: Mapping[str, ImageSource]) -> bytes:
        return self._thumbnail(tuple(files.items()))

    def _clear(self) -> None:
        self.results, self.lists, self.pictures = {}, [], {}

    def _ranked(self) -> dict[str, Neighbours]:
        options = {"k": self.k, "rule": self.rule}
        return {name: neighbours(self._table, self.row, feature=name, **options) for name in self._features}

    def _query(self) -> dict[str, Any]:
        """The query's row: its pictures in every modality of the table, and which of them the ranking uses."""
        table, ranked_by = self._table, self._table.files[self.row]
        pictures = [
            {"name": name, "picture": self._picture({name: file}), "is_used": name in ranked_by}
            for name, file in sample_files(table, self.row).items()
        ]
        name = shown_text(table.path[self.row].name)
        return {"label": who(table, self.row), "name": name, "pictures": pictures}


def _lists(table: EmbeddingTable, results: Mapping[str, Neighbours]) -> list[dict[str, Any]]:
    plain_rows = results["plain"].rows.tolist() if "plain" in results else []
    is_only = len(results) == 1
    return [
        {
            "feature": name,
            "title": "plain CLS (no add-on)" if is_only else FEATURES[name],
            "words": measures_in_words(ranked),
            "items": _items(table, ranked, plain_rows if name == "enhanced" else None),
        }
        for name, ranked in results.items()
    ]


def _items(
    table: EmbeddingTable, ranked: Neighbours, plain_rows: Sequence[int] | None
) -> list[dict[str, Any]]:
    """What is known of each neighbour, and its rank among ``plain_rows``, 0 where it is not there."""
    return [
        {
            "row": int(row),
            "label": who(table, row),
            "name": shown_text(table.path[row].name),
            "similarity": float(similarity),
            "measure": "cosine" if ranked.metric == "cosine" else "distance",
            "mark": mark,
            "plain_rank": None
            if plain_rows is None
            else (plain_rows.index(row) + 1 if row in plain_rows else 0),
        }
        for row, similarity, mark in zip(ranked.rows.tolist(), ranked.similarity, ranked.marks, strict=True)
    ]
