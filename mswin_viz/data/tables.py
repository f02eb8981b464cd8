"""Tables as people save them -> rows under known headings: encodings, separators and spellings of headings."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from mswin_viz.data.images import MODALITIES
from mswin_viz.data.modalities import AMBIGUOUS, modality_word
from mswin_viz.errors import DataError

__all__ = ["COLUMNS", "Row", "Table", "read_table", "whole_number"]

COLUMNS = (*MODALITIES, "pid", "camid", "scene", "split", "caption")
"""Columns that are understood."""
_SYNONYMS = {
    "pid": "pids personid person identity identityid id ids vehicleid vehicle carid objectid",
    "camid": "camids camera cam cameraid camno cameranumber camnumber cameraids",
    "scene": "sceneid scenes sceneno scenenumber",
    "split": "splits subset set partition",
    "caption": "captions text description sentence prompt",
}
_MEANING = {word: column for column, words in _SYNONYMS.items() for word in words.split()}
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_SAVE = "save it as CSV in UTF-8"
_UNKNOWN = ("", "nan", "none", "null", "na", "n/a", "<na>")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    number
        Of the line in the file, the first being 1.
    values
        Known column -> text without the blanks around it.
    extra
        How many values it has beyond the headings.
    """

    number: int
    values: Mapping[str, str]
    extra: int


@dataclass(frozen=True)
class Table:
    """A table's rows, the headings that were not understood, and how its bytes were read if not as UTF-8."""

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    unused: tuple[str, ...]
    encoding: str


def read_table(path: Path) -> Table:
    """The rows of a CSV table under the headings of `COLUMNS`.

    Case, blanks and separators in headings do not matter, nor do common other words (``person_id``, ``camera``,
    ``visible``); values may be separated by commas, semicolons or tabs.

    Raises
    ------
    DataError
        If the file cannot be read as a table, or two headings mean the same.
    """
    text, encoding = _decoded(path)
    lines = text.splitlines(keepends=True)
    if lines and re.fullmatch(r"sep=.\s*", lines[0]):  # a hint for spreadsheets
        lines[0] = "\n"
    heading = next((line for line in lines if line.strip()), "")
    try:
        separator = max(",;\t", key=lambda mark: (len(_known(_split(heading, mark))), heading.count(mark)))
        reader = csv.reader(StringIO("".join(lines), newline=""), delimiter=separator, skipinitialspace=True)
        names, rows = None, []
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if names is None:
                names = [value.strip() for value in values]
                columns = _columns(names, path)
            else:
                rows.append(_row(values, names, columns, reader.line_num))
    except csv.Error as problem:
        raise DataError(
            f"a table of samples is a CSV file: {path} cannot be read ({problem}); {_SAVE}"
        ) from problem
    if names is None:
        return Table((), (), (), encoding)
    unused = tuple(name for at, name in enumerate(names) if at not in columns and name)
    return Table(tuple(rows), tuple(columns.values()), unused, encoding)


def whole_number(text: str, name: str) -> int | None:
    """A number as tables hold it, ``12``, ``12.0`` or ``12,0``; None where nothing is known.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if text.lower() in _UNKNOWN:
        return None
    if not re.fullmatch(r"[+-]?\d+([.,]0*)?", text):
        raise ValueError(f"{name} is a whole number, got {text!r}")
    number = int(re.split("[.,]", text)[0])
    if abs(number) >= 2**63:
        raise ValueError(f"{name} has at most 18 digits, got {text!r}")
    return number


def _row(values: Sequence[str], names: Sequence[str], columns: Mapping[int, str], number: int) -> Row:
    found = {column: values[at].strip() if at < len(values) else "" for at, column in columns.items()}
    return Row(number, found, sum(bool(value.strip()) for value in values[len(names) :]))


def _split(line: str, mark: str) -> list[str]:
    return next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])


def _known(names: Sequence[str]) -> set[str]:
    return {column for name in names if (column := _column(name)[0])}


def _column(name: str) -> tuple[str | None, bool]:
    """The known column that a heading means, and whether it is called so itself."""
    plain = "".join(re.findall(r"[^\W_]+", name)).lower()
    for column in COLUMNS:
        if plain == column.lower():
            return column, True
    if plain in _MEANING:
        return _MEANING[plain], False
    word, rest = modality_word(name)
    return (word if word != AMBIGUOUS and not rest else None), False


def _columns(names: Sequence[str], path: Path) -> dict[int, str]:
    """Position -> known column; a column's own name goes before another word for it."""
    meant = {at: _column(name) for at, name in enumerate(names)}
    own = {column for column, exact in meant.values() if exact}
    found = {at: column for at, (column, exact) in meant.items() if column and (exact or column not in own)}
    for column in found.values():
        same = [names[at] for at, other in found.items() if other == column]
        if len(same) > 1:
            raise DataError(
                f"a table has one column for each thing: in {path}, {' and '.join(map(repr, same))} both mean "
                f"{column}; rename or remove one"
            )
    return found


def _decoded(path: Path) -> tuple[str, str]:
    """The text of a file, and its encoding unless that is UTF-8."""
    content = path.read_bytes()
    marked = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), None)
    encoding = marked or ("utf-8" if _fits(content, "utf-8") else _guessed(content))
    if encoding is None or (marked is None and b"\0" in content) or not _fits(content, encoding):
        raise DataError(
            f"a table of samples is text in UTF-8: {path} has an encoding that cannot be told for certain; {_SAVE}"
        )
    return content.decode(encoding), "" if encoding.startswith("utf-8") else encoding


def _guessed(content: bytes) -> str | None:
    """Western European or Chinese, where the lengths of the runs of high bytes leave no doubt."""
    runs = [len(run) for run in _HIGH.findall(content)]
    mean = sum(runs) / len(runs)
    chinese = all(length % 2 == 0 for length in runs) and mean >= 4 and _fits(content, "gb18030")
    western = max(runs) <= 3 and mean < 2 and _fits(content, "cp1252")
    if chinese == western:
        return None
    return "gb18030" if chinese else "cp1252"


def _fits(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeError:
        return False
    return True
