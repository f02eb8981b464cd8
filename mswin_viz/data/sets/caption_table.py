"""Reads captions from a table ``attributes.csv`` beside the splits: a sentence for each identity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mswin_viz.data.sample import Problem
from mswin_viz.data.sets.reading import ReaderResult
from mswin_viz.data.sets.tables import Row, Table, heading_words, read_table, whole_number
from mswin_viz.data.storage.spreadsheet_cells import unguarded
from mswin_viz.errors import DataError

NAME = "attributes.csv"
"""Name of the table, in any case."""
_KIND = "captions not read"


def add_captions(result: ReaderResult, tables: Iterable[Path]) -> None:
    """Give the samples the captions of their identities; a table or row that cannot be read is reported."""
    for path in tables:
        captions = _captions(path, result.problems)
        result.tables.append(path)
        result.samples = [
            replace(sample, caption=captions[sample.pid]) if sample.pid in captions else sample
            for sample in result.samples
        ]


def _captions(path: Path, problems: list[Problem]) -> dict[int, str]:
    """Identity -> caption; what cannot be read goes to the problems."""
    try:
        table = read_table(path)
    except DataError as problem:
        problems.append(Problem(_KIND, path, str(problem)))
        return {}
    lacking = [name for name in ("pid", "caption") if name not in table.columns]
    if lacking:
        names = heading_words((*table.columns, *table.unused)) or "nothing"
        detail = f"no column {' and '.join(lacking)} among {names}; the samples have no captions"
        problems.append(Problem(_KIND, path, detail))
        return {}
    captions: dict[int, str] = {}
    try:
        for row in table.rows:
            if problem := _add(row, table, captions):
                problems.append(Problem(_KIND, path, f"line {row.number}: {problem}; left out"))
    except DataError as problem:  # the rest cannot be read
        problems.append(Problem(_KIND, path, str(problem)))
    return captions


def _add(row: Row, table: Table, captions: dict[int, str]) -> str:
    """Add a row's caption; returns what is wrong with the row, if anything."""
    try:
        if row.fault:
            return row.fault
        pid = whole_number(row.values["pid"], table.columns["pid"])
        caption = unguarded(row.values["caption"])
    except ValueError as problem:
        return str(problem)
    if pid is None or pid < 0 or not caption:
        return ""
    return "" if captions.setdefault(pid, caption) == caption else f"identity {pid} has a caption already"
