"""The same table on the CPU and on the GPU, then the tests marked ``cuda``: ``python tests/benchmarks/gpu.py``.

It writes ``docs/measurements/gpu.json`` and the page made from it, prints that page, and never fails on a clock. Without a GPU it
measures the CPU alone, says so, and writes nothing. Weights are random: they cost what trained ones do.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from measured_pages import FOLDER, Value, write_gpu  # noqa: E402
from scale_page import EXTRACT_RATE, EXTRACTED  # noqa: E402
from support.vit_b_16 import vit_b_16  # noqa: E402  (the tests are no package)

import mswin_viz as mv  # noqa: E402
from mswin_viz.analysis.extraction.decoding import DecodingJob, decoded  # noqa: E402
from mswin_viz.analysis.scales.request import Subject, ViewRequest  # noqa: E402
from mswin_viz.analysis.scales.view import scale_view  # noqa: E402
from mswin_viz.data.sample import Sample  # noqa: E402
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow  # noqa: E402
from mswin_viz.model.encoder.backbone import Model  # noqa: E402
from mswin_viz.model.encoder.preprocessing import fitting_rule, normalised_pixels  # noqa: E402

ROUNDS = 5
BATCH = {"cpu": 8, "cuda": 256}
DRAWN = 4096  # pictures; the files beyond are further names of theirs


def main() -> None:
    """Measure on every device there is, and run the tests of a GPU."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    names = {"cpu": f"CPU, {torch.get_num_threads()} threads"}
    if "cuda" in devices:
        names["cuda"] = torch.cuda.get_device_name()
    columns = {device: _column(device) for device in devices}
    rows = {what: {device: columns[device][what] for device in devices} for what in columns["cpu"]}
    data = {"columns": names, "rounds": ROUNDS, "workers": _workers(devices[-1]), "rows": rows}
    if "cuda" not in devices:
        print(json.dumps(data, indent=1))
        print(
            "There is no GPU here: its column and the tests marked cuda were not run, and nothing is written."
        )
        return
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "cuda",
        str(ROOT / "tests"),
        "-p",
        "no:cacheprovider",
    ]
    command += ["--ignore", str(ROOT / "tests" / "browser")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    last = done.stdout.strip().splitlines()[-1]
    write_gpu({**data, "cuda_tests": ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", last))})
    print(done.stdout, (FOLDER / "gpu.md").read_text(encoding="utf-8"), sep="\n")
    raise SystemExit(done.returncode)


def _column(device: str) -> dict[str, Value]:
    torch.manual_seed(0)
    bare = vit_b_16(device)
    addon = mv.CLIPMultiScaleFeatureExtractor(bare.dim).eval().requires_grad_(False).to(device)
    model = replace(bare, addon=addon, addon_origin="random")
    with tempfile.TemporaryDirectory() as folder:
        samples = _samples(Path(folder), EXTRACTED[device])
        return _rows(model, samples, Path(folder) / "store", BATCH[device])


def _rows(model: Model, samples: list[Sample], folder: Path, batch_size: int) -> dict[str, Value]:
    device = model.device.type
    sources = [sample.images["RGB"] for sample in samples[:batch_size]]
    pixels = decoded(DecodingJob(tuple(sources), fitting_rule(model.tower))).pixels
    assert isinstance(pixels, np.ndarray)
    pixels = torch.from_numpy(pixels).to(device)
    batch = normalised_pixels(model.tower, pixels)
    tokens = model.encode(sources, batch_size=batch_size, progress=False)
    one, along = tokens[0], np.random.default_rng(0).normal(size=model.dim)
    subject = Subject(one, model.addon, mv.fusion_weights(model.addon), along)

    def forward() -> None:
        with torch.no_grad(), model.autocast():
            model.clip.encode_image(batch)

    bare = batch_size / _seconds(forward, device)
    rate = _extract_rate(model, samples, folder, batch_size)
    literal = [float(f"{_literal_over_pooled(size, device):.2g}") for size in (1, 8, 64, 256)]
    milliseconds = {
        "fused feature of a batch, ms": lambda: model.enhance(tokens),
        "exact decomposition of one image, ms": lambda: mv.decompose(one, model.addon, along),
        "slider step of one image, ms": lambda: scale_view(subject, ViewRequest(12, slots=("on",) * 3)),
    }
    channels_last = _seconds_channels_last(model, batch) * bare / batch_size
    encode = batch_size / _seconds(lambda: model.encode_pixels(pixels), device) / bare
    return {
        f"bare `encode_image`, images a second (batch of {BATCH['cpu']}, {BATCH['cuda']})": round(bare),
        "channels last / as it is, time": round(channels_last, 2),
        EXTRACT_RATE: round(rate),
        "`extract` / bare": round(rate / bare, 2),
        "`encode` of pixels / bare, rate": round(encode, 2),
        "module as written / pooled path, time, batches of 1, 8, 64, 256": literal,
        **{name: round(1000 * _seconds(call, device), 2) for name, call in milliseconds.items()},
    }


def _literal_over_pooled(batch: int, device: str) -> float:
    torch.manual_seed(0)
    module, patches = (
        CLIPMultiScaleSlidingWindow().to(device),
        torch.randn(batch, 128, 512, device=device),
    )
    with torch.no_grad():
        return _seconds(lambda: module.forward_literal(patches), device) / _seconds(
            lambda: module(patches), device
        )


def _seconds_channels_last(model: Model, batch: torch.Tensor) -> float:
    visual, turned = model.clip.visual, batch.to(memory_format=torch.channels_last)
    visual.conv1.to(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.no_grad(), model.autocast():
            model.clip.encode_image(turned)

    seconds = _seconds(forward, model.device.type)
    visual.conv1.to(memory_format=torch.contiguous_format)
    return seconds


def _extract_rate(model: Model, samples: list[Sample], folder: Path, batch_size: int) -> float:
    """The rate once all processes work, which takes them the first quarter: they start once, whatever the number of images."""
    marks: list[tuple[int, float]] = []
    mv.extract(
        samples, folder, model=model, batch_size=batch_size, progress=False,
        workers=_workers(model.device.type),
        report=lambda progress: marks.append((progress.done, time.perf_counter())),
    )  # fmt: skip
    first, last = marks[len(marks) // 4], marks[-1]
    return (last[0] - first[0]) / (last[1] - first[1])


def _workers(device: str) -> int:
    """Processes that open files."""
    return max(1, min(15, torch.get_num_threads() - 1)) if device == "cuda" else 1


def _samples(folder: Path, n_images: int) -> list[Sample]:
    rng, samples = np.random.default_rng(1), []
    for number in range(n_images):
        file = folder / f"{number:05d}.jpg"
        if number < DRAWN:
            small = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)
            Image.fromarray(small).resize((128, 256), Image.Resampling.BICUBIC).save(file, quality=90)
        else:
            os.link(folder / f"{number % DRAWN:05d}.jpg", file)
        samples.append(Sample(number // 4, number % 4, {"RGB": file}, root=folder))
    return samples


def _seconds(call: Callable[[], object], device: str) -> float:
    times = []
    for turn in range(ROUNDS + 2):
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times += [time.perf_counter() - started] if turn > 1 else []
    return statistics.median(times)


if __name__ == "__main__":
    main()
