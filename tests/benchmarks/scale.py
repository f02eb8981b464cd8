"""What extraction costs over the bare tower, and how stores grow: ``python tests/benchmarks/scale.py [rows ...]``.

It writes ``docs/measurements/scale.json`` and the page made from it, unless other rows are asked for, and never fails on a clock. Every growth is measured in a process of its own, so that its
peak memory is its own; a growth's exponent is the slope of a line through the logarithms.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from measured_pages import write_scale  # noqa: E402
from own_process import answer_of, cost, timed  # noqa: E402
from scale_page import WAYS  # noqa: E402
from support.feature_store import feature_store  # noqa: E402
from support.tiny import tiny_model  # noqa: E402
from support.vit_b_16 import vit_b_16  # noqa: E402  (the tests are no package)

import mswin_viz as mv  # noqa: E402
from mswin_viz.analysis.extraction.decoding import DecodingJob, decoded  # noqa: E402
from mswin_viz.data.sample import Sample  # noqa: E402
from mswin_viz.model.encoder.backbone import Model  # noqa: E402
from mswin_viz.model.encoder.preprocessing import fitting_rule, normalised_pixels  # noqa: E402

ROWS = (1_000, 10_000, 100_000)
ROUNDS = 3
BATCH = 32
QUERIES = 200


def main(rows: tuple[int, ...] = ROWS) -> None:
    """Measure everything, print it, and keep it."""
    extraction, work = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model, n_samples in (
            ("embedded model", mv.load_model(device="cpu"), 480),
            ("ViT-B/16 at 256x128, random weights", vit_b_16("cpu"), 40),
        ):
            extraction[name] = _extraction(model, _copies(Path(folder) / "images", n_samples))
            print(name, json.dumps(extraction[name]), flush=True)
        for n in rows:
            feature_store(Path(folder) / str(n), n, tiny_model())
        for what in GROWTHS:
            work[what] = _growth(what, Path(folder), rows)
            print(what, json.dumps(work[what]), flush=True)
    if rows == ROWS:
        growth = {"rows": rows, "work": work}
        write_scale({"rounds": ROUNDS, "extraction": extraction, "growth": growth})


def _copies(folder: Path, n_samples: int) -> list[Sample]:
    """That many samples, whose files are copies of those that are shipped."""
    shipped, samples = mv.samples(), []
    for number in range(n_samples):
        sample, images = shipped[number % len(shipped)], {}
        for modality, source in sample.images.items():
            images[modality] = folder / modality / f"{number:06d}.jpg"
            images[modality].parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(source), images[modality])
        samples.append(replace(sample, images=images, root=folder))
    return samples


def _extraction(model: Model, samples: list[Sample]) -> dict[str, object]:
    """Rates of the tower and of the whole model on pictures that are decoded already, of extract, and of a plain loop, in turn."""
    sources = [source for sample in samples for source in sample.images.values()]
    pixels = decoded(DecodingJob(tuple(sources), fitting_rule(model.tower))).pixels
    assert isinstance(pixels, np.ndarray)
    pixels = torch.from_numpy(pixels)
    ways: dict[str, Callable[[], float]] = {
        "tower": lambda: _bare(pixels, lambda batch: _tower(model, batch)),
        "model": lambda: _bare(pixels, lambda batch: model.enhance(model.encode_pixels(batch))),
        "extract": lambda: _extract(model, samples),
        "loop": lambda: _loop(model, sources),
    }
    rates = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, measure in ways.items():
            rates[way].append(measure())
    ratios = {way: sorted(a / b for a, b in zip(rates["extract"], rates[way], strict=True)) for way in WAYS}
    spreads = {
        way: [round(statistics.median(all_), 2), round(all_[0], 2), round(all_[-1], 2)]
        for way, all_ in ratios.items()
    }
    return {"images": len(sources), "ratios": spreads}


def _bare(pixels: torch.Tensor, forward: Callable[[torch.Tensor], object]) -> float:
    started = time.perf_counter()
    with torch.no_grad():
        for at in range(0, len(pixels), BATCH):
            forward(pixels[at : at + BATCH])
    return len(pixels) / (time.perf_counter() - started)


def _tower(model: Model, pixels: torch.Tensor) -> torch.Tensor:
    with model.autocast():
        return model.clip.encode_image(normalised_pixels(model.tower, pixels))


def _extract(model: Model, samples: list[Sample]) -> float:
    """The rate once the first batch is there: processes start once, whatever the number of images."""
    marks: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        mv.extract(
            samples, folder, model=model, workers=1, batch_size=BATCH, progress=False,
            report=lambda progress: marks.append((progress.done, time.perf_counter())),
        )  # fmt: skip
    (n_first, first), (n_last, last) = marks[0], marks[-1]
    return (n_last - n_first) / (last - first)


def _loop(model: Model, sources: list[object]) -> float:
    started = time.perf_counter()
    for source in sources:
        model.enhance(model.encode(source, progress=False))
    return len(sources) / (time.perf_counter() - started)


def _growth(what: str, folder: Path, rows: tuple[int, ...]) -> dict[str, object]:
    seconds, megabytes = [], []
    for n in rows:
        answer = answer_of(__file__, what, folder / str(n))
        seconds.append(answer["seconds"])
        megabytes.append(answer["MiB"])
    slope = (
        float(np.polyfit(np.log(rows), np.log(np.maximum(seconds, 1e-4)), 1)[0])
        if len(rows) > 1
        else math.nan
    )
    return {
        "milliseconds": [float(f"{1000 * value:.3g}") for value in seconds],
        "MiB": [round(value) for value in megabytes],
        "exponent": round(slope, 2),
    }


def _child(what: str, folder: Path) -> None:
    print(json.dumps(cost(lambda: GROWTHS[what](folder))))


def _retrieval(folder: Path) -> float:
    """Of one query: some queries against every image."""
    table = mv.open_store(folder).table()
    query = _queries(len(table))
    seconds = timed(lambda: mv.retrieval(table.enhanced, table.pid, table.camid, query=query))
    return seconds / len(query)


def _faiss(folder: Path) -> float:
    """Of one query, too: the ten nearest images by an exact index, which is less than the places of all matches."""
    import faiss

    rows = mv.open_store(folder).features("enhanced")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    query = _queries(len(rows))
    return timed(lambda: index.search(rows[query], 10)) / len(query)


def _queries(n_rows: int) -> np.ndarray:
    return np.arange(n_rows)[:: max(1, n_rows // QUERIES)][:QUERIES]


def _export(folder: Path, to: str) -> float:
    with tempfile.TemporaryDirectory() as out:
        return timed(lambda: mv.export_store(folder, Path(out) / "out", to=to))


def _map(folder: Path) -> float:
    table = mv.open_store(folder).table()
    return timed(lambda: mv.project_some(table.plain, table.enhanced, most=1_000, k=5))


GROWTHS: dict[str, Callable[[Path], float]] = {
    "open a store": lambda folder: timed(lambda: mv.open_store(folder)),
    "rows by a query (modality and camera)": lambda folder: timed(
        lambda: mv.open_store(folder).where(modality="TI", camid=3).n_rows
    ),
    "the whole table, features included": lambda folder: timed(lambda: mv.open_store(folder).table()),
    "check every hash": lambda folder: timed(lambda: mv.open_store(folder).verify()),
    "retrieval, one query: average precision and rank of the first match": _retrieval,
    "the ten nearest of one query by faiss, exact": _faiss,
    "maps computed of 1,000, the others placed": _map,
    "export to csv": lambda folder: _export(folder, "csv"),
    "export to atlas (Parquet)": lambda folder: _export(folder, "atlas"),
    "export to fiftyone": lambda folder: _export(folder, "fiftyone"),
    "export to faiss": lambda folder: _export(folder, "faiss"),
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], Path(sys.argv[3]))
    else:
        main(tuple(map(int, sys.argv[1:])) or ROWS)
