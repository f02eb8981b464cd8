"""Measure all groups, or those named, and write ``docs/measurements/peers.md`` and ``peers.json``."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "tests")]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, NumPy and faiss are imported
GROUPS = ("imports", "module", "attributions", "retrieval", "maps", "browser")


def main(groups: list[str]) -> None:
    """Each group's rows are written as soon as they are there."""
    import report

    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise SystemExit(f"groups are {', '.join(GROUPS)}: got {', '.join(unknown)}")
    measured_on = report.machine()
    for group in groups or GROUPS:
        rows = []
        for row in importlib.import_module(group).rows():
            print(f"{row.work} | {row.peer} | {row.ratio} | {row.over_floor}", flush=True)
            rows.append(row)
        if rows:
            report.write(rows, measured_on, ROOT / "docs" / "measurements")


if __name__ == "__main__":
    main(sys.argv[1:])
