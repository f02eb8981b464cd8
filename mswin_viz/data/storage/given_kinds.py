"""What a function is given, refused in words where it is of another kind."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Real
from typing import Any, TypeVar

from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError, ShapeError

Kind = TypeVar("Kind")
Given = TypeVar("Given")


def of_kind(value: object, kind: type[Kind], rule: str, remedy: str) -> Kind:
    """The value; an `OptionError` of ``rule``, what was got and ``remedy`` if it is of another kind."""
    if isinstance(value, kind):
        return value
    raise OptionError(f"{rule}: got {value_words(value)}; {remedy}")


def given_path(path: Given) -> Given:
    """A path as it was given; an `OptionError` for anything else."""
    if isinstance(path, str | os.PathLike):
        return path
    raise OptionError(
        f"a folder or file is given by its path: got {value_words(path)}; give a text or a Path"
    )


def given_pair(value: object, name: str) -> tuple[Any, Any]:
    """Rows and columns as they were given; a `ShapeError` for anything else."""
    sides = list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else []
    if len(sides) != 2 or not all(isinstance(side, Real) for side in sides):
        raise ShapeError(f"a {name} is a pair of rows and columns, such as (4, 2): got {value_words(value)}")
    return sides[0], sides[1]
