"""What every command checks about its arguments before it loads weights, draws people or encodes images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from mswin_viz.data import output_checks
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import DataError, OptionError, OutputError

__all__ = [
    "at_least",
    "check_seed",
    "existing",
    "has_no_effect",
    "output_file",
    "output_folder",
    "read_path",
    "whole_numbers",
    "written_path",
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


def existing(path: Path | None, name: str) -> Path | None:
    """Refuse a path that is given and not there; with the home folder for ``~``.

    Raises
    ------
    DataError
        If nothing is there, or the system takes no such path.
    """
    if path is None:
        return None
    try:
        found = Path(os.path.expanduser(path))
        found.stat()
    except (OSError, ValueError) as problem:  # a name of 300 bytes, a NUL, no permission, a loop of links
        missing = isinstance(problem, FileNotFoundError)
        why = "" if missing else f" ({getattr(problem, 'strerror', None) or problem})"
        raise DataError(
            f"{_option(name)} must exist: got {short_text(path, 160)}{why}; check the path"
        ) from problem
    return found


def output_file(
    path: Path | None,
    name: str,
    *,
    endings: Sequence[str] = (),
    inputs: Sequence[Path | str | None] = (),
    n_bytes: int = 0,
) -> Path | None:
    """:func:`mswin_viz.data.output_checks.output_file` of an option that may be left out; inputs too."""
    if path is None:
        return None
    given = [some for some in inputs if some is not None]
    return output_checks.output_file(path, _option(name), endings=endings, inputs=given, n_bytes=n_bytes)


def output_folder(path: Path | None, name: str, *, inputs: Sequence[Path | str | None] = ()) -> Path | None:
    """:func:`mswin_viz.data.output_checks.output_folder` of an option that may be left out; inputs too."""
    if path is None:
        return None
    given = [some for some in inputs if some is not None]
    return output_checks.output_folder(path, _option(name), inputs=given)


def read_path(text: str) -> Path:
    """The path of something to read, as it is given on a command line.

    Raises
    ------
    DataError
        If it is empty: a path would be the present folder.
    """
    if not text.strip():
        raise DataError(
            f"a path to read is not empty: got {text!r}; name a file or folder, or leave the option out"
        )
    return Path(text)


def written_path(text: str) -> Path:
    """The path of something to write, as it is given on a command line.

    Raises
    ------
    OutputError
        If it is empty: a path would be the present folder.
    """
    if not text.strip():
        raise OutputError(
            f"a path to write to is not empty: got {text!r}; name a file or folder, or leave the option out"
        )
    return Path(text)


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


def _option(name: str) -> str:
    """As it is typed; arguments have no dashes and come in capitals."""
    return name if name.isupper() else f"--{name.replace('_', '-')}"
