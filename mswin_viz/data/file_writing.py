"""The one place that writes files: whole or not at all, whatever ends the program in between."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError, OutputError

__all__ = [
    "check_space",
    "destination",
    "discard",
    "is_unfinished",
    "locked",
    "made_folder",
    "mapped_array",
    "new_folder",
    "remove_file",
    "remove_named",
    "replacing",
    "temporary_folder",
    "why_not_writable",
    "write_bytes",
    "write_json",
    "write_kept_json",
]

_UNFINISHED = ".unfinished"
_STALE = 24 * 3600.0  # seconds after which what a killed program left may go
_LONGEST_NAME = 200  # bytes of a name that is kept in the name of its unfinished file; file systems allow 255
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer."""
_POLL = 0.2  # seconds between two looks at a lock


def write_bytes(path: str | Path, content: bytes | bytearray | memoryview) -> Path:
    """Write a file whole or not at all: beside it first, flushed to the disk, then renamed.

    A file of that name is replaced at once, and stays as it was if anything goes wrong. A link stays a link; a device or pipe
    is written to directly. Missing folders are made.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    final = destination(path)
    if _is_special(final):
        with _as_output_error(path), final.open("wb") as stream:
            stream.write(content)
        return Path(path)
    with replacing(path) as unfinished, _as_output_error(path), unfinished.open("wb") as stream:
        stream.write(content)
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write a value as JSON, UTF-8, indented by one space; see :func:`write_bytes`."""
    return write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def write_kept_json(name: str, value: Any) -> Path:
    """Write a value into a new temporary folder that is not deleted; its path.

    For a result whose own place can no longer be written to.

    Raises
    ------
    OutputError
        If it cannot be written there either.
    """
    where = _temporary_place()
    with _as_output_error(where):
        folder = tempfile.mkdtemp(prefix="mswin_viz_kept_")
    return write_json(Path(folder) / name, value)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` at the end, and goes where there is an error.

    For what is too large to be held in memory; else :func:`write_bytes`.

    Raises
    ------
    OutputError
        If there is no place for it. Other errors of the block come out as they are: they may be of its work.
    """
    final = destination(path)
    if os.path.isdir(final):
        raise OutputError(
            f"a file cannot replace a folder: {shown_text(path)} is a folder; give the path of a file"
        )
    made_folder(final.parent)
    _remove_stale(final)
    unfinished = _beside(final)
    try:
        with _as_output_error(path, only=_FULL):
            yield unfinished
        with _as_output_error(path):
            _keep_mode(final, unfinished)
            _flush(unfinished)
            os.replace(unfinished, final)
            _flush(final.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside ``path`` to fill; at the end all of it is flushed and takes the place of ``path`` by one rename.

    A folder that is there already is moved aside first and deleted afterwards; files that are mapped from it stay readable
    where the system allows it.

    Raises
    ------
    OutputError
        If there is no place for it. Other errors of the block come out as they are.
    """
    final = destination(path)
    made_folder(final.parent)
    _remove_stale(final)
    unfinished, old = _beside(final), None
    try:
        with _as_output_error(path):
            unfinished.mkdir()
        with _as_output_error(path, only=_FULL):
            yield unfinished
        with _as_output_error(path):
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


def mapped_array(file: str | Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.memmap:
    """A new ``.npy`` file mapped into memory for writing; its space is reserved first.

    On a full disk a mapped file without reserved space ends the program with SIGBUS. Used inside :func:`new_folder` or
    :func:`replacing`, which flush it to the disk.

    Raises
    ------
    OutputError
        If the space is not there; with its bytes.
    """
    file = Path(file)
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    with _as_output_error(file, f"{n_bytes:,} bytes are needed for an array"):
        array = np.lib.format.open_memmap(file, "w+", np.dtype(dtype), shape)  # a header and a hole
        with file.open("r+b") as stream:
            _reserve(stream.fileno(), file.stat().st_size)
    return array


def temporary_folder(prefix: str, *, n_bytes: int = 0) -> Path:
    """A folder that is deleted when the program ends.

    Raises
    ------
    OutputError
        If it cannot be made, or fewer than ``n_bytes`` are free there.
    """
    where = _temporary_place()
    check_space(where, n_bytes, "temporary files need", "set TMPDIR to a folder with more")
    with _as_output_error(where):
        folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _temporary_place() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError as problem:  # all of them are full, read-only or missing
        raise OutputError(
            f"temporary files need a writable folder: there is none ({problem.strerror or problem}); set "
            "TMPDIR to one"
        ) from problem


def check_space(folder: Path, n_bytes: int, needs: str, remedy: str) -> None:
    """Refuse before the work starts what a folder's disk has no room for.

    Parameters
    ----------
    needs
        Begins the message: ``"temporary files need"``.
    remedy
        Ends it.

    Raises
    ------
    OutputError
        If fewer than ``n_bytes`` are free; with both numbers.
    """
    with _as_output_error(folder):
        free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OutputError(f"{needs} {n_bytes:,} bytes: {shown_text(folder)} has {free:,} free; {remedy}")


def made_folder(path: str | Path) -> Path:
    """The folder itself, made with those above it where it is missing.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    folder = destination(path)
    with _as_output_error(path):
        folder.mkdir(parents=True, exist_ok=True)
    return Path(path)


@contextlib.contextmanager
def locked(path: str | Path, *, busy: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock, so that no other program writes the file or folder.

    Parameters
    ----------
    path
        What is written; the lock is a hidden file beside it, and ends with the program that holds it.
    busy
        The message where another program holds it.
    waiting
        Called once before waiting for that program; if None, nothing is waited for.

    Raises
    ------
    OutputError
        With ``busy``, or if no lock can be made there.
    """
    final = destination(path)
    made_folder(final.parent)
    file = final.with_name(f".{_short_name(final)}.lock")
    lock = _lock_at(file, path)
    try:
        lock.acquire(timeout=0)
    except Timeout as problem:
        if waiting is None:
            raise OutputError(busy) from problem
        waiting()
        lock.acquire(poll_interval=_POLL)
    try:
        yield
    finally:
        lock.release()


def _lock_at(file: Path, path: str | Path) -> BaseFileLock:
    """The system's lock, or a file that is one where the file system has no locks; tried once."""
    lock = FileLock(file)
    with _as_output_error(path):
        try:
            lock.acquire(timeout=0)
            lock.release()
        except Timeout:
            pass
        except (NotImplementedError, OSError) as problem:
            if isinstance(problem, OSError) and problem.errno not in _NO_LOCKS:
                raise
            return SoftFileLock(file.with_suffix(".held.lock"))  # the file is there, held by nobody
    return lock


def is_unfinished(path: str | Path) -> bool:
    """Whether a file or folder is a lock, or what a program that was ended left half written."""
    name = Path(path).name
    return name.startswith(".") and name.endswith((_UNFINISHED, ".lock"))


def destination(path: str | Path) -> Path:
    """Where a path leads: a link stays, and what it points to is written; ``~`` is a home folder.

    Raises
    ------
    OutputError
        If it leads nowhere: empty, a NUL in it, a home folder that is not known, links that lead to one another.
    """
    why = ""
    try:
        expanded = os.path.expanduser(os.fspath(path))
        final = os.path.realpath(expanded)
        home = os.fspath(path).split(os.sep)[0]
        if not expanded:
            why = "it is empty"
        elif home.startswith("~") and not os.path.isdir(os.path.expanduser(home)):
            why = f"there is no home folder {shown_text(home)}"
            if home != "~":
                why += f"; to name a file that begins so, write ./{shown_text(home)}"
        elif os.path.islink(final):
            why = "its links lead in a circle"
    except (TypeError, ValueError, OSError) as problem:  # no path, a NUL, a loop of links
        why = str(problem)
    if why:
        raise OutputError(f"output needs a valid path: got '{shown_text(path)}' ({why}); correct it")
    return Path(final)


def why_not_writable(folder: Path) -> str:
    """Why no file can be made in a folder that is there, tried with one that has no name; empty where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions do not hold for every user and file system
            return ""
    except OSError as problem:
        return problem.strerror or str(problem)


def remove_file(path: str | Path) -> None:
    """Delete a file that is no longer needed, if it is there.

    Raises
    ------
    OutputError
        If it is there and cannot be deleted.
    """
    with _as_output_error(path):
        destination(path).unlink(missing_ok=True)


def remove_named(folder: Path, names: Sequence[str]) -> list[str]:
    """Delete files from a folder, in their order, then the folder itself unless something else is in it.

    Returns
    -------
    others
        Names of what else is there, sorted. Nothing that cannot be deleted is an error.
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


def _short_name(path: Path) -> str:
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME].decode(errors="ignore") or "_"


def _beside(final: Path) -> Path:
    return final.with_name(f".{_short_name(final)}.{secrets.token_hex(4)}{_UNFINISHED}")


def _remove_stale(final: Path) -> None:
    """What earlier programs left of this file or folder when they were ended."""
    start = f".{_short_name(final)}."
    with contextlib.suppress(OSError):
        for left in os.scandir(final.parent):
            if left.name.startswith(start) and left.name.endswith(_UNFINISHED):
                with contextlib.suppress(OSError):
                    if time.time() - left.stat(follow_symlinks=False).st_mtime > _STALE:
                        discard(Path(left.path))


def _is_special(path: Path) -> bool:
    """Whether it is there and neither file nor folder: a device, a pipe."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


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


@contextlib.contextmanager
def _as_output_error(path: str | Path, needs: str = "", *, only: Sequence[int] = ()) -> Iterator[None]:
    try:
        yield
    except MswinVizError:
        raise
    except OSError as problem:
        if only and problem.errno not in only:
            raise
        why = f"{problem.strerror or problem}{f': {needs}' if needs else ''}"
        hint = (
            "free some space, or choose another place" if problem.errno in _FULL else "choose another place"
        )
        raise OutputError(f"output must be writable: {shown_text(path)} is not ({why}); {hint}") from problem
