"""Writes files whole or not at all, whatever ends the program in between; every other module writes through this one."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.destinations import FULL, as_output_error, destination, made_folder, short_name
from mswin_viz.errors import OutputError

_UNFINISHED = ".unfinished"
_PATIENCE = 5.0  # seconds in which the program that reads from a pipe has to open it
_STALE = 24 * 3600.0  # seconds after which what a killed program left may go


def write_bytes(path: str | Path, content: bytes | bytearray | memoryview) -> Path:
    """Write a file whole or not at all: under another name first, flushed to the disk, then renamed.

    A file of that name is replaced in one step, and stays as it was if anything goes wrong. A link stays a link; a
    device or pipe is written to directly, a pipe once something reads from it. Missing folders are made.

    Raises
    ------
    OutputError
        If it cannot be written, or is a pipe that nothing reads from within seconds.
    """
    final = destination(path)
    if _is_special(final):
        with as_output_error(path), _opened_special(final) as stream:
            stream.write(content)
        return Path(path)
    with replacing(path) as file, as_output_error(path), file.open("wb") as stream:
        stream.write(content)
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write a value as JSON, UTF-8, indented by one space; see :func:`write_bytes`."""
    return write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new path to write to, which replaces ``path`` at the end of the block, or is deleted after an error.

    For what does not fit in memory; otherwise use :func:`write_bytes`. A full disk is an `OutputError`; other errors of
    the block come out as they are.
    """
    final = destination(path)
    if os.path.isdir(final):
        raise OutputError(
            f"a file cannot replace a folder: {shown_text(path)} is a folder; give the path of a file"
        )
    _refuse_special(path, final)
    made_folder(final.parent)
    _remove_stale(final)
    unfinished = _beside(final)
    try:
        with as_output_error(path, only=FULL):
            yield unfinished
        with as_output_error(path):
            _keep_mode(final, unfinished)
            _flush(unfinished)
            os.replace(unfinished, final)
            _flush(final.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A new folder to fill, which replaces ``path`` by one rename at the end of the block; errors as in :func:`replacing`.

    An existing folder is moved aside first and deleted afterwards; files mapped from it stay readable where the system
    allows it.
    """
    final = destination(path)
    _refuse_special(path, final)
    made_folder(final.parent)
    _remove_stale(final)
    unfinished, old = _beside(final), None
    try:
        with as_output_error(path):
            unfinished.mkdir()
        with as_output_error(path, only=FULL):
            yield unfinished
        with as_output_error(path):
            for part in (*unfinished.rglob("*"), unfinished):
                _flush(part)
            if os.path.lexists(final):
                old = _beside(final)
                final.rename(old)
            unfinished.rename(final)
            _flush(final.parent)
    except BaseException:
        if old is not None and not os.path.lexists(final):
            old.rename(final)
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    if old is not None:
        discard(old)


def new_file(file: Path) -> BinaryIO:
    """A new file in a :func:`new_folder`, to be written piece by piece."""
    return file.open("xb")


def new_array(file: Path, shape: tuple[int, ...]) -> BinaryIO:
    """The same for a ``.npy`` file of float32, with its header; the numbers follow, in any number of pieces."""
    stream = new_file(file)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream


def mapped_array(file: str | Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.memmap:
    """A new ``.npy`` file mapped into memory for writing, in a :func:`new_folder` or while :func:`replacing` a file.

    Its space is reserved first, with an `OutputError` if there is too little: on a full disk, writing to a mapped file
    without space would end the program with SIGBUS.
    """
    file = Path(file)
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    with as_output_error(file, f"{n_bytes:,} bytes are needed for an array"):
        array = np.lib.format.open_memmap(file, "w+", np.dtype(dtype), shape)  # a header and a hole
        with file.open("r+b") as stream:
            _reserve(stream.fileno(), file.stat().st_size)
    return array


def mapped_tensors(
    file: str | Path, shapes: Mapping[str, tuple[int, ...]], dtype: np.typing.DTypeLike
) -> dict[str, np.memmap]:
    """The same for a new ``.safetensors`` file with several arrays of float16 or float32, zeros at first.

    The format's own library writes arrays that are in memory already; its header is a length and JSON.
    """
    file, kind, header, end = Path(file), np.dtype(dtype), {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * kind.itemsize
        header[name] = {"dtype": f"F{8 * kind.itemsize}", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers lie at multiples of their size
    with as_output_error(file, f"{end:,} bytes are needed for tokens"), file.open("w+b") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.flush()
        _reserve(stream.fileno(), stream.tell() + end)
    first = 8 + len(text)
    return {
        name: np.memmap(
            file, kind, "r+", offset=first + about["data_offsets"][0], shape=tuple(about["shape"])
        )
        for name, about in header.items()
    }


def is_unfinished(path: str | Path) -> bool:
    """Whether a file or folder is a lock, or what a killed program left half written."""
    name = Path(path).name
    return name.startswith(".") and name.endswith((_UNFINISHED, ".lock"))


def remove_file(path: str | Path) -> None:
    """Delete a file if it exists; an `OutputError` if it cannot be deleted."""
    with as_output_error(path):
        destination(path).unlink(missing_ok=True)


def remove_named(folder: Path, names: Sequence[str]) -> list[str]:
    """Delete files from a folder, in order, then the folder unless it holds other files; their names, sorted.

    Whatever cannot be deleted stays, without an error.
    """
    others: list[str] = []
    with contextlib.suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a link, or on Windows with files that are mapped
        others = sorted(path.name for path in folder.iterdir() if path.name not in names)
        folder.rmdir()
    return others


def discard(path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _beside(final: Path) -> Path:
    return final.with_name(f".{short_name(final)}.{secrets.token_hex(4)}{_UNFINISHED}")


def _remove_stale(final: Path) -> None:
    """Delete what killed programs left of this file or folder."""
    start = f".{short_name(final)}."
    with contextlib.suppress(OSError):
        for left in os.scandir(final.parent):
            if left.name.startswith(start) and left.name.endswith(_UNFINISHED):
                with contextlib.suppress(OSError):
                    if time.time() - left.stat(follow_symlinks=False).st_mtime > _STALE:
                        discard(Path(left.path))


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, neither file nor folder."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _refuse_special(path: str | Path, final: Path) -> None:
    """A rename would put a file in the place of the device itself."""
    if _is_special(final):
        raise OutputError(
            f"only a file or a folder can be replaced: {shown_text(path)} is, or leads to, a device, pipe or socket; "
            "remove it, or give another path"
        )


def _opened_special(path: Path) -> BinaryIO:
    """A device or pipe to write to; opening a pipe that nothing reads from would wait for ever."""
    without_waiting, until = getattr(os, "O_NONBLOCK", 0), time.monotonic() + _PATIENCE
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | without_waiting | getattr(os, "O_BINARY", 0))
            break
        except OSError as problem:
            if problem.errno != errno.ENXIO:
                raise
            if time.monotonic() > until:
                raise OSError(errno.ENXIO, "it is a pipe or socket that nothing reads from") from problem
        time.sleep(0.05)
    if without_waiting:
        os.set_blocking(handle, True)
    return os.fdopen(handle, "wb")


def _keep_mode(final: Path, unfinished: Path) -> None:
    """The permissions of the file that is replaced."""
    with contextlib.suppress(OSError):
        os.chmod(unfinished, stat.S_IMODE(final.stat().st_mode))


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk; some file systems cannot say."""
    with contextlib.suppress(PermissionError, IsADirectoryError):  # folders on Windows
        handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
        try:
            os.fsync(handle)
        except OSError as problem:
            if problem.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(handle)


def _reserve(handle: int, n_bytes: int) -> None:
    """Set a file's length and reserve its space."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle, 0, n_bytes)
            return
        except OSError as problem:
            if problem.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise
    free = os.fstatvfs(handle) if hasattr(os, "fstatvfs") else None
    if free is not None and free.f_bavail * free.f_frsize < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
