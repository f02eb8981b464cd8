"""Where output goes: what a path leads to, and whether it can be written there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError, OutputError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk."""
_LONGEST_NAME = 200  # bytes of a name that is kept in the name of its unfinished file; file systems allow 255


def destination(path: str | Path) -> Path:
    """Where a path leads: a link stays, and what it points to is written; ``~`` is a home folder.

    Raises
    ------
    OutputError
        If it is empty, has a NUL in it, names an unknown home folder, or its links form a loop.
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
                why += f"; to name a file that begins with ~, write ./{shown_text(home)}"
        elif os.path.islink(final):
            why = "its links form a loop"
    except (TypeError, ValueError, OSError) as problem:  # no path, a NUL, a loop of links
        why = str(problem)
    if why:
        raise OutputError(f"output needs a valid path: got '{shown_text(path)}' ({why}); correct it")
    return Path(final)


def why_not_writable(folder: Path) -> str:
    """Why no file can be made in an existing folder, tried with a nameless one; empty if one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions do not hold for every user and file system
            return ""
    except OSError as problem:
        return problem.strerror or str(problem)


def made_folder(path: str | Path) -> Path:
    """The folder itself, made with those above it where it is missing; an `OutputError` if that fails."""
    folder = destination(path)
    with as_output_error(path):
        folder.mkdir(parents=True, exist_ok=True)
    return Path(path)


def check_space(folder: Path, n_bytes: int, needs: str, remedy: str) -> None:
    """Refuse work whose output a folder's disk has no room for, with an `OutputError`: "NEEDS 5 bytes: ... ; REMEDY"."""
    with as_output_error(folder):
        free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OutputError(f"{needs} {n_bytes:,} bytes: {shown_text(folder)} has {free:,} free; {remedy}")


def short_name(path: Path) -> str:
    """The name of a file, short enough to be part of a longer one."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME].decode(errors="ignore") or "_"


@contextlib.contextmanager
def as_output_error(path: str | Path, needs: str = "", *, only: Sequence[int] = ()) -> Iterator[None]:
    """Turn the block's system errors, or ``only`` those of some numbers, into `OutputError`, with what was needed."""
    try:
        yield
    except MswinVizError:
        raise
    except OSError as problem:
        if only and problem.errno not in only:
            raise
        why = f"{problem.strerror or problem}{f': {needs}' if needs else ''}"
        hint = "free some space, or choose another place" if problem.errno in FULL else "choose another place"
        raise OutputError(f"output must be writable: {shown_text(path)} is not ({why}); {hint}") from problem
