"""Writes a store's rows for another tool, whole or not at all."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mswin_viz import __version__
from mswin_viz.data.exports.atlas_file import write_atlas
from mswin_viz.data.exports.csv_files import write_csv
from mswin_viz.data.exports.export_record import ExportRecord, check_replaceable, write_export_record
from mswin_viz.data.exports.exported_rows import ExportedRows
from mswin_viz.data.exports.faiss_index import write_faiss
from mswin_viz.data.exports.fiftyone_files import write_fiftyone
from mswin_viz.data.exports.lance_table import write_lance
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.destinations import destination
from mswin_viz.data.storage.file_writing import new_folder
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.data.store.stored_images import StoredImages
from mswin_viz.errors import DataError, OptionError, OutputError

_WRITERS: dict[str, Callable[[ExportedRows, Path], None]] = {
    "atlas": partial(write_atlas, images=False),
    "fiftyone": write_fiftyone,
    "lancedb": write_lance,
    "faiss": write_faiss,
    "csv": write_csv,
}
FORMATS = tuple(_WRITERS)
"""What a store can be exported to."""
_PACKAGES = ("lancedb", "faiss")
"""Formats that are written by the package of the same name."""


def check_export(store: StoredImages, folder: str | Path, to: str, *, images: bool) -> Path:
    """Refuse an export that could not be written in the end; the folder, with ``~`` replaced."""
    if to not in FORMATS:
        raise OptionError(f"to is one of {', '.join(FORMATS)}: got {to!r:.40}")
    if images and to != "atlas":
        raise OptionError(f"images are put into an export to atlas only: got to={to!r}; leave them out")
    if to in _PACKAGES:
        try:
            importlib.import_module(to)
        except ImportError as problem:
            raise OptionError(
                f"an export to {to} needs its package: it is not installed ({problem}); run pip install 'mswin-viz[export]'"
            ) from problem
    if store.n_rows == store.n_failed:
        raise DataError(
            f"an export needs at least one image with features: got {store!r}; see its failed rows"
        )
    place = output_folder(folder, inputs=[store.folder, store.root])
    if destination(store.folder) in destination(place).parents:
        raise OutputError(
            f"an export must lie outside the store: got {shown_text(place)} in {shown_text(store.folder)}; choose another folder"
        )
    check_replaceable(place)
    return place


def write_export(rows: ExportedRows, folder: Path, to: str, *, images: bool = False) -> None:
    """Write some rows in one of ``FORMATS``; what :func:`check_export` accepted before stands in its place at the end."""
    write = partial(write_atlas, images=True) if images else _WRITERS[to]
    record = ExportRecord(
        to=to,
        package=__version__,
        model=rows.store.record.model,
        n_images=rows.n_rows,
        n_failed=rows.store.n_failed,
        files=[],
    )
    with new_folder(folder) as unfinished:
        write(rows, unfinished)
        write_export_record(unfinished, record)
        check_replaceable(folder)
