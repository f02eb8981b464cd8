"""The page of many images: what ``scale.py`` measured, and arithmetic from it and from the rate of a GPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

WAYS = {
    "model": "the model's own forward pass on decoded batches: tower, patch tokens, add-on",
    "tower": "`encode_image` alone, which gives no patch tokens",
    "loop": "a plain loop that opens and encodes one image after another",
}
"""What the rate of ``extract`` is divided by."""
EXTRACTED = {"cpu": 64, "cuda": 49_152}
"""How many files ``gpu.py`` extracts on each device."""
EXTRACT_RATE = f"`extract` once every process works, images a second ({EXTRACTED['cpu']:,}, {EXTRACTED['cuda']:,} JPEG files)"
"""The row of ``gpu.json`` that the arithmetic begins with."""
_PICTURE = 10e3  # bytes of a picture's file, in the arithmetic
_PAGE = """# Many images: what it takes, and what breaks first

How long do a million images take, and what fails first? Rates and growth are measured, here and [on a GPU](gpu.md); the rest is calculated from them.
`python tests/benchmarks/scale.py` measures how extraction compares with the bare tower on a CPU and how stores grow, and writes [scale.json](scale.json) and
this page. Measured on {machine}. {measured}.

## Extraction

One process opens the files. The table gives medians of {rounds} rounds, in which all ways take turns, with the smallest and the largest value:

| rate of `extract` divided by that of | {models} |
|---|{lines}|
{ways}

With ViT-B/16, the time for opening files, patch tokens and the add-on is negligible beside the tower; with the embedded model, whose tower is small, it is
not. On one {gpu}, `extract` processes {rate:,} images a second, {part:.2f} of the bare tower's rate. There {workers} processes open files, which is more
than fast enough; the one program that copies pictures to the GPU and tokens from it, and starts its work, takes longer than the GPU. Until every process
has started, it is slower.

## How a store grows

Features have width 64, and each kind of work is measured in a separate program. The exponent is the slope of a line through the logarithms, so 1 means
proportional growth. Fixed costs make it smaller: from {before:,} to {last:,} rows alone it is at most {steepest:.2f} ({steep}).

| {sizes} rows | milliseconds | peak MiB above the program | exponent of the time |
|---|---|---|---|
{growth}

faiss finds the ten nearest images in {faiss:.2f} of the time that `mv.retrieval` takes to rank all matches of a query. Average precision needs
the ranks of all matches, which an index does not give, so measures do not use faiss, and it is an export only.

The embedding view of 100,000 rows of width 512 (maps of 10,000, measures of all) took 12 minutes and 7 GB on two cores that were busy with other
work: 6 minutes for places and 6 for measures, which compare every image of a modality with every other. It shows its progress and can be stopped;
`ViewSettings(most=...)` shortens the first half, `store.where(...)` both.

## Time and space

With D = 512 and a grid of 16 x 8, one image takes 4,096 bytes of float32 features, about 150 for what is known of it, and, in float16, 32,768 for
summaries or 131,072 for all patch tokens.

| | 1 million images | 100 million images |
|---|---|---|
{times}
| features in float16, no tokens | 2.2 GB | 0.22 TB |
| features in float32, summaries (as it is by default) | 37 GB | 3.7 TB |
| features in float32, every patch token | 135 GB | 13.5 TB |
| shards of 10,000 images | 100 | 10,000 |

Start-up time is not included: a process that opens files takes some seconds to import what it needs, and an actor loads the model once.

## What breaks first

1. **The disk that holds the images.** {rate:,} files of 10 kB a second are {disk:.0f} MB a second, which any disk can read from large files and few
   can read from small ones.
2. **The list of samples.** It is a Python list; 33 million samples do not fit most memories. Extract such a set folder by folder, into one store each.
3. **Reading everything at once.** `store.table()` and `store.features()` hold all rows in view; choose with `store.where(...)`, or go part by
   part with `store.by_part()`, as `mv.export_store` does.
4. **Maps and measures.** Maps are computed from 10,000 images, and the others are placed among them, 2,000 at a time. The time for measures grows
   with the square of the number of images of a modality.

More than one GPU, and a cluster of more than one machine, were **not run here**.
"""


def scale_page(scale: Mapping[str, Any], gpu: Mapping[str, Any]) -> str:
    """The page, from what is in ``scale.json`` and ``gpu.json``."""
    extraction, work, sizes = scale["extraction"], scale["growth"]["work"], scale["growth"]["rows"]
    on, rate = scale["machine"], gpu["rows"][EXTRACT_RATE]["cuda"]
    steepest = {what: math.log(row["milliseconds"][-1] / row["milliseconds"][-2], sizes[-1] / sizes[-2]) for what, row in work.items()}  # fmt: skip
    steep = max(steepest, key=lambda what: steepest[what])
    retrieval, faiss = (
        next(row["milliseconds"][-1] for what, row in work.items() if words in what)
        for words in ("retrieval", "by faiss")
    )
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    return _PAGE.format(
        machine=f"{on['cores']} cores, {on['system']}, Python {on['python']}; {versions}",
        measured=scale["measured"],
        rounds=scale["rounds"],
        models=" | ".join(f"{name}, {found['images']:,} images" for name, found in extraction.items()),
        lines="|".join("---" for _ in extraction),
        ways="\n".join(_way(way, extraction) for way in WAYS),
        gpu=gpu["columns"]["cuda"],
        rate=rate,
        part=gpu["rows"]["`extract` / bare"]["cuda"],
        workers=gpu["workers"],
        before=sizes[-2],
        last=sizes[-1],
        steepest=steepest[steep],
        steep=steep.partition(",")[0],
        sizes=", ".join(f"{n:,}" for n in sizes),
        growth="\n".join(_growth(what, row) for what, row in work.items()),
        faiss=faiss / retrieval,
        times="\n".join(_times(rate, gpu["columns"]["cuda"])),
        disk=rate * _PICTURE / 1e6,
    )


def _way(way: str, extraction: Mapping[str, Any]) -> str:
    each = [found["ratios"][way] for found in extraction.values()]
    cells = [f"{middle:.2f} ({least:.2f} to {largest:.2f})" for middle, least, largest in each]
    return f"| {WAYS[way]} | {' | '.join(cells)} |"


def _growth(what: str, row: Mapping[str, Any]) -> str:
    times = ", ".join(_three_digits(value) for value in row["milliseconds"])
    memory = ", ".join(f"{value:.0f}" for value in row["MiB"])
    return f"| {what} | {times} | {memory} | {row['exponent']:.2f} |"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 1000 else f"{value:.3g}"


def _times(rate: float, name: str) -> Sequence[str]:
    rows = {
        f"one {name} at the measured {rate:,} a second": 1,
        "8 of them, each with 16 cores (`--engine ray --actors 8`), if none waits for the disk": 8,
        "64 of them, likewise": 64,
    }
    return [f"| {words} | {_time(1e6 / rate / n)} | {_time(1e8 / rate / n)} |" for words, n in rows.items()]


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 3600 else f"{seconds / 3600:.1f} hours"
