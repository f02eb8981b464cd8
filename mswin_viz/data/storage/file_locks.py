"""A lock on a file or folder that is written, so that no other program writes it too."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from mswin_viz.data.storage.destinations import as_output_error, destination, made_folder, short_name
from mswin_viz.errors import OutputError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer."""
_POLL = 0.2  # seconds between two looks at a lock


@contextlib.contextmanager
def locked(path: str | Path, *, busy: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock, so that no other program writes the file or folder.

    The lock is a hidden file beside ``path``, and ends with the program that holds it. Where another program holds it,
    ``waiting`` is called once and that program waited for.

    Raises
    ------
    OutputError
        With the message ``busy`` if there is no ``waiting``; or if no lock can be made there.
    """
    final = destination(path)
    made_folder(final.parent)
    lock = _lock_at(final.with_name(f".{short_name(final)}.lock"), path)
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
    """The system's lock, tried once; a file as a lock where the file system has none."""
    lock = FileLock(file)
    with as_output_error(path):
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
