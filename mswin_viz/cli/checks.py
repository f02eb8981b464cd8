"""What every command checks about its arguments before it loads weights, draws people or encodes images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import DataError, OptionError, OutputError

if TYPE_CHECKING:
    from mswin_viz.data.sample import Sample

_FOLDERS = ("OUT", "cache")


def at_least(least: int, /, most: int | None = None, **counts: int) -> None:
    """Refuse counts below ``least`` or above ``most``; named as the options are, with ``_`` for ``-``."""
    for name, count in counts.items():
        if count < least:
            raise OptionError(f"{_option(name)} must be at least {least}: got {count}")
        if most is not None and count > most:
            raise OptionError(f"{_option(name)} must be at most {most:,}: got {count:,}")


def check_apart(**outputs: Path | None) -> None:
    """Refuse outputs at one path, and a file where another output needs a folder; only ``OUT`` and ``cache`` are folders."""
    places = {name: os.path.realpath(path) for name, path in outputs.items() if path is not None}
    for name, other in itertools.permutations(places, 2):
        is_inside = places[other].startswith(os.path.join(places[name], "")) and name not in _FOLDERS
        if places[name] == places[other] or is_inside:
            raise OptionError(
                f"{_option(name)} and {_option(other)} must be different places: got {shown_text(outputs[name])} and "
                f"{shown_text(outputs[other])}; choose another for one of them"
            )


def one_of(choices: Sequence[str], /, **given: str | None) -> None:
    """Refuse a value that is not among the choices; None is left to the command."""
    for name, value in given.items():
        if value is not None and value not in choices:
            raise OptionError(f"{_option(name)} is one of {', '.join(choices)}: got {value!r}")


def check_seed(seed: int) -> None:
    """Refuse a number that some generator of random numbers would not take."""
    if not 0 <= seed < 2**32:
        raise OptionError(f"--seed must be at least 0 and below 2**32: got {seed}")


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Different whole numbers of at least 1, from text with commas between them."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise OptionError(
            f"{_option(name)} takes different whole numbers of at least 1, with commas between them: got {text!r}"
        )
    return numbers


def existing(path: Path, name: str) -> Path:
    """The path with the home folder for ``~``; refused where nothing is there."""
    try:
        expanded = Path(os.path.expanduser(path))
        expanded.stat()
    except (OSError, ValueError) as problem:  # a name of 300 bytes, a NUL, no permission, a loop of links
        missing = isinstance(problem, FileNotFoundError)
        why = "" if missing else f" ({getattr(problem, 'strerror', None) or problem})"
        raise DataError(f"{name} must exist: got {short_text(path, 160)}{why}; check the path") from problem
    return expanded


def check_not_read(path: Path, name: str, samples: Iterable[Sample]) -> None:
    """Refuse an output that is a picture of the data set, wherever that lies."""
    for sample in samples:
        for picture in sample.files:
            if picture.name == path.name and path.exists() and path.samefile(picture):
                raise OutputError(
                    f"{name} must not replace what is read: {short_text(path, 160)} is a picture of the data "
                    "set; choose another"
                )


def to_read(metavar: str, help_text: str) -> Any:
    """An option for the path of something to read."""
    return typer.Option(parser=read_path, metavar=metavar, help=help_text)


def to_write(metavar: str, help_text: str) -> Any:
    """An option for the path of something to write."""
    return typer.Option(parser=written_path, metavar=metavar, help=help_text)


def read_path(text: str) -> Path:
    """The path of something to read, as it is given on a command line."""
    return _path(text, "read", DataError)


Images = Annotated[
    Path | None,
    typer.Argument(
        parser=read_path,
        metavar="[IMAGES]",
        help="An image, a folder of images or a data set; the drawn samples if left out.",
    ),
]
"""The argument of commands that show images."""


def written_path(text: str) -> Path:
    """The path of something to write, as it is given on a command line."""
    return _path(text, "write to", OutputError)


def _path(text: str, what_for: str, error: type[DataError | OutputError]) -> Path:
    """Refuse an empty path, which would mean the current folder."""
    if not text.strip():
        raise error(
            f"a path to {what_for} must not be empty: got {text!r}; name a file or folder, or leave the option out"
        )
    return Path(text)


def has_no_effect(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Refuse options that were given and would be ignored."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    ignored = [parameter.opts[0] for parameter in context.command.params if parameter.name in given]
    if ignored:
        them = "it" if len(ignored) == 1 else "them"
        raise OptionError(f"{', '.join(ignored)} would have no effect {why}; leave {them} out")


def _option(name: str) -> str:
    """As it is typed; arguments have no dashes and come in capitals."""
    return name if name.isupper() else f"--{name.replace('_', '-')}"
