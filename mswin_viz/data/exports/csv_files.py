"""An export for spreadsheets and scripts: one CSV table, and the features as NumPy arrays with the same rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pyarrow as pa

from mswin_viz.data.exports.exported_rows import TAGS, ExportedRows
from mswin_viz.data.storage.file_writing import new_array, new_file
from mswin_viz.data.storage.spreadsheet_cells import csv_file
from mswin_viz.data.store.shard_reading import feature_array


def write_csv(rows: ExportedRows, folder: Path) -> None:
    """Write ``images.csv``, of every row in view, and ``cls_plain.npy`` and ``cls_enhanced.npy``, NaN where a row failed."""
    import pandas as pd  # slow to import

    whole_numbers = {
        pa.int64(): pd.Int64Dtype(),
        pa.int32(): pd.Int32Dtype(),
    }  # also where some are not known
    n_rows = rows.store.n_rows
    with contextlib.ExitStack() as opened:
        lines = opened.enter_context(new_file(folder / "images.csv"))
        arrays = {
            name: opened.enter_context(new_array(folder / f"{name}.npy", (n_rows, width)))
            for name, width in rows.widths.items()
        }
        for number, table in enumerate(rows.every_table()):
            about = table.drop_columns(list(arrays)).to_pandas(types_mapper=whole_numbers.get)
            if TAGS in about:
                about[TAGS] = [", ".join(names) for names in about[TAGS]]  # no tag has a comma
            lines.write(csv_file(about, header=number == 0))
            for name, stream in arrays.items():
                stream.write(feature_array(table[name].combine_chunks()).tobytes())
