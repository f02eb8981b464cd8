"""Folders that last as long as the program, and a place for results whose own cannot be written."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mswin_viz.data.storage.destinations import as_output_error, check_space
from mswin_viz.data.storage.file_writing import write_json
from mswin_viz.errors import OutputError


def write_kept_json(name: str, value: Any) -> Path:
    """Write a result that cannot be written to its own place into a temporary folder that is kept; returns its path."""
    where = _temporary_place()
    with as_output_error(where):
        folder = tempfile.mkdtemp(prefix="mswin_viz_kept_")
    return write_json(Path(folder) / name, value)


def temporary_folder(prefix: str, *, n_bytes: int = 0) -> Path:
    """A folder that is deleted when the program ends; an `OutputError` if fewer than ``n_bytes`` are free for it."""
    where = _temporary_place()
    check_space(where, n_bytes, "temporary files need", "set TMPDIR to a folder with more")
    with as_output_error(where):
        folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _temporary_place() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError as problem:  # all of them are full, read-only or missing
        raise OutputError(
            f"temporary files need a writable folder: found none ({problem.strerror or problem}); set TMPDIR to one"
        ) from problem
