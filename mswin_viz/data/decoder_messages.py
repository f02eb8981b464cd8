"""What image decoders written in C print on the terminal, caught and returned as text."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

__all__ = ["caught_messages"]

_STDERR = 2
_MOST = 5
"""Different messages that are kept of one file; a damaged one can give thousands."""
_MOST_BYTES = 2**20
_OF_LIBTIFF = re.compile(rb"(?:\w+|tempfile\.tif): .*\.")
"""The name of its function or of the file, as Pillow calls it, and a sentence."""
_LOCK = threading.RLock()


@contextmanager
def caught_messages() -> Iterator[list[str]]:
    """What libtiff prints while the block runs, filled in at its end: different messages, at most five.

    libtiff writes to file descriptor 2, which no stream of Python's sees; Pillow gives no way to hand it another
    place. So the descriptor leads elsewhere for as long as one file is decoded, by one thread at a time. Whatever
    else was written there meanwhile is written again afterwards. A process that another thread starts at just that
    moment keeps that place as its standard error.
    """
    messages: list[str] = []
    with _LOCK:
        if not _has_stderr():
            yield messages
            return
        kept = os.dup(_STDERR)
        try:
            with _place() as place:
                os.dup2(place.fileno(), _STDERR)
                try:
                    yield messages
                finally:
                    os.dup2(kept, _STDERR)
                    if os.fstat(place.fileno()).st_size:
                        _sort(os.pread(place.fileno(), _MOST_BYTES, 0), messages)
        finally:
            os.close(kept)


def _has_stderr() -> bool:
    """Whether the descriptor is a program's own; where it was closed, the next file that is opened gets its number."""
    try:
        return os.get_inheritable(_STDERR)
    except OSError:
        return False


def _place() -> BinaryIO:
    """A file in memory, where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("decoder_messages"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _sort(printed: bytes, messages: list[str]) -> None:
    """The decoder's lines are kept, all others printed."""
    for line in printed.splitlines(keepends=True):
        if _OF_LIBTIFF.fullmatch(line.rstrip(b"\r\n")):
            text = line.decode("utf-8", "replace").strip()
            if text not in messages and len(messages) < _MOST:
                messages.append(text)
        else:
            with suppress(OSError):
                os.write(_STDERR, line)


if hasattr(os, "register_at_fork"):  # a fork in between would keep the other place for good
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
