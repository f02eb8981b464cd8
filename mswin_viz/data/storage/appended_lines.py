"""Lines added to the end of a file that several programs may write: all of them or none, and what stands there stays."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.destinations import as_output_error, destination, made_folder
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.errors import OutputError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MODE = 0o666  # less what the user's mask takes away


def append_lines(path: str | Path, lines: Sequence[bytes]) -> Path:
    """Add whole lines to a file, which is made if it is missing, and wait until they are on the disk.

    Other programs that append are waited for. A line that was cut off, for example by a crash, keeps a line of its own:
    nothing that stands in the file is changed. If the lines cannot be written, none of them is left.

    Parameters
    ----------
    path
        A regular file, or a link to one.
    lines
        Without their ends.

    Raises
    ------
    OutputError
        If it is a folder, a device or a pipe, or cannot be written.
    """
    final = destination(path)
    if final.is_dir() or (final.exists() and not final.is_file()):
        raise OutputError(
            f"lines can be added to a file only: {shown_text(path)} is a folder, a device or a pipe; name a file"
        )
    made_folder(final.parent)
    with locked(final, busy="", waiting=lambda: None), as_output_error(path):
        handle = os.open(final, _FLAGS, _MODE)
        try:
            _append(handle, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(handle)
    return Path(path)


def _append(handle: int, content: bytes) -> None:
    """Write at the end of an open file; after an error, the file ends where it did."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    if status.st_size:
        os.lseek(handle, -1, os.SEEK_END)
        content = content if os.read(handle, 1) == b"\n" else b"\n" + content
    try:
        written = 0
        while written < len(content):
            written += os.write(handle, content[written:])
        os.fsync(handle)
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, status.st_size)
        raise
