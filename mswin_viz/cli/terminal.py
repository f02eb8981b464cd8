"""Printing that works on any terminal, and where standard output or error is closed."""

from __future__ import annotations

import contextlib
import errno
import io
import sys
from typing import TextIO

from mswin_viz.errors import OutputError


class Notices(io.TextIOBase):
    """Standard error for progress bars and notes: what it cannot take is dropped, and the work goes on."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written; the length of all of it."""
        if self._stream is not None:
            # a full disk, a pipe without a reader, a closed stream
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()
        return len(text)

    def isatty(self) -> bool:
        """Whether it is a terminal, so that bars and colours make sense."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """The system's number of the stream."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        """Of the stream; what draws with characters asks for it."""
        return getattr(self._stream, "encoding", None) or "ascii"


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output or error, if it is open; an ``OutputError`` if it cannot be written."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    try:
        print(text, file=stream, flush=True)
    except OSError as problem:
        if err or problem.errno == errno.EPIPE:  # the reader has gone
            raise
        raise OutputError(
            f"standard output must be writable: it is not ({problem.strerror}); redirect it to another place"
        ) from problem


def take_any_character() -> None:
    r"""Escape what the terminal's encoding lacks, as in ``\u2013``, where Python would raise an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
