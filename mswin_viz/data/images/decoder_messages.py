"""What image decoders written in C print on the terminal, caught and returned as text."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_STDERR = 2
_MOST = 5  # different messages that are kept of one file; a damaged one can give thousands
_OF_LIBTIFF = re.compile(
    rb"(?:tempfile\.tif|_?TIFF\w*|(?:Fax[34]|LZW|ZIP|O?JPEG|LogL|PixarLog|ZSTD|LZMA|LERC|WebP|Thunder|NeXT|DumpMode|PackBits"
    rb"|InitCCITT|Predictor[A-Z]|ChopUp|TryChopUp|allocChopped|EstimateStrip|EvaluateIFD|MissingReq|setExtra|setByte)\w*|"
    rb"(?=: \w+ compression support)): .*\."
)
"""The name of a function of libtiff, or of the file as Pillow calls it, and a sentence."""
_LOCK = threading.RLock()


@contextmanager
def caught_messages() -> Iterator[list[str]]:
    """What libtiff prints while the block runs, filled in at its end: different messages, at most five.

    Pillow cannot tell libtiff where to print. So C's own standard error is diverted while one file is decoded, by one
    thread at a time; whatever else was written to it meanwhile is printed afterwards.
    """
    messages: list[str] = []
    diverted = _stream_diverted if platform.libc_ver()[0] == "glibc" else _descriptor_diverted
    with _LOCK:
        if not _has_stderr():
            yield messages
            return
        place = _place(os.getpid())
        try:
            with diverted(place):
                yield messages
        finally:
            _sort(place, messages)


def _has_stderr() -> bool:
    """Whether standard error is open; if it was closed, the next file that is opened gets its number."""
    try:
        return os.get_inheritable(_STDERR)
    except OSError:
        return False


@cache
def _place(process: int) -> int:
    """Descriptor of a file that the process keeps for this; in memory, if the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("decoder_messages")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextmanager
def _stream_diverted(place: int) -> Iterator[None]:
    """Set C's variable ``stderr``, as glibc allows; Python's streams and other processes still print to the terminal."""
    stream = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    kept = stream.value
    stream.value = _c_file(place) or kept
    try:
        yield
    finally:
        stream.value = kept


@cache
def _c_file(place: int) -> int | None:
    """C's file of the place, without a buffer; never closed, as another thread may be about to print to it."""
    c = ctypes.CDLL(None)
    c.fdopen.restype = ctypes.c_void_p
    file = c.fdopen(place, b"a")
    c.setbuf(ctypes.c_void_p(file), None)
    return file


@contextmanager
def _descriptor_diverted(place: int) -> Iterator[None]:
    """Divert the descriptor itself, for whatever writes to it; a process started at that moment keeps it diverted."""
    kept = os.dup(_STDERR)
    try:
        os.dup2(place, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _sort(place: int, messages: list[str]) -> None:
    """Keep the decoder's lines, print all others, and empty the place."""
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


if hasattr(os, "register_at_fork"):  # a process forked meanwhile would stay diverted for good
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
