"""Reads a CSV table of samples: a column of paths for each modality, and what is known about each sample."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import SPLITS, Problem, Sample
from mswin_viz.data.sets.modalities import AMBIGUOUS, modality_word
from mswin_viz.data.sets.reading import ReaderResult
from mswin_viz.data.sets.tables import COLUMNS, Row, Table, heading_words, read_table, whole_number
from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.spreadsheet_cells import unguarded
from mswin_viz.errors import DataError

NAME = "manifest.csv"
"""Name of the table in a folder."""
_SPLITS = {"training": "train", "testing": "test", "probe": "query", "queries": "query"}
_IDENTITY = re.compile(r"id|person|people|vehicle|\bcar\b|ident|label|class|name", re.IGNORECASE)


def table_in(root: Path, others: Sequence[Path], *, deeper: bool = False) -> Path | None:
    """A folder's ``manifest.csv`` or ``manifest.tsv``, in any case, among the files below it.

    With ``deeper``, also the only such table in a folder below.
    """
    named = [path for path in others if path.name.lower() in (NAME, "manifest.tsv")]
    inside = sorted((path for path in named if path.parent == root), key=lambda path: path.name != NAME)
    if inside:
        return inside[0]
    return named[0] if deeper and len(named) == 1 else None


def read(path: Path) -> ReaderResult:
    """Samples of a table, with paths relative to it; rows that cannot be used are reported.

    Raises
    ------
    DataError
        If the table cannot be read, or has no column of a modality or two columns of one kind.
    """
    table, result = read_table(path), ReaderResult(tables=[path])
    if not set(table.columns) & set(MODALITIES):
        has = heading_words((*table.columns, *table.unused)) or "no columns"
        raise DataError(
            f"a manifest needs a column of paths for at least one of {', '.join(MODALITIES)}: {path} has "
            f"{has}; rename or add one (known: {', '.join(COLUMNS)}), or choose another layout with layout="
        )
    seen: dict[str, int] = {}
    folder = str(path.parent)
    for row in table.rows:
        sample, wrong = _sample(row, table, folder)
        result.problems += wrong
        if sample is None:
            continue
        files = {os.path.normpath(str(file)): file for file in sample.files}
        known = next((file for file in files if file in seen), None)
        if known is not None:
            detail = f"line {row.number} repeats line {seen[known]}; left out"
            result.problems.append(Problem("duplicate", files[known], detail))
            continue
        for file in files:
            seen[file] = row.number
        result.samples.append(sample)
    _note_what_was_not_used(result, table, path)
    return result


def _note_what_was_not_used(result: ReaderResult, table: Table, path: Path) -> None:
    if table.encoding:
        result.notes.append(f"{path.name} was read as {table.encoding}")
    if not table.unused:
        return
    names = heading_words(table.unused)
    unclear = [name for name in table.unused if modality_word(name)[0] == AMBIGUOUS]
    if unclear:
        detail = f"column {heading_words(unclear)} may be near or thermal infrared and is not used; rename it to NI or TI"
        result.problems.append(Problem("modality not used", path, detail))
    like = [name for name in table.unused if _IDENTITY.search(name)]
    if like and "pid" not in table.columns:
        detail = f"no column pid, so identities are unknown; columns not used: {names}; rename one to pid"
        result.problems.append(Problem("identities not read", path, detail))
    else:
        result.notes.append(f"columns of {path.name} that were not used: {names}")


def _sample(row: Row, table: Table, folder: str) -> tuple[Sample | None, list[Problem]]:
    path, line, values = table.path, f"line {row.number}", row.values
    try:
        if row.fault:
            raise ValueError(row.fault)
        pid, camid, scene = (
            whole_number(text, table.columns[name]) if (text := values.get(name)) else None
            for name in ("pid", "camid", "scene")
        )
        if scene == -1:
            scene = None
        split = _split(values, table)
    except ValueError as problem:
        return None, [Problem("row does not parse", path, f"{line}: {problem}; left out")]
    named = {name: text for name in MODALITIES if (text := values.get(name))}
    there = {name: file for name, text in named.items() if (file := _file(text, folder)) is not None}
    if not there:
        where = ", ".join(short_text(path.parent / text, 300) for text in named.values()) or "no path at all"
        return None, [Problem("row does not parse", path, f"{line}: no file at {where}; left out")]
    wrong = [
        Problem("missing modality", path.parent / text, f"{line}: no such {name} file; loaded with {', '.join(there)}")
        for name, text in named.items()
        if name not in there
    ]  # fmt: skip
    if row.extra:
        wrong.append(_ragged(row, path))
    pid, camid = (-1 if number is None else number for number in (pid, camid))
    caption = unguarded(values.get("caption", "")) or None
    return Sample(pid, camid, there, caption=caption, scene=scene, split=split), wrong


def _ragged(row: Row, path: Path) -> Problem:
    """The problem of a row with more or fewer values than there are headings."""
    if row.extra > 0:
        detail = f"{row.extra} more values than headings, which are not used; put text that holds separators in double quotes"
        return Problem("row too long", path, f"line {row.number}: {detail}")
    detail = f"{-row.extra} fewer values than headings, which count as empty; put separators around empty values as well"
    return Problem("row too short", path, f"line {row.number}: {detail}")


def _file(text: str, folder: str) -> Path | None:
    """The file that a path in a table leads to, also with Windows separators or a spreadsheet's apostrophe in front."""
    plain = unguarded(text)
    for spelling in dict.fromkeys((text, text.replace("\\", "/"), plain, plain.replace("\\", "/"))):
        file = os.path.join(folder, os.path.expanduser(spelling))
        if os.path.isfile(file):
            return Path(file)
    return None


def _split(values: Mapping[str, str], table: Table) -> str | None:
    text = values.get("split", "")
    split = _SPLITS.get(text.lower(), text.lower()) or None
    if split not in (*SPLITS, None):
        raise ValueError(
            f"{table.columns['split']} must be one of {', '.join(SPLITS)}, got {short_text(text, 60)!r}"
        )
    return split
