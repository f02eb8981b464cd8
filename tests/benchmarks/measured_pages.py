"""The pages of docs/measurements that are made from JSON: ``python tests/benchmarks/measured_pages.py`` makes them again.

Benchmarks keep what they measure by :func:`note_timing`, :func:`write_gpu`, :func:`write_scale`, :func:`write_faults` and
:func:`write_daily_work`, and the pages follow.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from daily_page import daily_page
from faults_page import faults_page
from scale_page import EXTRACT_RATE, scale_page

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "measurements"
Value = float | Sequence[float]
"""A number, or one for each part of a row."""


class Timing(NamedTuple):
    """A row of the timings: what is measured, what its parts are, the unit behind the numbers, and the command."""

    what: str
    parts: tuple[str, ...]
    command: str
    unit: str = ""


_SPEED = "python -m pytest tests/benchmarks/{}.py --benchmark-only -q -s"
TIMINGS = {
    "captum": Timing(
        "ratio of times, Captum's integrated gradients (50 steps) / exact shares, tokens of 16 images",
        ("scheme 1", "scheme 2", "mixture", "own module"),
        _SPEED.format("test_attribution_speed"),
    ),
    "frozen": Timing(
        "ratio of times, shares of the held module (which also runs once with nothing held) / closed form, one image",
        ("scheme 1", "scheme 2", "mixture"),
        _SPEED.format("test_attribution_speed"),
    ),
    "gradients_memory": Timing(
        "peak memory of integrated gradients of an image's pixels, the model not counted, ViT-B/16 at 224x224",
        ("8 steps", "50 steps"),
        _SPEED.format("test_attribution_speed"),
        "MiB",
    ),
    "slider": Timing(
        "from input event to changed pixels, scale slider, headless Chromium: medians of 15 moves, each for the slowest of 18 "
        "combinations of value and images",
        ("trained or resampled kernels", "plain means"),
        "python tests/benchmarks/browser_latency.py",
        "ms",
    ),
    "every_scale": Timing(
        "all windows of all scales of one image, one thread",
        ("activation norm", "change when removed"),
        _SPEED.format("test_every_scale_speed"),
        "ms",
    ),
    "every_scale_kept": Timing(
        "the same for another value, once the windows' activations are known",
        ("activation norm", "change when removed"),
        _SPEED.format("test_every_scale_speed"),
        "ms",
    ),
    "retrieval_memory": Timing(
        "peak memory of `retrieval`, above 49 MiB of features, 100,000 gallery images (D = 64)",
        (),
        _SPEED.format("test_retrieval_memory"),
        "MiB",
    ),
}
_TIMINGS = """# Timings of what has no peer

`make timings` measures all of these; the command in a row measures that row alone. Each writes [timings.json](timings.json) and this page. Times are medians.{machine}

| what | value | measured | command |
|---|---|---|---|
"""
_GPU = """# On a GPU

`python tests/benchmarks/gpu.py` measures the same work on the CPU and, where there is one, on the GPU, then runs the tests marked `cuda`; it writes
[gpu.json](gpu.json) and this page. {machine}. {date}.

ViT-B/16 at 256x128 with windows of 4, 8 and 16; the weights are random, which costs the same as trained ones; medians of {rounds}.

| | {columns} |
|---|{lines}|
"""
_INDEX = """# Measurements

How fast is it, and compared with what? Anyone can run the scripts that measure this; they write JSON, from which these pages are made. None of it is a
test: nothing fails because of a time. [Beside others](peers.md) compares with every peer, [timings](timings.md) has what has no peer, [on a GPU](gpu.md)
compares GPU and CPU, [many images](scale.md) shows how extraction and stores grow, and [a day's questions](daily_work.md) has the cost of each with 10,000
gallery images. [Planted faults](faults.md) says how many faults of the data are found, and [embedded weights](weights.md) whether they could be smaller.

| question | measured | where |
|---|---|---|
{rows}

- **Beside others**: this package and its peers do the same work in the same run. They take turns within a round, and each round gives a ratio, so that a
  slow spell of the machine affects all of them. A ratio of times is the peer's over ours: above 1 we are faster. Some are below 1, and stay in the table.
- **The floor** is work that has to be done in any case, measured as bare code, so that a ratio to a slow peer says no more than it should.
- **Memory** is the peak above what the program held before.

## Repeat the measurements

```console
make benchmarks                          # Captum, scikit-learn, faiss, plotly and others
make timings                             # what has no peer
python tests/benchmarks/gpu.py           # CPU and GPU, and the tests marked cuda
python tests/benchmarks/scale.py         # extraction beside the bare tower, and how stores grow
python tests/benchmarks/daily_work.py    # re-ranking, findings, search and the rest at 10,000 gallery images
python tests/benchmarks/faults.py        # how many planted faults of the data are found
python tests/benchmarks/push_signs.py    # how often the sign of a share is that of a removal
```

Figures are for the machine that a page names. [Where it runs](../platforms.md) says what was run on which systems.

:::{{toctree}}
:hidden:

peers
timings
gpu
scale
daily_work
faults
weights
:::
"""


def machine() -> dict[str, Any]:
    """What this runs on."""
    names = ("torch", "numpy")
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def note_timing(name: str, part: str, value: float, folder: Path = FOLDER) -> None:
    """Keep a number of :data:`TIMINGS`, of one of its parts or of "" where it has none, and write the page."""
    rows = _read(folder / "timings.json").get("rows", {})
    row = rows.setdefault(name, {"values": {}})
    row["values"][part] = round(value, 2) if value < 10 else round(value)
    row |= {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}
    _write(folder / "timings.json", {"rows": {key: rows[key] for key in TIMINGS if key in rows}})
    write_pages(folder)


def write_gpu(data: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Keep what was measured on processor and GPU: ``columns``, ``rows`` (what -> device -> value), ``rounds``, ``workers``, ``cuda_tests``."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    _write(folder / "gpu.json", {"measured": today, "machine": machine(), **data})
    write_pages(folder)


def write_scale(data: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Keep what ``scale.py`` measured: ``rounds``, ``extraction`` and ``growth``."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    _write(folder / "scale.json", {"measured": today, "machine": machine(), **data})
    write_pages(folder)


def write_daily_work(
    sizes: Mapping[str, int], rows: Mapping[str, Any], order: Sequence[str], folder: Path = FOLDER
) -> None:
    """Keep what ``daily_work.py`` measured: some rows, or all; the others stay, in that order."""
    file = folder / "daily_work.json"
    known = _read(file).get("rows", {}) | rows
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    kept = {name: known[name] for name in order if name in known}
    _write(file, {"measured": today, "machine": machine(), **sizes, "rows": kept})
    write_pages(folder)


def write_faults(data: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Keep what ``faults.py`` measured: ``rows`` (what was planted -> what was compared -> how well it was found), and the world."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    _write(folder / "faults.json", {"measured": today, "machine": machine(), **data})
    write_pages(folder)


def write_pages(folder: Path = FOLDER) -> None:
    """Every page that is made from the JSON beside it."""
    for name, text in pages(folder).items():
        (folder / name).write_text(text, encoding="utf-8")


def pages(folder: Path = FOLDER) -> dict[str, str]:
    """File -> its text, as the JSON has it."""
    peers, gpu, timings, scale, daily, faults = (
        _read(folder / f"{name}.json")
        for name in ("peers", "gpu", "timings", "scale", "daily_work", "faults")
    )
    made = {"gpu.md": _gpu_page(gpu)} if gpu else {}
    made |= {"timings.md": _timings_page(timings["rows"])} if timings else {}
    made |= {"scale.md": scale_page(scale, gpu)} if scale and "cuda" in gpu["columns"] else {}
    made |= {"daily_work.md": daily_page(daily)} if daily else {}
    made |= {"faults.md": faults_page(faults, _where(faults["machine"]))} if faults else {}
    if peers and gpu and timings:
        made["index.md"] = _INDEX.format(rows="\n".join(_main_rows(peers["rows"], gpu, timings["rows"])))
    return made


def _timings_page(rows: Mapping[str, Any]) -> str:
    """What all rows were measured on stands above them; where they differ, in each."""
    where = {name: _where(row["machine"]) for name, row in rows.items()}
    is_one = len(set(where.values())) == 1
    text = _TIMINGS.format(machine=f" Measured on {next(iter(where.values()))}." if is_one else "")
    for name, row in rows.items():
        timing = TIMINGS[name]
        date = row["measured"] if is_one else f"{row['measured']}, {where[name]}"
        text += f"| {timing.what} | {_values(timing, row)} | {date} | `{timing.command}` |\n"
    return text


def _where(on: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    return f"{on['cores']} cores, {on['system']}, Python {on['python']}; {versions}"


def _values(timing: Timing, row: Mapping[str, Any]) -> str:
    named = row["values"]
    words = [
        f"{part}: {_number(named[part])}" if part else _number(named[part])
        for part in (timing.parts or ("",))
        if part in named
    ]
    return f"{', '.join(words)} {timing.unit}".rstrip()


def _gpu_page(gpu: Mapping[str, Any]) -> str:
    columns, words = gpu["columns"], f"Measured on {_where(gpu['machine'])}"
    text = _GPU.format(
        machine=words, date=gpu["measured"], rounds=gpu["rounds"], columns=" | ".join(columns.values()), lines="|".join("---" for _ in columns)
    )  # fmt: skip
    for what, values in gpu["rows"].items():
        text += f"| {what} | {' | '.join(_number(values[device]) for device in columns)} |\n"
    tests = gpu["cuda_tests"] or "not run: there was no GPU"
    return f"{text}\nThe tests marked `cuda` (`python -m pytest -m cuda`): {tests}.\n"


def _main_rows(
    peers: Sequence[Mapping[str, Any]], gpu: Mapping[str, Any], timings: Mapping[str, Any]
) -> list[str]:
    """The ratios that people ask for first."""
    asked = (
        ("exact shares of 64 images, compared with integrated gradients", "shares", "integrated gradients"),
        (
            "the same, compared with Captum's gradient x input, in float32 and by token alone",
            "shares",
            "gradient x input",
        ),
        (
            "mAP and CMC of 1,000 queries among 10,000 images, compared with the published loop",
            "retrieval",
            "the published loop",
        ),
        ("the same, compared with that loop compiled", "retrieval", "compiled (Cython)"),
        (
            "the same, compared with faiss, which finds the ten nearest and measures nothing",
            "retrieval",
            "faiss",
        ),
        (
            "two maps of 2,000 and of 10,000 images, compared with scikit-learn's t-SNE",
            "maps",
            "scikit-learn",
        ),
        ("one move of the scale slider, compared with matplotlib", "browser", "matplotlib"),
        ("the same move, compared with ipympl", "browser", "ipympl"),
        ("Grad-CAM, compared with pytorch-grad-cam", "pixels|map", "pytorch-grad-cam"),
        ("Grad-CAM, compared with torchcam", "pixels|map", "torchcam"),
        ("importing an explorer, compared with `import torch`", "imports", "`import torch`"),
    )
    rows = []
    for question, groups, peer in asked:
        found = [row for row in peers if row["group"] in groups.split("|") and peer in row["peer"]]
        ratios = sorted(row["ratio"]["median"] for row in found)
        spread = f"{ratios[0]:.3g}" if len(ratios) == 1 else f"{ratios[0]:.3g} to {ratios[-1]:.3g}"
        rows.append(f"| {question} | {_outcome(ratios, spread)} | [peers](peers.md) |")
    rate, bare = EXTRACT_RATE, "`extract` / bare"
    if "cuda" in gpu["columns"]:
        speed = f"{_number(gpu['rows'][rate]['cuda'])} images a second, {_number(gpu['rows'][bare]['cuda'])} of the bare tower's rate"
        rows.append(f"| extraction of features on one {gpu['columns']['cuda']} | {speed} | [GPU](gpu.md) |")
    if "slider" in timings:
        waits = _values(TIMINGS["slider"], timings["slider"])
        rows.append(
            f"| from a key press on the scale slider to changed pixels | {waits} | [timings](timings.md) |"
        )
    return rows


def _outcome(ratios: Sequence[float], spread: str) -> str:
    """Who is faster; ``ratios`` of the peer's time over ours, in order."""
    if ratios[0] >= 1:
        return f"faster: the peer takes {spread} times as long"
    return f"{'slower' if ratios[-1] < 1 else 'both'}: the peer takes {spread} of our time"


def _number(value: Value) -> str:
    """As people read it; of several, one after the other."""
    if isinstance(value, Sequence):
        return ", ".join(_number(one) for one in value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _write(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_pages()
