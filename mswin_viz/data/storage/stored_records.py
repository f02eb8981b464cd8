"""One check, with one kind of message, for every file of its own that the program reads back (states, indices, results)."""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.errors import MswinVizError, OptionError

MOST_BYTES = 8 * 2**20
"""The longest JSON file or text that is read."""
_MOST_DEEP = 64  # lists and objects in one another
_MOST_NAMED = 3
_MOST_OF_A_VALUE = 80  # characters
_OF_A_CLASS = re.compile(r" or instance of _?\w+$")  # what only this package's code could give

_T = TypeVar("_T")
_Error = Callable[[str], MswinVizError]


class StoredRecord(BaseModel):
    """What a file holds: no text for a number, no NaN, no infinity; keys of later versions are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, arbitrary_types_allowed=True)


def checked(
    kind: type[_T] | TypeAdapter[_T], value: Any, *, what: str, remedy: str, error: _Error = OptionError
) -> _T:
    """The value as ``kind`` describes it: a `StoredRecord`, or an adapter of another type.

    Parameters
    ----------
    what
        Names the file: ``"the training state run.pt"``.
    remedy
        How to go on without it: ``"delete it to start again"``.
    error
        Class of the error that names the first wrong values.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError as problem:
        raise error(f"{what} cannot be used: {_reasons(problem)}; {remedy}") from problem
    except RecursionError as problem:
        raise error(f"{what} cannot be used: it is nested too deeply; {remedy}") from problem


def json_value(
    text: str | bytes, *, what: str, remedy: str, error: _Error = OptionError, most_bytes: int = MOST_BYTES
) -> Any:
    """The value of a JSON text; ``error`` if it is too long, nested too deeply, or holds NaN or infinity."""
    _check_length(len(text), most_bytes, what, remedy, error)
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if _is_deeper(value, _MOST_DEEP):
            raise RecursionError(f"more than {_MOST_DEEP} lists and objects in one another")
    except (ValueError, RecursionError) as problem:
        is_text = not isinstance(problem, UnicodeError)
        why = short_text(str(problem), 120) if is_text else "it is not text in UTF-8"
        raise error(f"{what} must be JSON: {why}; {remedy}") from problem
    return value


def read_json(
    file: Path, *, what: str, remedy: str, error: _Error = OptionError, most_bytes: int = MOST_BYTES
) -> Any:
    """:func:`json_value` of a file, whose name is added to ``what``; ``error`` also if it cannot be read."""
    named = f"{what} {shown_text(file)}"
    try:
        regular_size(file)
        with file.open("rb") as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
            text = stream.read(most_bytes + 1) if n_bytes <= most_bytes else b""
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise error(f"{named} must be a readable file ({why}); {remedy}") from problem
    _check_length(max(n_bytes, len(text)), most_bytes, named, remedy, error)
    return json_value(text, what=named, remedy=remedy, error=error, most_bytes=most_bytes)


def _check_length(n_bytes: int, most_bytes: int, what: str, remedy: str, error: _Error) -> None:
    if n_bytes > most_bytes:
        raise error(f"{what} must have at most {most_bytes:,} bytes: it has {n_bytes:,}; {remedy}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _reasons(problem: ValidationError) -> str:
    """The first wrong values: where they are, what is expected, what was got."""
    errors = problem.errors(include_url=False, include_context=False)
    named = []
    for each in errors[:_MOST_NAMED]:
        where = ".".join(short_text(part, 60) for part in each["loc"])
        said = _OF_A_CLASS.sub("", each["msg"].removeprefix("Value error, "))
        is_plain = each["type"] in ("missing", "value_error", "extra_forbidden")  # says all by itself
        got = "" if is_plain else f", got {value_words(each['input'])}"
        words = f"{said[:1].lower()}{said[1:]}{got}"
        named.append(f"{where}: {words}" if where else f"the whole {words.removeprefix('input ')}")
    more = f" and {len(errors) - _MOST_NAMED} more" if len(errors) > _MOST_NAMED else ""
    return "; ".join(named) + more


def value_words(value: Any) -> str:
    """A value as messages show it, in at most 80 characters."""
    try:
        return short_text(reprlib.repr(value), _MOST_OF_A_VALUE)
    except Exception:  # a number of thousands of digits, or a foreign object
        return f"a value of type {type(value).__name__}"
