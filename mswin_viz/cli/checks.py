"""What every command checks about its arguments before it loads weights, draws people or encodes images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, overload

import typer

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage import output_checks
from mswin_viz.errors import DataError, OptionError, OutputError

if TYPE_CHECKING:
    from mswin_viz.data.sample import Sample

__all__ = [
    "at_least", "check_apart", "check_not_read", "check_seed", "existing", "has_no_effect", "output_file",
    "output_folder", "read_path", "whole_numbers", "written_path",
]  # fmt: skip

_FOLDERS = ("OUT", "cache")


def at_least(least: int, /, most: int | None = None, **counts: int) -> None:
    """Refuse counts below ``least`` or above ``most``; named as the options are, with ``_`` for ``-``.

    Raises
    ------
    OptionError
        Naming the first that is too small or too large.
    """
    for name, count in counts.items():
        if count < least:
            raise OptionError(f"{_option(name)} must be at least {least}: got {count}")
        if most is not None and count > most:
            raise OptionError(f"{_option(name)} must be at most {most:,}: got {count:,}")


def check_apart(**outputs: Path | None) -> None:
    """Refuse outputs of which one would take the place of another: the same path, or a file where another needs a folder.

    Only ``OUT`` and ``cache`` are folders.

    Raises
    ------
    OptionError
        Naming both.
    """
    places = {name: os.path.realpath(path) for name, path in outputs.items() if path is not None}
    for name, other in itertools.permutations(places, 2):
        is_inside = places[other].startswith(os.path.join(places[name], "")) and name not in _FOLDERS
        if places[name] == places[other] or is_inside:
            raise OptionError(
                f"{_option(name)} and {_option(other)} must be different places: got {shown_text(outputs[name])} and "
                f"{shown_text(outputs[other])}; choose another for one of them"
            )


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
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise OptionError(
            f"{_option(name)} takes different whole numbers of at least 1, with commas between them: got {text!r}"
        )
    return numbers


@overload
def existing(path: Path, name: str) -> Path: ...
@overload
def existing(path: Path | None, name: str) -> Path | None: ...
def existing(path: Path | None, name: str) -> Path | None:
    """The path with the home folder for ``~``; refused where nothing is there.

    Raises
    ------
    DataError
        If nothing is there, or the path is not valid.
    """
    if path is None:
        return None
    try:
        expanded = Path(os.path.expanduser(path))
        expanded.stat()
    except (OSError, ValueError) as problem:  # a name of 300 bytes, a NUL, no permission, a loop of links
        missing = isinstance(problem, FileNotFoundError)
        why = "" if missing else f" ({getattr(problem, 'strerror', None) or problem})"
        raise DataError(
            f"{_option(name)} must exist: got {short_text(path, 160)}{why}; check the path"
        ) from problem
    return expanded


class _FolderOptions(TypedDict, total=False):
    inputs: Sequence[Path | str | None]
    n_bytes: int


class _FileOptions(_FolderOptions, total=False):
    endings: Sequence[str]


@overload
def output_file(path: Path, name: str, **options: Unpack[_FileOptions]) -> Path: ...
@overload
def output_file(path: Path | None, name: str, **options: Unpack[_FileOptions]) -> Path | None: ...
def output_file(path: Path | None, name: str, **options: Unpack[_FileOptions]) -> Path | None:
    """:func:`mswin_viz.data.storage.output_checks.output_file` of an option that may be left out."""
    return None if path is None else output_checks.output_file(path, _option(name), **options)


@overload
def output_folder(path: Path, name: str, **options: Unpack[_FolderOptions]) -> Path: ...
@overload
def output_folder(path: Path | None, name: str, **options: Unpack[_FolderOptions]) -> Path | None: ...
def output_folder(path: Path | None, name: str, **options: Unpack[_FolderOptions]) -> Path | None:
    """:func:`mswin_viz.data.storage.output_checks.output_folder` of an option that may be left out."""
    return None if path is None else output_checks.output_folder(path, _option(name), **options)


def check_not_read(path: Path, name: str, samples: Iterable[Sample]) -> None:
    """Refuse an output that is a picture of the data set, wherever that lies.

    Raises
    ------
    OutputError
        Naming it.
    """
    for sample in samples:
        for picture in sample.files:
            if picture.name == path.name and path.exists() and path.samefile(picture):
                raise OutputError(
                    f"{_option(name)} must not replace what is read: {short_text(path, 160)} is a picture of the data "
                    "set; choose another"
                )


def read_path(text: str) -> Path:
    """The path of something to read, as it is given on a command line.

    Raises
    ------
    DataError
        If it is empty, which would mean the current folder.
    """
    return _path(text, "read", DataError)


def written_path(text: str) -> Path:
    """The path of something to write, as it is given on a command line.

    Raises
    ------
    OutputError
        If it is empty, which would mean the current folder.
    """
    return _path(text, "write to", OutputError)


def _path(text: str, what_for: str, error: type[DataError | OutputError]) -> Path:
    if not text.strip():
        raise error(
            f"a path to {what_for} must not be empty: got {text!r}; name a file or folder, or leave the option out"
        )
    return Path(text)


def has_no_effect(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given and would be ignored.

    Raises
    ------
    OptionError
        Naming them, and why they would be.
    """
    ignored = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and (source := context.get_parameter_source(parameter.name))
        and source.name == "COMMANDLINE"
    ]
    if ignored:
        raise OptionError(
            f"{', '.join(ignored)} would have no effect {why}; leave {'it' if len(ignored) == 1 else 'them'} out"
        )


def _option(name: str) -> str:
    """As it is typed; arguments have no dashes and come in capitals."""
    return name if name.isupper() else f"--{name.replace('_', '-')}"
