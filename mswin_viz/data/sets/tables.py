"""Tables as people save them -> rows under known headings, whatever their encoding, separator and spelling."""

from __future__ import annotations

import csv
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sets.modalities import AMBIGUOUS, modality_word
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import DataError

COLUMNS = (*MODALITIES, "pid", "camid", "scene", "split", "caption")
"""Known columns."""
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
_HINT = re.compile(r"\Asep=.[ \t]*(?=[\r\n]|\Z)")  # a first line that tells spreadsheets the separator
_FIRST = re.compile(r"[^\r\n]*\S[^\r\n]*")  # line with a visible character
_DIGITS = 18
MOST_BYTES = 2**30
"""Of a table."""
_SAVE = "save it as CSV in UTF-8"
_MOST_HEADINGS = 20  # named in a message; a file that is no table of samples can have thousands
_UNKNOWN = ("", "nan", "none", "null", "na", "n/a", "<na>")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    number: int  # of its last line in the file, from 1
    values: Mapping[str, str]  # known column -> text without blanks around it
    extra: int  # values beyond the headings; below 0, values that are missing
    fault: str = ""  # why it cannot be split into values


@dataclass(frozen=True)
class Table:
    """A table that is being read."""

    path: Path
    rows: Iterator[Row]  # can be read once; raises a DataError if the rest cannot be read
    columns: Mapping[
        str, str
    ]  # known column -> its name in messages, with its heading if that is another word
    unused: tuple[str, ...]  # unknown headings
    encoding: str  # empty for UTF-8


def read_table(path: Path) -> Table:
    """The rows of a CSV table under the headings of `COLUMNS`.

    Case, blanks and separators in headings do not matter, and common synonyms are known (``person_id``, ``camera``,
    ``visible``); values may be separated by commas, semicolons or tabs.

    Raises
    ------
    DataError
        If the file cannot be read as a table, or two headings mean the same.
    """
    text, encoding = _decoded(path)
    text = _HINT.sub("", text)
    first = _FIRST.search(text)
    heading = first[0] if first else ""
    separator = max(",;\t", key=lambda mark: (_n_known(heading, mark, path), heading.count(mark)))
    records = _records(text, separator, path)
    names = next(([v.strip() for v in values] for _, values, _ in records if any(map(str.strip, values))), [])
    columns = _columns(names, path)
    unused = tuple(name for at, name in enumerate(names) if at not in columns and name)
    words = {column: _words(column, names[at]) for at, column in columns.items()}
    return Table(path, _rows(records, names, columns), columns=words, unused=unused, encoding=encoding)


def whole_number(text: str, name: str) -> int | None:
    """An identity, camera or scene as tables hold it: ``12``, ``0012``, ``12.0`` or ``12,0``; -1 and None are unknown.

    Anything else is a ``ValueError``, with ``name`` in its message: numbers of more than 18 digits, and ``12,000``, which
    may be twelve or twelve thousand.
    """
    if text.isdigit() and text.isascii() and len(text) <= _DIGITS:
        return int(text)
    if text.lower() in _UNKNOWN:
        return None
    matched = re.fullmatch(r"(-1|0*(?P<digits>\d+))(\.0*|,0{0,2}|,0{4,})?", text, re.ASCII)
    if not matched:
        rule = "at least 0, or -1 for unknown" if re.fullmatch(r"-\d+", text, re.ASCII) else "a whole number"
        raise ValueError(f"{name} must be {rule}, got {short_text(text, 60)!r}")
    digits = matched["digits"] or "-1"
    if len(digits) > _DIGITS:
        raise ValueError(f"{name} may have at most {_DIGITS} digits, got {short_text(text, 60)!r}")
    return int(digits)


def heading_words(names: Sequence[str]) -> str:
    """Headings for a message: the first twenty, and how many more there are."""
    words = ", ".join(repr(short_text(name, 60)) for name in names[:_MOST_HEADINGS])
    return words if len(names) <= _MOST_HEADINGS else f"{words} and {len(names) - _MOST_HEADINGS:,} more"


def _words(column: str, heading: str) -> str:
    """A column's name in messages, with its heading if that is another word."""
    return column if heading.lower() == column.lower() else f"{column} (column {short_text(heading, 60)!r})"


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str], str]]:
    """Last line, values and fault of each record; a `DataError` for a quote that is never closed or a huge value."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            values = next(reader)
            yield reader.line_num, values, ""
        except StopIteration:
            return
        except csv.Error as problem:
            if "field larger" not in str(problem) and "end of data" not in str(problem):
                yield reader.line_num, [], f"a quote that is opened in line {begin} is closed within a value"
                continue
            raise DataError(
                f"a table of samples must be a CSV file: {path} cannot be read, because a quote in line {begin} is never "
                f"closed, or a value has more than {csv.field_size_limit():,} characters; close the quote, or double it if "
                "it is part of a text"
            ) from problem


def _rows(
    records: Iterator[tuple[int, list[str], str]], names: Sequence[str], columns: Mapping[int, str]
) -> Iterator[Row]:
    n_names = len(names)
    for number, values, fault in records:
        if fault:
            yield Row(number, {}, 0, fault)
        elif any(value.strip() for value in values):
            n_values = len(values)
            known = {column: values[at].strip() if at < n_values else "" for at, column in columns.items()}
            extra = sum(bool(value.strip()) for value in values[n_names:]) or min(n_values - n_names, 0)
            yield Row(number, known, extra)


def _n_known(heading: str, mark: str, path: Path) -> int:
    """How many known columns a line of headings has with this separator."""
    try:
        names = next(csv.reader([heading], delimiter=mark, skipinitialspace=True), [])
    except csv.Error as problem:
        raise DataError(
            f"a table of samples must begin with its headings: {path} has one of more than "
            f"{csv.field_size_limit():,} characters; {_SAVE}"
        ) from problem
    return len({column for name in names if (column := _column(name)[0])})


def _column(name: str) -> tuple[str | None, bool]:
    """The known column that a heading means, and whether that is its own name."""
    plain = "".join(re.findall(r"[^\W_]+", name)).lower()
    for column in COLUMNS:
        if plain == column.lower():
            return column, True
    if plain in _MEANING:
        return _MEANING[plain], False
    word, rest = modality_word(name)
    return (word if word != AMBIGUOUS and not rest else None), False


def _columns(names: Sequence[str], path: Path) -> dict[int, str]:
    """Position -> known column; its own name takes precedence over synonyms."""
    meant = {at: _column(name) for at, name in enumerate(names)}
    by_name = {column for column, exact in meant.values() if exact}
    columns = {
        at: column for at, (column, exact) in meant.items() if column and (exact or column not in by_name)
    }
    for column in columns.values():
        same = [repr(short_text(names[at], 60)) for at, other in columns.items() if other == column]
        if len(same) > 1:
            raise DataError(
                f"a table may have only one column of each kind: in {path}, {' and '.join(same[:2])} both mean "
                f"{column}; rename or remove one"
            )
    return columns


def _decoded(path: Path) -> tuple[str, str]:
    """The text of a file, and its encoding unless that is UTF-8."""
    content = _content(path)
    marked = next((encoding for mark, encoding in _BOMS if content.startswith(mark)), None)
    encoding = marked or ("utf-8" if _fits(content, "utf-8") else _guessed(content))
    if encoding is None or (marked is None and b"\0" in content) or not _fits(content, encoding):
        raise DataError(
            f"a table of samples must be text in UTF-8: the encoding of {path} cannot be determined; {_SAVE}"
        )
    return content.decode(encoding), "" if encoding.startswith("utf-8") else encoding


def _content(path: Path) -> bytes:
    """The bytes of a regular file that is no larger than a table may be."""
    try:
        status = path.stat()
        is_file, n_bytes = stat.S_ISREG(status.st_mode), status.st_size
        if is_file and n_bytes <= MOST_BYTES:
            return path.read_bytes()
    except OSError as problem:
        why = problem.strerror or problem
        raise DataError(
            f"a table of samples must be a readable file: {path} is not ({why}); check the path"
        ) from problem
    if not is_file:
        raise DataError(f"a table of samples must be a file: {path} is a folder or a pipe; check the path")
    raise DataError(
        f"a table of samples may have at most {MOST_BYTES:,} bytes: {path} has {n_bytes:,}; split it into several"
    )


def _guessed(content: bytes) -> str | None:
    """Western European or Chinese, if the lengths of the runs of high bytes leave no doubt."""
    high = _HIGH.findall(content)
    runs = [len(run) for run in high]
    mean = sum(runs) / len(runs)
    chinese = all(length % 2 == 0 for length in runs) and mean >= 4 and _fits(content, "gb18030")
    is_mixed = any(len(run) > 1 and _fits(run, "utf-8") for run in high)
    western = max(runs) <= 3 and mean < 2 and not is_mixed and _fits(content, "cp1252")
    if chinese == western:
        return None
    return "gb18030" if chinese else "cp1252"


def _fits(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeError:
        return False
    return True
