"""What image decoders written in C print on the terminal, caught and returned as text."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache

_STDERR = 2
_MOST = 5
"""Different messages that are kept of one file; a damaged one can give thousands."""
_OF_LIBTIFF = re.compile(
    rb"(?:tempfile\.tif|_?TIFF\w*|(?:Fax[34]|LZW|ZIP|O?JPEG|LogL|PixarLog|ZSTD|LZMA|LERC|WebP|Thunder|NeXT|DumpMode|PackBits"
    rb"|InitCCITT|Predictor[A-Z]|ChopUp|TryChopUp|allocChopped|EstimateStrip|EvaluateIFD|MissingReq|setExtra|setByte)\w*|"
    rb"(?=: \w+ compression support)): .*\."
)
"""The name of its function or of the file, as Pillow calls it, and a sentence."""
_LOCK = threading.RLock()


@contextmanager
def caught_messages() -> Iterator[list[str]]:
    """What libtiff prints while the block runs, filled in at its end: different messages, at most five.

    Pillow gives no way to hand libtiff another place to print to. So C's own standard error leads elsewhere for as long
    as one file is decoded, by one thread at a time; what else was written there meanwhile is written again afterwards.
    """
    messages: list[str] = []
    with _LOCK:
        if not _has_stderr():
            yield messages
            return
        place = _place(os.getpid())
        try:
            with _diverted(place):
                yield messages
        finally:
            _sort(place, messages)


def _has_stderr() -> bool:
    """Whether the descriptor is a program's own; where it was closed, the next file that is opened gets its number."""
    try:
        return os.get_inheritable(_STDERR)
    except OSError:
        return False


@cache
def _place(process: int) -> int:
    """Descriptor of a file that a process keeps for this; in memory, where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("decoder_messages")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _diverted(place: int) -> AbstractContextManager[None]:
    return _stream_diverted(place) if platform.libc_ver()[0] == "glibc" else _descriptor_diverted(place)


@contextmanager
def _stream_diverted(place: int) -> Iterator[None]:
    """C's variable ``stderr`` leads to the place; glibc lets programs set it.

    What Python's own streams, other programs and new processes write goes to the terminal as ever.
    """
    stream = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    kept = stream.value
    stream.value = _c_file(place) or kept
    try:
        yield
    finally:
        stream.value = kept


@cache
def _c_file(place: int) -> int | None:
    """C's file of the place, without a buffer. It is never closed: some other thread may still be about to print to it."""
    c = ctypes.CDLL(None)
    c.fdopen.restype = ctypes.c_void_p
    file = c.fdopen(place, b"a")
    c.setbuf(ctypes.c_void_p(file), None)
    return file


@contextmanager
def _descriptor_diverted(place: int) -> Iterator[None]:
    """The descriptor itself leads to the place, for whatever writes to it.

    A process that another thread starts at just that moment keeps the place as its standard error.
    """
    kept = os.dup(_STDERR)
    try:
        os.dup2(place, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _sort(place: int, messages: list[str]) -> None:
    """The decoder's lines are kept, all others printed; the place is empty then."""
    if not os.fstat(place).st_size:
        return
    with os.fdopen(os.dup(place), "rb") as printed:
        printed.seek(0)
        for line in printed:
            if not _OF_LIBTIFF.fullmatch(line.rstrip(b"\r\n")):
                with suppress(OSError):
                    os.write(_STDERR, line)
            elif len(messages) < _MOST:
                text = line.decode("utf-8", "replace").strip()
                messages += [] if text in messages else [text]
    os.ftruncate(place, 0)
    os.lseek(place, 0, os.SEEK_SET)


if hasattr(os, "register_at_fork"):  # a fork in between would keep the other place for good
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
