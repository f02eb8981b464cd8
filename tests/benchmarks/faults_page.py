"""The page of planted faults: what ``faults.py`` measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_COLUMNS = {"joined": "all three joined", "RGB": "RGB", "NI": "NI", "TI": "TI"}
_PAGE = """# Planted faults: how many are found

How far can the lists of [what is wrong with the data](../how_to/check_data.md) be trusted? `python tests/benchmarks/faults.py` draws {people} people
({samples} samples in three modalities, {training} of the people for training; world {world}, on which no threshold was chosen), plants one kind of fault at a time,
and compares each list with what was planted. It writes [faults.json](faults.json) and this page. Plain CLS of the embedded model; {machine}. {measured}.

- **Precision** is the part of the list that was planted, **recall** the part of what was planted that is listed, **AP** the average precision of the list, worst
  first, where a fault that is not listed counts 0. All are in percent.
- Each cell has precision / recall / AP, and in brackets how many are listed.

| planted | how many | {columns} |
|---|---|{lines}|
{rows}

## Nothing planted

How many are listed where there is no fault, of {samples} samples:

| | {columns} |
|---|{lines}|
{clean}

## What follows

- **Join the modalities.** A single modality that recognises people poorly also accuses more images wrongly. What is listed by one modality alone is a
  question, not an answer.
- **Let files be read.** A network sees brightened and cropped copies as farther away than other shots of the same person; their pictures hardly differ.
- These are drawn people, whose shots differ more than the frames of one video do. On photographs the numbers are others; **not run here**.
"""


def faults_page(data: Mapping[str, Any], machine: str) -> str:
    """The text of the page."""
    rows = data["rows"]
    planted = [
        f"| {name} | {_planted(row)} | {_cells(row)} |" for name, row in rows.items() if not _is_clean(name)
    ]
    clean = [
        f"| {name.removeprefix('nothing: ')} | {' | '.join(str(row[key]['listed']) for key in _COLUMNS)} |"
        for name, row in rows.items()
        if _is_clean(name)
    ]
    return _PAGE.format(
        **{name: data[name] for name in ("people", "samples", "training", "world", "measured")},
        machine=machine,
        columns=" | ".join(_COLUMNS.values()),
        lines="|".join("---" for _ in _COLUMNS),
        rows="\n".join(planted),
        clean="\n".join(clean),
    )


def _is_clean(name: str) -> bool:
    return name.startswith("nothing: ")


def _planted(row: Mapping[str, Mapping[str, float]]) -> int:
    return int(row["joined"]["planted"])


def _cells(row: Mapping[str, Mapping[str, float]]) -> str:
    return " | ".join(
        f"{_percent(row[key]['precision'])} / {_percent(row[key]['recall'])} / {_percent(row[key]['average_precision'])} "
        f"({row[key]['listed']})"
        for key in _COLUMNS
    )


def _percent(value: float | None) -> str:
    return "none" if value is None or math.isnan(value) else f"{100 * value:.0f}"
