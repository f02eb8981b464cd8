"""What every command checks about its arguments before it loads weights, draws people or encodes images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from mswin_viz.errors import DataError, OptionError

__all__ = [
    "at_least",
    "check_seed",
    "existing",
    "has_no_effect",
    "output_file",
    "output_folder",
    "whole_numbers",
]


def at_least(least: int, /, **counts: int) -> None:
    """Refuse counts below ``least``; named as the options are, with ``_`` for ``-``.

    Raises
    ------
    OptionError
        Naming the first that is too small.
    """
    for name, count in counts.items():
        if count < least:
            raise OptionError(f"{_option(name)} must be at least {least}: got {count}")


def check_seed(seed: int) -> None:
    """Refuse a number that some generator of random numbers would not take.

    Raises
    ------
    OptionError
        If it is negative or has more than 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise OptionError(f"--seed must be at least 0 and below 2**32: got {seed}")


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Different whole numbers of at least 1, with commas between them.

    Raises
    ------
    OptionError
        If the text is anything else.
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1 or len(set(found)) < len(found):
        raise OptionError(
            f"{_option(name)} takes different whole numbers of at least 1, with commas between them: got {text!r}"
        )
    return found


def existing(path: Path | None, name: str) -> None:
    """Refuse a path that is given and not there.

    Raises
    ------
    DataError
        If nothing is there.
    """
    if path is not None and not path.expanduser().exists():
        raise DataError(f"{_option(name)} must exist: got {path}; check the path")


def output_file(path: Path | None, name: str, *, endings: Sequence[str] = ()) -> None:
    """Refuse a file that could not be written in the end; folders that are missing will be made.

    Parameters
    ----------
    endings
        Those that can be written, in lower case; none for any.

    Raises
    ------
    OptionError
        If it is a folder, has another ending, or lies where nothing can be written.
    """
    if path is None:
        return
    if path.is_dir():
        raise OptionError(f"{_option(name)} is a file to write: {path} is a folder; add a file name")
    if endings and path.suffix.lower() not in endings:
        raise OptionError(
            f"{_option(name)} must end in {' or '.join(endings)}: got {path}; change the ending"
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise OptionError(f"{_option(name)} must be writable: {path} exists and is read-only; choose another")
    _writable(path.parent, path, name)


def output_folder(path: Path | None, name: str) -> None:
    """Refuse a folder that could not be written to; it is made where it is missing.

    Raises
    ------
    OptionError
        If it is a file, or lies where nothing can be written.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise OptionError(f"{_option(name)} is a folder: {path} is a file; choose another")
    _writable(path, path, name)


def has_no_effect(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given and would be ignored.

    Raises
    ------
    OptionError
        Naming them, and why they would be.
    """
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name).name == "COMMANDLINE"
    ]
    if given:
        raise OptionError(
            f"{', '.join(given)} would have no effect {why}; leave {'it' if len(given) == 1 else 'them'} out"
        )


def _writable(folder: Path, path: Path, name: str) -> None:
    """The nearest folder that exists must take new entries."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise OptionError(f"{_option(name)} lies in folders: {there} on the way to {path} is a file")
    try:
        with tempfile.TemporaryFile(
            dir=there
        ):  # what permissions say does not hold for every user and file system
            pass
    except OSError as problem:
        raise OptionError(
            f"{_option(name)} needs a folder that can be written to: got {path} below {there} "
            f"({problem.strerror or problem}); choose another"
        ) from problem


def _option(name: str) -> str:
    """As it is typed; arguments have no dashes and come in capitals."""
    return name if name.isupper() else f"--{name.replace('_', '-')}"
