"""An export for LanceDB: a folder with one table."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mswin_viz.data.exports.exported_rows import ExportedRows
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OutputError

TABLE = "images"


def write_lance(rows: ExportedRows, folder: Path) -> None:
    """Write the table ``images`` of a LanceDB database in the folder: each row's columns, and two columns of vectors."""
    problems: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for table in rows.tables():
                yield from table.to_batches()
        except BaseException as problem:  # on its way through Lance, it would become another one
            problems.append(problem)
            raise

    reader = pa.RecordBatchReader.from_batches(rows.schema, batches())
    try:
        importlib.import_module("lancedb").connect(folder).create_table(TABLE, reader)
    except Exception as problem:
        if problems:
            raise problems[0] from None
        raise OutputError(
            f"LanceDB must be able to write its table: it cannot ({shown_text(problem)}); free some space, or choose "
            "another folder"
        ) from problem
