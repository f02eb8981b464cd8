"""Text in CSV tables that spreadsheets must not compute: a cell that begins like a formula gets a ``'`` in front."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_GUARDED = re.compile(r"'*\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a formula, also in full-width characters, after blanks, or after a ``'`` that is there already."""


def guarded(text: str) -> str:
    """A text as a cell of a CSV table; :func:`unguarded` gives it back."""
    return f"'{text}" if _GUARDED.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that :func:`guarded` made."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def csv_file(frame: pd.DataFrame, *, header: bool = True) -> bytes:
    """A table as a CSV file in UTF-8, without its index; text is guarded, numbers stay numbers.

    Without its header, it continues a file of the same columns.
    """
    safe = frame.rename(columns=_cell).map(_cell)
    return safe.to_csv(index=False, header=header).encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value
