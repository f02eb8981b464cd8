"""A CSV table of one's own: a column for each modality with paths, and what is known of each sample."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from mswin_viz.data.images import MODALITIES
from mswin_viz.data.sample import SPLITS, Problem, Sample
from mswin_viz.errors import DataError

__all__ = ["COLUMNS", "NAME", "scan"]

COLUMNS = (*MODALITIES, "pid", "camid", "scene", "split", "caption")
"""Columns that are understood; a modality at least is needed, others are passed over."""
NAME = "manifest.csv"
"""Name under which the table of a folder is found."""


def scan(table: Path) -> tuple[list[Sample], list[Problem]]:
    """Samples of a table; paths are relative to it. Rows that cannot be used are left out and reported.

    Raises
    ------
    DataError
        If the table cannot be read as UTF-8 or has no column of a modality.
    """
    samples, problems, seen = [], [], {}
    for number, row in enumerate(_rows(table), start=2):  # line 1 is the heading
        sample, wrong = _sample(row, table, number)
        problems += wrong
        if sample is None:
            continue
        known = next((path for path in sample.images.values() if path in seen), None)
        if known is not None:
            problems.append(
                Problem("duplicate", known, f"line {number} repeats line {seen[known]}; left out")
            )
            continue
        seen |= dict.fromkeys(sample.images.values(), number)
        samples.append(sample)
    return samples, problems


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            heading, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as problem:
        raise DataError(
            f"a manifest is a CSV table in UTF-8: {table} cannot be read ({problem}); save it as such"
        ) from problem
    if not set(heading) & set(MODALITIES):
        raise DataError(
            f"a manifest has a column of paths for at least one of {', '.join(MODALITIES)}: {table} has "
            f"{', '.join(heading) or 'no columns'}; rename or add one (understood: {', '.join(COLUMNS)})"
        )
    return rows


def _sample(row: Mapping[str, str], table: Path, number: int) -> tuple[Sample | None, list[Problem]]:
    try:
        numbers = {name: _number(row, name) for name in ("pid", "camid", "scene")}
        split = _split(row)
    except ValueError as problem:
        return None, [Problem("row does not parse", table, f"line {number}: {problem}; left out")]
    named = {name: table.parent / row[name].strip() for name in MODALITIES if (row.get(name) or "").strip()}
    there = {name: path for name, path in named.items() if path.is_file()}
    if not there:
        where = ", ".join(str(path) for path in named.values()) or "no path at all"
        return None, [Problem("row does not parse", table, f"line {number}: no file at {where}; left out")]
    missing = [
        Problem("missing modality", path, f"line {number}: no such {name} file; loaded with {', '.join(there)}")
        for name, path in named.items()
        if name not in there
    ]  # fmt: skip
    pid, camid = (-1 if numbers[name] is None else numbers[name] for name in ("pid", "camid"))
    return Sample(
        pid, camid, there, (row.get("caption") or "").strip() or None, numbers["scene"], split
    ), missing


def _number(row: Mapping[str, str], name: str) -> int | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is a whole number, got {text!r}") from None


def _split(row: Mapping[str, str]) -> str | None:
    text = (row.get("split") or "").strip() or None
    if text not in (*SPLITS, None):
        raise ValueError(f"split is one of {', '.join(SPLITS)}, got {text!r}")
    return text
