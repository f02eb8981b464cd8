"""The work on a shard, the same wherever it is done: files to pictures to features to the shard's files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mswin_viz.analysis.extraction.decoding import DecodedBatch, DecodingJob
from mswin_viz.analysis.extraction.decoding import decoded as decoded_files
from mswin_viz.analysis.extraction.shard_rows import ShardRows
from mswin_viz.data.progress import Stop
from mswin_viz.data.storage.worker_processes import WorkerProcesses
from mswin_viz.data.store.planned_images import PlannedImage, Shard, StorePlan
from mswin_viz.data.store.store_record import Commit, StoreRecord
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.preprocessing import fitting_rule
from mswin_viz.model.training.heads import phase_means

_NOT_FINITE = "the model gave it a feature that is not finite, or that does not fit float16"


@dataclass(frozen=True, eq=False)
class ShardWork:
    """All that is needed to make any shard of a store; it can be sent to another process or machine.

    ``n_threads`` is how many threads torch may use: with another number, the last bits of the features differ.
    """

    model: Model
    plan: StorePlan
    folder: Path
    record: StoreRecord
    batch_size: int
    workers: int
    n_threads: int


class Done(NamedTuple):
    """What has been done since the last one: some images went through the tower, and perhaps a shard was committed."""

    n_images: int
    commit: Commit | None = None


class _Launched(NamedTuple):
    """A batch that the device works on, or has worked on."""

    rows: ShardRows
    images: Sequence[PlannedImage]
    decoded: DecodedBatch
    places: list[int]
    problems: dict[int, str]
    features: dict[str, torch.Tensor]


def work_on_shards(
    work: ShardWork, numbers: Iterable[int], processes: WorkerProcesses, *, stop: Stop | None = None
) -> Iterator[Done]:
    """Make some shards, one behind the other; the tower goes on while processes open files ahead and shards are written behind.

    StoppedError once ``stop`` says so; OutputError if a shard cannot be written. What is committed by then stays.
    """
    torch.set_num_threads(work.n_threads)
    upcoming: deque[tuple[Shard, Sequence[PlannedImage]]] = deque()
    rule = fitting_rule(work.model.tower)

    def jobs() -> Iterator[DecodingJob]:
        for number in numbers:
            shard = work.plan.shard(number)
            for images in shard.batches(work.batch_size):
                upcoming.append((shard, images))
                yield DecodingJob(tuple(image.source for image in images), rule)

    rows, before = None, None
    with ThreadPoolExecutor(1, "mswin_viz store") as writer:
        writing: deque[Future[Commit]] = deque()
        try:
            for decoded in processes.results(decoded_files, jobs()):
                if stop is not None and stop():
                    raise StoppedError("extraction was stopped; the same call goes on where it ended")
                shard, images = upcoming.popleft()
                if rows is None or rows.shard.number != shard.number:
                    rows = ShardRows(shard, work.folder, work.record)
                # on a GPU this returns before the tower is done
                launched = _Launched(rows, images, decoded, *tower_features(work, images, decoded))
                if before is not None:
                    yield from _finished(work, before, writer, writing)
                before = launched
            if before is not None:
                yield from _finished(work, before, writer, writing)
            while writing:
                yield Done(0, writing.popleft().result())
        except BaseException:
            if rows is not None and not rows.is_full:
                rows.give_up()
            raise


def tower_features(
    work: ShardWork, images: Sequence[PlannedImage], decoded: DecodedBatch
) -> tuple[list[int], dict[int, str], dict[str, torch.Tensor]]:
    """Places of the images that go through the tower, why the others do not, and what the tower gives, on its device."""
    model, problems, given = work.model, dict(decoded.problems), {}
    for place in decoded.places:
        image = images[place]
        try:
            given[place] = model.conditions(1, tags=ImageTag(image.modality, image.sample.camid))
        except OptionError as problem:  # a camera without a row in the weights
            problems[place] = str(problem)
    features: dict[str, torch.Tensor] = {}
    if given:
        usable = np.array([place in given for place in decoded.places])
        pixels = torch.from_numpy(decoded.pixels if usable.all() else decoded.pixels[usable])
        if model.device.type == "cuda":
            pixels = pixels.pin_memory()
        joined = (torch.cat(each) for each in zip(*given.values(), strict=True))
        features = _features(model, pixels, joined, work.record)
    return list(given), problems, features


def _features(
    model: Model, pixels: torch.Tensor, given: Iterable[torch.Tensor], record: StoreRecord
) -> dict[str, torch.Tensor]:
    """Plain and enhanced features, and the tokens that the store keeps; where the model is."""
    with torch.no_grad():
        tokens = model.encode_pixels(pixels, *given)
        features = {"plain": tokens.cls, "enhanced": model.enhance(tokens).cls}
        kept = record.token_shapes
        if "patches" in kept:
            features["patches"] = tokens.patches
        if "phase_means" in kept:
            features["phase_means"] = phase_means(tokens, record.scales).patches
        if "stripe_means" in kept:
            rows, cols = tokens.grid
            features["stripe_means"] = tokens.patches.unflatten(1, (rows, cols)).mean(dim=2)
    kind = getattr(torch, record.token_dtype)
    return {name: values.to(kind) if name in kept else values for name, values in features.items()}


def _finished(
    work: ShardWork, batch: _Launched, writer: ThreadPoolExecutor, writing: deque[Future[Commit]]
) -> Iterator[Done]:
    """Take over what the device gave for a batch; a shard that is full is written by another thread."""
    features = {name: values.cpu().numpy() for name, values in batch.features.items()}
    problems, places = dict(batch.problems), np.array(batch.places, int)
    is_good = np.ones(len(places), bool)
    for name, values in features.items():
        stored = values.astype(work.record.dtype) if name in ("plain", "enhanced") else values
        is_good &= np.isfinite(stored.reshape(len(places), -1)).all(axis=1)
    problems |= dict.fromkeys(places[~is_good].tolist(), _NOT_FINITE)
    good = {name: values[is_good] for name, values in features.items()}
    batch.rows.add(batch.images, batch.decoded, places[is_good].tolist(), good, problems)
    if batch.rows.is_full:
        writing.append(writer.submit(batch.rows.write, work.model.picture_notes))
    while len(writing) > 1 or (writing and writing[0].done()):
        yield Done(0, writing.popleft().result())
    yield Done(len(batch.images))
