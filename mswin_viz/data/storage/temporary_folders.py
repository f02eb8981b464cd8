"""Folders for as long as the program runs, and results that are kept because their own place cannot be written."""

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
    """Write a value into a new temporary folder that is not deleted; its path.

    For a result whose own place can no longer be written to.

    Raises
    ------
    OutputError
        If it cannot be written there either.
    """
    where = _temporary_place()
    with as_output_error(where):
        folder = tempfile.mkdtemp(prefix="mswin_viz_kept_")
    return write_json(Path(folder) / name, value)


def temporary_folder(prefix: str, *, n_bytes: int = 0) -> Path:
    """A folder that is deleted when the program ends.

    Raises
    ------
    OutputError
        If it cannot be made, or fewer than ``n_bytes`` are free there.
    """
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
            f"temporary files need a writable folder: found none ({problem.strerror or problem}); set "
            "TMPDIR to one"
        ) from problem
