"""One joint t-SNE of plain and enhanced features beside two runs of scikit-learn, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from measuring import Row, Work

SIZES = (2_000, 10_000)


def rows() -> Iterator[Row]:
    """Processor seconds: PCA, neighbours and steps, without the quality that is measured afterwards."""
    for n in SIZES:
        quality: dict[str, str] = {}
        for row in _map(n, quality).rows():
            words = "; ".join(f"{way}: {quality[way]}" for way in ("joint", "scikit-learn"))
            yield replace(row, work=f"{row.work}. Plain/enhanced quality: {words}")


def _map(n: int, quality: dict[str, str]) -> Work:
    def measured(way: str) -> float:
        command = [sys.executable, str(Path(__file__).with_name("map_child.py")), str(n), way]
        answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        quality[way] = answer["quality"]
        return float(answer["seconds"])

    return Work(
        group="maps",
        what=f"two maps of {n:,} images, D = 512",
        ours=("`project`: one joint run of 2n points", lambda: measured("joint")),
        peers={
            "two runs of scikit-learn's Barnes-Hut t-SNE, 750 steps each": lambda: measured("scikit-learn")
        },
        floor=("openTSNE's descent alone, all 750 steps, affinities ready", lambda: measured("descent")),
        rounds=3 if n < 5_000 else 1,
        unwarmed=True,
    )
