"""Whether a sample is a drawing of this package: what the embedded model knows, and all that it knows."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.data.synthetic.identity import ATTRIBUTES
from mswin_viz.data.synthetic.write_samples import TABLE

_MOST_LEVELS = 4  # folders between a picture and the table: modality, split, and two more


def is_drawn(sample: Sample) -> bool:
    """Whether the sample lies in a set of :func:`mswin_viz.write_samples`, and the set's table has its person.

    The table has a column for each attribute that the package draws, which no other set's has. A drawing that was copied
    elsewhere is not known as one, and a photograph under a drawing's name is.
    """
    file = next(iter(sample.files), None)
    if not isinstance(file, Path):
        return False
    named = re.match(r"\d+", file.name)  # of a picture that was opened alone
    pid = int(named[0]) if sample.pid < 0 and named else sample.pid
    folders = list(file.resolve().parents)[: _MOST_LEVELS + 1]
    return any(pid in _people(folder / TABLE) for folder in folders)


def _people(table: Path) -> set[int]:
    """The persons in a table of attributes; none if it is another table, or there is none."""
    try:
        regular_size(table)
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != ["pid", *ATTRIBUTES, "caption"]:
                return set()
            return {int(row["pid"]) for row in rows}
    except (OSError, ValueError, csv.Error):
        return set()
