"""Faults planted in drawn people: wrong identities, copies, leaks between splits, pictures of something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.record import Findings
from mswin_viz.data.sample import Sample
from mswin_viz.model.encoder.backbone import Model

Change = Callable[[Image.Image], Image.Image]
FIRST_NEW = 9000
"""Identity numbers from here on belong to what was planted."""


def _cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    box = (round(0.05 * width), round(0.05 * height), round(0.95 * width), round(0.95 * height))
    return image.crop(box).resize(image.size, Image.Resampling.BILINEAR)


COPIES: Mapping[str, tuple[Change, int]] = {
    "re-encoded": (lambda image: image, 50),
    "brightened by 20 %": (lambda image: ImageEnhance.Brightness(image).enhance(1.2), 90),
    "cropped by 5 % at each side": (_cropped, 90),
}
"""How a picture is copied: what is done to its pixels, and the quality of the JPEG file."""


@dataclass(frozen=True)
class Planted:
    """Samples with faults, and which of them are faults: positions, or pairs of positions, by the kind of fault."""

    samples: list[Sample]
    faults: Mapping[str, set]


def two_sides(samples: list[Sample], n_train: int) -> list[Sample]:
    """The first so many people as training split, the others as test split."""
    first = sorted({sample.pid for sample in samples})[:n_train]
    return [replace(sample, split="train" if sample.pid in first else "test") for sample in samples]


def wrong_identities(samples: list[Sample], n: int, *, seed: int) -> Planted:
    """So many samples get the identity of somebody else in the same split."""
    rng, changed = np.random.default_rng(seed), list(samples)
    chosen = rng.choice(len(samples), n, replace=False).tolist()
    for at in chosen:
        others = sorted({one.pid for one in samples if one.split == samples[at].split} - {samples[at].pid})
        changed[at] = replace(samples[at], pid=int(rng.choice(others)))
    return Planted(changed, {"wrong identities": set(chosen)})


def copies(samples: list[Sample], n: int, folder: Path, *, seed: int, how: str | None = None) -> Planted:
    """So many samples are there twice, each copy changed in one of the ways of :data:`COPIES`, in turn or as named."""
    rng, changed, pairs = np.random.default_rng(seed), list(samples), set()
    for number, at in enumerate(rng.choice(len(samples), n, replace=False).tolist()):
        way = how or list(COPIES)[number % len(COPIES)]
        changed.append(_copied(samples[at], folder / f"copy_{number}", *COPIES[way]))
        pairs.add((at, len(changed) - 1))
    return Planted(changed, {"near-duplicates": pairs})


def leaked_copies(samples: list[Sample], n: int, folder: Path, *, seed: int) -> Planted:
    """Changed copies of so many training samples stand in the test split, under a new number each."""
    rng, changed, pairs = np.random.default_rng(seed), list(samples), set()
    of_train = [at for at, sample in enumerate(samples) if sample.split == "train"]
    for number, at in enumerate(rng.choice(of_train, n, replace=False).tolist()):
        copied = _copied(samples[at], folder / f"leak_{number}", *COPIES[list(COPIES)[number % len(COPIES)]])
        changed.append(replace(copied, split="test", pid=FIRST_NEW + number))
        pairs.add((at, len(changed) - 1))
    return Planted(changed, {"copies": pairs})


def leaked_people(samples: list[Sample], n: int, *, seed: int) -> Planted:
    """Every second shot of so many training people is in the test split, under a new number; pairs of identities."""
    rng, changed, pairs = np.random.default_rng(seed), list(samples), set()
    people = sorted({sample.pid for sample in samples if sample.split == "train"})
    for number, pid in enumerate(rng.choice(people, n, replace=False).tolist()):
        own = [at for at, sample in enumerate(samples) if sample.pid == pid]
        for at in own[1::2]:
            changed[at] = replace(samples[at], split="test", pid=FIRST_NEW + number)
        pairs.add((pid, FIRST_NEW + number))
    return Planted(changed, {"people": pairs})


def strange_pictures(samples: list[Sample], n: int, folder: Path, *, seed: int) -> Planted:
    """So many samples show noise, one colour, stripes or shapes in place of a person."""
    rng, changed = np.random.default_rng(seed), list(samples)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = rng.choice(len(samples), n, replace=False).tolist()
    for number, at in enumerate(chosen):
        files = {}
        for name in samples[at].images:
            files[name] = folder / f"strange_{number}_{name}.png"
            _strange(number % 4, rng).save(files[name])
        changed[at] = replace(samples[at], images=files)
    return Planted(changed, {"outliers": set(chosen)})


def _copied(sample: Sample, folder: Path, change: Change, quality: int) -> Sample:
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, file in sample.images.items():
        files[name] = folder / f"{name}.jpg"
        with Image.open(str(file)) as image:
            change(image.convert("RGB")).save(files[name], quality=quality)
    return replace(sample, images=files)


def _strange(kind: int, rng: np.random.Generator) -> Image.Image:
    if kind == 0:
        return Image.fromarray(rng.integers(0, 256, (256, 128, 3), dtype=np.uint8))
    background = tuple(rng.integers(0, 256, 3).tolist())
    image = Image.new("RGB", (128, 256), background)
    draw = ImageDraw.Draw(image)
    colours = [tuple(rng.integers(0, 256, 3).tolist()) for _ in range(8)]
    if kind == 2:
        for at, colour in zip(range(0, 256, 32), colours, strict=True):
            draw.rectangle((0, at, 128, at + 15), fill=colour)
    if kind == 3:
        for colour in colours:
            x, y, size = rng.integers(0, 110), rng.integers(0, 220), rng.integers(20, 90)
            draw.ellipse((x, y, x + size, y + size), fill=colour)
    return image


def embedded_once(model: Model, worlds: Mapping[str, Planted]) -> dict[str, EmbeddingTable]:
    """The table of each world; pictures that stand in several are embedded once."""
    every = {tuple(sample.images.values()): sample for world in worlds.values() for sample in world.samples}
    whole = embed(model, list(every.values()), progress=False)
    place = {files: at for at, files in enumerate(every)}
    tables = {}
    for name, world in worlds.items():
        at = np.array([place[tuple(sample.images.values())] for sample in world.samples])
        rows = np.concatenate([[whole.row_of(one, modality) for one in at] for modality in whole.modalities])
        n = len(whole.modalities)
        tables[name] = replace(
            whole[rows],
            sample=np.tile(np.arange(len(at)), n),
            pid=np.tile([sample.pid for sample in world.samples], n),
            camid=np.tile([sample.camid for sample in world.samples], n),
            split=np.tile([sample.split or "" for sample in world.samples], n),
        )
    return tables


def listed(found: Findings, kind: str = "") -> list:
    """What is listed, in order, as faults are named: samples, pairs of samples, or pairs of identities (``"people"``)."""
    sample = found.table.sample
    if found.kind in ("wrong identities", "outliers"):
        return sample[found.rows].tolist()
    if kind == "people":
        persons = [at for at, what in enumerate(found.what) if what == "same person"]
        return [(int(found.suggested[at]), int(found.table.pid[found.rows[at]])) for at in persons]
    pairs = zip(found.rows.tolist(), found.evidence, found.what, strict=True)
    named = [
        sorted((int(sample[row]), int(sample[other[0]])))
        for row, other, what in pairs
        if what != "same person"
    ]
    return [tuple(pair) for pair in named]


def score(found: Sequence, faults: set) -> dict[str, float | None]:
    """How many are listed, precision and recall of the list, and its average precision, in which a fault not listed counts 0."""
    hits = [one in faults for one in found]
    precisions = [sum(hits[: at + 1]) / (at + 1) for at, hit in enumerate(hits) if hit]
    return {
        "planted": len(faults),
        "listed": len(hits),
        "precision": sum(hits) / len(hits) if hits else None,
        "recall": sum(hits) / len(faults),
        "average_precision": sum(precisions) / len(faults),
    }
