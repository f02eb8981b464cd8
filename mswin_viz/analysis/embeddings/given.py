"""The table that a function is given, checked before anything is made of it."""

from __future__ import annotations

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import DataError


def of_table(table: object) -> EmbeddingTable:
    """A table, of any number of rows. Raises OptionError for anything else."""
    return of_kind(
        table, EmbeddingTable, "table must be a table of embeddings", "make one with mswin_viz.embed"
    )


def checked_table(table: object) -> EmbeddingTable:
    """A table with at least one row. Raises OptionError for anything else, DataError for a table without rows."""
    found = of_table(table)
    if not len(found):
        raise DataError("a table needs rows: got none; embed some images")
    return found
