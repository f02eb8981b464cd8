"""A row's nearest neighbours by plain and by enhanced features, or by several models, as ranked lists of thumbnails."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.neighbour_figure import neighbours_figure
from mswin_viz.view.parts.neighbour_rows import NeighbourRows
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.stored_output import MOST_OF_A_NAME, StoredView, one_line
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mswin_viz.analysis.embeddings.table import EmbeddingTable


class NeighbourStripError(OptionError, traitlets.TraitError):
    """The table has no such row; the strip keeps its row."""


class NeighbourStrip(StoredView, anywidget.AnyWidget):
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
        What is drawn: the query, the lists, and JPEG files by row.
    message
        Why there are no lists; empty otherwise.
    rows, results
        What ranks the table's rows, and the records behind the lists, by list; not sent to the browser.

    Examples
    --------
    >>> table = mv.embed(model, samples[:8], modalities=["RGB"], progress=False)
    >>> strip = mv.NeighbourStrip(table, row=0, k=3)
    >>> [found.marks for found in strip.results.values()][0], strip.message
    (('right', 'right', 'wrong'), '')
    >>> strip.close()
    """

    _esm = script("neighbours")
    _css = style("list_box", "neighbours")

    row = traitlets.Int(-1).tag(sync=True)
    k = traitlets.Int(8, min=1).tag(sync=True)
    rule = traitlets.Enum(RULES, RULES[0]).tag(sync=True)
    clicked = traitlets.Int(-1).tag(sync=True)
    query = traitlets.Dict().tag(sync=True)
    lists = traitlets.List(traitlets.Dict()).tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)

    @made_whole()
    def __init__(
        self, table: EmbeddingTable | NamedFeatures, *, has_addon: bool | None = None, **traits: Any
    ) -> None:
        self._lock, self._is_setting, self._has_addon = threading.RLock(), threading.Event(), has_addon
        self._guarded = Guard(self, lambda problems: self.set_trait("message", text_of(problems)))
        self.results: Mapping[str, Neighbours] = {}
        self.rows = NeighbourRows(table, has_addon=has_addon)
        super().__init__(**traits)
        guarded = self._guarded("following a control")
        self.observe(guarded(lambda _change: self._refresh()), ["row", "k", "rule"])
        self._refresh()

    def __repr__(self) -> str:
        query = "no row"
        if self.row >= 0:
            query = f"row {self.row} ({short_text(who(self.table, self.row), MOST_OF_A_NAME)})"
        return one_line(self, f"{query} of {self.table!r}", is_closed=is_closed(self))

    def _picture(self) -> Figure | None:
        return neighbours_figure(self.table, self.results) if self.results else None

    def release(self) -> None:
        """Release results and pictures."""
        self._clear()
        self.rows.release()

    @property
    def table(self) -> EmbeddingTable:
        """The table whose rows are ranked, of several the first; change it with :meth:`replace`."""
        return self.rows.table

    def replace(self, table: EmbeddingTable | NamedFeatures, row: int = -1) -> None:
        """Rank the rows of another table, for one of its rows as the query."""
        self.show(table, row, k=self.k, rule=self.rule)

    def show(self, table: EmbeddingTable | NamedFeatures, row: int, *, k: int, rule: str) -> None:
        """Show the neighbours of one row; they are ranked once, however much of this changes."""
        with self._lock, self.hold_sync():
            self._is_setting.set()
            try:
                if table is not self.rows.given:
                    self.rows = NeighbourRows(table, has_addon=self._has_addon)
                    self.row = -1
                self.row, self.k, self.rule = row, k, rule
            finally:
                self._is_setting.clear()
            self._refresh()

    @traitlets.validate("row", "clicked")
    def _checked_row(self, proposal: Any) -> int:
        if not -1 <= proposal["value"] < len(self.table):
            raise NeighbourStripError(
                f"{proposal['trait'].name} must be one of the table's rows 0..{len(self.table) - 1}, or -1 for none: got "
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
                self.query = self.rows.query(self.row)
            with self._guarded("ranking", failed=self._clear):
                results = self.rows.ranked(self.row, k=self.k, rule=self.rule)
                lists = self.rows.lists(results)
                self.pictures = self.rows.pictures(results)
                self.results, self.lists = results, lists

    def _clear(self) -> None:
        self.results, self.lists, self.pictures = {}, [], {}
