"""What an export says of itself: ``export.json``, by which a later one knows what it may replace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.destinations import destination
from mswin_viz.data.storage.file_writing import is_unfinished, write_json
from mswin_viz.data.storage.stored_records import StoredRecord, checked, read_json
from mswin_viz.errors import MswinVizError, OutputError

EXPORT_FILE = "export.json"
_REMEDY = "choose another folder, or empty this one"


class ExportRecord(StoredRecord):
    """What an export holds: in which format, how many images, and how many had no features; of which model."""

    format: Literal[1] = 1
    to: str
    package: str
    model: dict[str, str]
    n_images: Annotated[int, Field(ge=0)]
    n_failed: Annotated[int, Field(ge=0)]
    files: list[str]


def write_export_record(folder: Path, record: ExportRecord) -> None:
    """Write ``export.json``, with the names of everything else in the folder."""
    files = sorted(name for name in os.listdir(folder) if not is_unfinished(name))
    write_json(folder / EXPORT_FILE, record.model_copy(update={"files": files}).model_dump())


def read_export_record(folder: Path) -> ExportRecord:
    """The ``export.json`` of a folder; an OutputError if it is missing or damaged."""
    value = read_json(folder / EXPORT_FILE, what="the export's", remedy=_REMEDY, error=OutputError)
    return checked(
        ExportRecord, value, what=f"the export {shown_text(folder)}", remedy=_REMEDY, error=OutputError
    )


def check_replaceable(folder: Path) -> None:
    """An OutputError unless a folder is missing, empty, or an earlier export with nothing added."""
    final = destination(folder)
    there = set(os.listdir(final)) if final.is_dir() else set()
    if not there:
        return
    try:
        known = {EXPORT_FILE, *read_export_record(final).files}
    except MswinVizError:
        known = set()
    others = sorted(there - known)
    if others:
        raise OutputError(
            f"an export replaces nothing but an earlier one: {shown_text(folder)} holds {short_text(others[0], 80)}; {_REMEDY}"
        )
