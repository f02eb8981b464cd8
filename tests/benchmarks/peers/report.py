"""The rows as a Markdown table and as JSON, with the machine and the versions they were measured on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from measured_pages import write_pages
from measuring import Row

PACKAGES = (
    *(
        "torch",
        "numpy",
        "captum",
        "open_clip_torch",
        "scikit-learn",
        "opentsne",
        "faiss-cpu",
        "grad-cam",
        "torchcam",
    ),
    *("jupyterlab", "ipywidgets", "matplotlib", "ipympl", "plotly", "Cython"),
)
ORDER = ("imports", "module", "tower", "shares", "pixels", "map", "retrieval", "maps", "browser")
HEAD = """# This package beside others: same work, same run

`make benchmarks` (`python tests/benchmarks/peers [group ...]`) writes this page and [peers.json](peers.json). {machine}. {date}.

A ratio is the peer's time over ours: above 1 we are faster. It is the median over rounds, with quartiles. The ways take turns
within a round, so that a slow spell of the machine affects all of them. Times are processor time of one thread; in the browser,
they are wall-clock time. The floor is work that has to be done in any case, measured as bare code; the last column is our time
divided by that of the floor. Nothing here is a test.

| work | peer | peer / ours | ours | floor | ours / floor |
|---|---|---|---|---|---|
"""


def machine() -> dict[str, object]:
    """What this ran on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": named[0] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def write(rows: Sequence[Row], measured_on: dict[str, object], folder: Path) -> None:
    """``peers.json`` with every number, and ``peers.md``; rows of groups that were not measured again are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    data, groups = folder / "peers.json", {row.group for row in rows}
    kept = json.loads(data.read_text())["rows"] if data.exists() else []
    today = {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "commit": _commit(), "machine": measured_on}
    found = [{**asdict(row), **today} for row in rows]
    every = [row for row in kept if row["group"] not in groups] + found
    every.sort(key=lambda row: ORDER.index(row["group"]))
    data.write_text(json.dumps({"rows": every}, indent=1) + "\n", encoding="utf-8")
    (folder / "peers.md").write_text(page(every), encoding="utf-8")
    write_pages(folder)


def page(rows: list[dict]) -> str:
    """The Markdown of rows as they stand in the JSON."""
    last = max(rows, key=lambda row: row["measured"])
    on = last["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    words = f"Measured on {on['processor']}, {on['cores']} cores, {on['system']}, Python {on['python']}, load {on['load before']} before it; {versions}"
    return HEAD.format(machine=words, date=last["measured"]) + "".join(
        _line(row, begins=at == 0 or rows[at - 1]["work"] != row["work"]) for at, row in enumerate(rows)
    )


def _line(row: dict, *, begins: bool) -> str:
    """What the rows of one piece of work have in common stands in the first of them."""
    ours = (
        f"{row['ours']}: {_seconds(row['our_seconds'])}",
        row["floor"],
        _spread(row["over_floor"]) if row["over_floor"] else "",
    )
    cells = (
        row["work"] if begins else "",
        row["peer"],
        _spread(row["ratio"]),
        *(ours if begins else ("", "", "")),
    )
    return f"| {' | '.join(cells)} |\n"


def _spread(values: dict[str, float]) -> str:
    middle, low, high = (f"{values[name]:.3g}" for name in ("median", "first_quartile", "third_quartile"))
    return f"**{middle}** ({low} to {high})"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
