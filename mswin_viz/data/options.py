"""Options given by keyword, gathered into one frozen record that has the defaults and the checks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from mswin_viz.errors import OptionError

Record = TypeVar("Record")


def options_of(
    record: Callable[..., Record], given: Mapping[str, Any], *, function: str, also: Sequence[str] = ()
) -> Record:
    """The options record of a call; an `OptionError` for an unknown name lists them, with those that it has ``also``."""
    names = [field.name for field in fields(record) if field.init]  # pyright: ignore[reportArgumentType]  # a dataclass
    for name in given:
        if name not in names:
            names = [*also, *names]
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise OptionError(f"{function} has no option {name!r}: {hint}the options are {', '.join(names)}")
    return record(**given)
