"""Checks, before the work starts, that its output can be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.destinations import check_space, destination, why_not_writable
from mswin_viz.errors import OptionError, OutputError

_LONGEST = 255  # bytes of a name, where the system does not say
_MOST_SHOWN = 160


def output_file(
    path: str | Path,
    name: str = "path",
    *,
    endings: Sequence[str] = (),
    inputs: Sequence[str | Path | None] = (),
    n_bytes: int = 0,
) -> Path:
    """Refuse a file that could not be written in the end; missing folders will be made.

    Parameters
    ----------
    name
        What messages call it.
    endings
        Those that can be written, in lower case; none for any.
    inputs
        Files and folders that will be read and must not be replaced; None and what does not exist are ignored.
    n_bytes
        How much will be written, at least.

    Returns
    -------
    path
        The same, with ``~`` replaced by the home folder.

    Raises
    ------
    OptionError
        If it has another ending.
    OutputError
        If it is a folder, a device or an input, is read-only, or lies where nothing can be written or too little.
    """
    final, shown = _final(path, name), _shown(path)
    if final.is_dir():
        raise OutputError(f"{name} must be a file: {shown} is a folder; add a file name")
    if endings and Path(path).suffix.lower() not in endings:
        raise OptionError(f"{name} must end in {' or '.join(endings)}: got {shown}; change the ending")
    if os.path.normpath(path) == os.devnull:
        return Path(path)
    if final.exists() and not final.is_file():
        raise OutputError(f"{name} must be a file: {shown} is a device or pipe; choose another")
    if final.exists() and not os.access(final, os.W_OK):
        raise OutputError(f"{name} must be writable: {shown} exists and is read-only; choose another")
    _check_no_input(final, inputs, name, shown)
    _check_place(final.parent, shown, name, n_bytes)
    return Path(os.path.expanduser(path))


def output_folder(
    path: str | Path, name: str = "folder", *, inputs: Sequence[str | Path | None] = (), n_bytes: int = 0
) -> Path:
    """Refuse a folder that could not be written to, as :func:`output_file` does; a missing one will be made."""
    final, shown = _final(path, name), _shown(path)
    if final.exists() and not final.is_dir():
        raise OutputError(f"{name} must be a folder: {shown} is a file; choose another")
    _check_no_input(final, inputs, name, shown)
    _check_place(final, shown, name, n_bytes)
    return Path(os.path.expanduser(path))


def _final(path: str | Path, name: str) -> Path:
    """Where the path leads; the system must be able to look there."""
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"{name} must be a path: got a {type(path).__name__}; give text or a pathlib.Path")
    try:
        final = destination(path)
        final.exists()
    except OutputError as problem:
        raise OutputError(f"{name}: {problem}") from problem
    except OSError as problem:  # a name of 300 bytes
        raise OutputError(
            f"{name} needs a valid path: got {_shown(path)} ({problem.strerror or problem}); choose another"
        ) from problem
    return final


def _check_no_input(final: Path, inputs: Sequence[str | Path | None], name: str, shown: str) -> None:
    for source in filter(None, inputs):
        path = Path(os.path.expanduser(source))
        is_there = os.path.exists(path) and os.path.exists(final)
        if os.path.realpath(path) == str(final) or (is_there and os.path.samefile(path, final)):
            raise OutputError(f"{name} must not replace what is read: {shown} is an input; choose another")
        if is_there and final.is_file() and Path(os.path.realpath(path)) in final.parents:
            raise OutputError(
                f"{name} must not replace what is read: {shown} already exists in the input {_shown(source)}; "
                "choose another name or folder"
            )


def _check_place(folder: Path, shown: str, name: str, n_bytes: int) -> None:
    """Refuse a place where the nearest existing folder cannot take the missing ones, or has too little space."""
    missing = []
    for there in (folder, *folder.parents):
        if os.path.lexists(there):
            break
        missing.append(there.name)
    if not there.is_dir():
        raise OutputError(
            f"{name} must lie in a folder: {there}, on the way to {shown}, is a file; choose another"
        )
    if any(len(os.fsencode(part)) > _longest_name(there) for part in missing):
        raise OutputError(f"{name} needs a valid path: got {shown}, with a name too long; choose another")
    why = why_not_writable(there)
    if why:
        raise OutputError(
            f"{name} must lie in a writable folder: got {shown}, but {there} is not writable ({why}); choose another"
        )
    check_space(there, n_bytes, f"{name} needs", "free some space, or choose another place")


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, some network file systems
        return _LONGEST


def _shown(path: str | Path) -> str:
    return short_text(path, _MOST_SHOWN)
