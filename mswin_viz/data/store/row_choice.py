"""Which rows and columns of a store are meant: places, values and names, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mswin_viz.data.shown_text import counted
from mswin_viz.data.store.manifest import ABOUT
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Int

_UNKNOWN = -1  # an identity or a camera that is not known, as samples have it
_TAKES = {pa.int64(): "whole numbers", pa.int32(): "whole numbers", pa.binary(): "bytes"}


def row_places(places: Any, n_rows: int) -> Int[np.ndarray, " row"]:
    """Places among ``n_rows`` rows, ascending, each once; OptionError for anything that does not name rows.

    ``places`` are whole numbers, negative ones from the end, a slice, or one truth value for each row.
    """
    if isinstance(places, slice):
        return np.sort(np.arange(n_rows)[places])
    if isinstance(places, Iterable) and not isinstance(places, str | bytes | np.ndarray):
        places = list(places)
    given = np.asarray(places, np.int64) if isinstance(places, list) and not places else _array(places)
    if given.dtype == bool and given.shape == (n_rows,):
        return np.flatnonzero(given)
    if given.dtype.kind not in "iu" or given.ndim > 1:
        raise OptionError(
            f"rows are chosen by whole numbers, a slice, or one truth value for each of the {counted(n_rows, 'rows')} in view: "
            f"got {_words(places, given)}"
        )
    given = given.reshape(-1)
    outside = given[(given < -n_rows) | (given >= n_rows)]
    if len(outside):
        there = (
            f"are numbered 0..{n_rows - 1}"
            if n_rows
            else "can be chosen where there are some; there are none"
        )
        raise OptionError(f"rows in view {there}: got {outside[0]}")
    given = given.astype(np.int64)
    return np.unique(np.where(given < 0, given + n_rows, given))


def column_names(names: Any) -> list[str]:
    """Names of columns, checked; OptionError for an unknown name."""
    listed = [names] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)
    if isinstance(names, str) or any(name not in ABOUT for name in listed):
        strange = names if isinstance(names, str) else next(name for name in listed if name not in ABOUT)
        raise OptionError(
            f"columns are a list of names among {', '.join(ABOUT)}: got {strange!r:.60}; features come from features() and "
            "to_arrow()"
        )
    return listed


def condition_of(values: dict[str, Any]) -> pc.Expression:
    """The condition that each column has one of its values; OptionError for an unknown column or a value of another kind."""
    strange = [name for name in values if name not in ABOUT]
    if strange:
        raise OptionError(f"rows are chosen by {', '.join(ABOUT)}: got {', '.join(strange)}")
    fits = pc.scalar(True)
    for name, value in values.items():
        fits &= pc.field(name).isin(_values(name, value))
    return fits


def _values(name: str, value: Any) -> pa.Array:
    """The values that a column may have, as Arrow has them."""
    kind = ABOUT[name]
    is_one = isinstance(value, str | bytes) or not isinstance(value, Iterable)
    wanted = [_plain(one) for one in ([value] if is_one else value)]
    if pa.types.is_integer(kind) and (None in wanted or _UNKNOWN in wanted):
        wanted += [None, _UNKNOWN]  # either means "not known"
    try:
        if any(isinstance(one, float) for one in wanted):  # Arrow would cut its digits off
            raise TypeError
        return pa.array(wanted, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as problem:
        raise OptionError(
            f"{name} takes {_TAKES.get(kind, 'text')}, one or several, or None for not known: got {value!r:.60}"
        ) from problem


def _plain(value: Any) -> Any:
    """A NumPy number as Python's own, a whole float as an integer, NaN as None."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return None if np.isnan(value) else int(value) if value.is_integer() else value
    return value


def _array(places: Any) -> np.ndarray:
    try:
        return np.asarray(places)
    except ValueError:  # lists of different lengths
        return np.asarray(None)


def _words(places: Any, given: np.ndarray) -> str:
    return f"{given.size} truth values" if given.dtype == bool and given.ndim else f"{places!r:.60}"
