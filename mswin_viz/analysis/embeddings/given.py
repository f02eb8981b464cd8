"""The table and the model that a function is given, checked before anything is made of them."""

from __future__ import annotations

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.encoder.backbone import Model


def checked_table(table: object) -> EmbeddingTable:
    """A table with at least one row. Raises OptionError for anything else, DataError for a table without rows."""
    if not isinstance(table, EmbeddingTable):
        raise OptionError(
            f"table must be a table of embeddings: got {value_words(table)}; make one with mswin_viz.embed"
        )
    if not len(table):
        raise DataError("a table needs rows: got none; embed some images")
    return table


def checked_model(model: object) -> Model:
    """A model. Raises OptionError for anything else."""
    if not isinstance(model, Model):
        raise OptionError(
            f"model must be a model: got {value_words(model)}; make one with mswin_viz.load_model"
        )
    return model
