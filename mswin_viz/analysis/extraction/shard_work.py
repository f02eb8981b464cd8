"""The work on a shard, the same wherever it is done: files to pictures to features to the shard's files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from mswin_viz.analysis.extraction.decoding import DecodedBatch, DecodingJob
from mswin_viz.analysis.extraction.decoding import decoded as decoded_files
from mswin_viz.analysis.extraction.shard_rows import ShardRows
from mswin_viz.analysis.extraction.tower_pass import TowerPass, tower_pass
from mswin_viz.data.progress import Stop
from mswin_viz.data.storage.shared_blocks import Block, SharedBlocks
from mswin_viz.data.storage.worker_processes import WorkerProcesses
from mswin_viz.data.store.planned_images import PlannedImage, Shard, StorePlan
from mswin_viz.data.store.store_record import Commit, StoreRecord
from mswin_viz.errors import StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.preprocessing import fitting_rule


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

    @property
    def bytes_of_batch(self) -> int:
        """Of the pictures that go through the tower at a time."""
        height, width = self.model.image_size
        return self.batch_size * 3 * height * width


class Done(NamedTuple):
    """What has been done since the last one: some images went through the tower, and perhaps a shard was committed."""

    n_images: int
    commit: Commit | None = None


class _Upcoming(NamedTuple):
    """A batch whose files are being opened."""

    shard: Shard
    images: Sequence[PlannedImage]
    block: Block | None


class _Launched(NamedTuple):
    """A batch that the device works on, or has worked on."""

    rows: ShardRows
    images: Sequence[PlannedImage]
    decoded: DecodedBatch
    embedded: TowerPass


def work_on_shards(
    work: ShardWork, numbers: Iterable[int], processes: WorkerProcesses, *, stop: Stop | None = None
) -> Iterator[Done]:
    """Make some shards, one behind the other; the tower goes on while processes open files ahead and shards are written behind.

    StoppedError once ``stop`` says so; OutputError if a shard cannot be written. What is committed by then stays.
    """
    torch.set_num_threads(work.n_threads)
    upcoming: deque[_Upcoming] = deque()
    rule, blocks = fitting_rule(work.model.tower), processes.blocks
    n_behind = 1 if work.model.device.type == "cuda" else 0  # batches the device may be working on meanwhile

    def jobs() -> Iterator[DecodingJob]:
        for number in numbers:
            shard = work.plan.shard(number)
            for images in shard.batches(work.batch_size):
                upcoming.append(_Upcoming(shard, images, blocks.take()))
                yield DecodingJob(tuple(image.source for image in images), rule, upcoming[-1].block)

    launched: deque[_Launched] = deque()
    filling: list[ShardRows] = []
    with ThreadPoolExecutor(1, "mswin_viz store") as writer:
        writing: deque[Future[Commit]] = deque()
        try:
            for decoded in processes.results(decoded_files, jobs()):
                if stop is not None and stop():
                    raise StoppedError("extraction was stopped; the same call goes on where it ended")
                shard, images, block = upcoming.popleft()
                if not filling or filling[-1].shard.number != shard.number:
                    filling = [rows for rows in filling if not rows.is_full]
                    filling.append(ShardRows(shard, work.folder, work.record))
                pixels = _pixels(work.model, decoded, blocks)
                blocks.give_back(block)
                embedded = tower_pass(work.model, work.record, images, pixels=pixels, places=decoded.places)
                launched.append(_Launched(filling[-1], images, decoded, embedded))
                while len(launched) > n_behind:
                    yield from _finished(work, launched.popleft(), writer, writing)
            while launched:
                yield from _finished(work, launched.popleft(), writer, writing)
            while writing:
                yield Done(0, writing.popleft().result())
        except BaseException:
            for rows in filling:
                if not rows.is_full:
                    rows.give_up()
            raise


def _pixels(model: Model, decoded: DecodedBatch, blocks: SharedBlocks) -> torch.Tensor:
    """The pictures of a batch, in memory that a GPU reads by itself where the model is on one."""
    is_pinned = model.device.type == "cuda"
    given = decoded.pixels
    pixels = torch.empty(given.shape, dtype=torch.uint8, pin_memory=is_pinned)
    blocks.receive(given, pixels.numpy())
    return pixels


def _finished(
    work: ShardWork, batch: _Launched, writer: ThreadPoolExecutor, writing: deque[Future[Commit]]
) -> Iterator[Done]:
    """Take over what the device gave for a batch; a shard that is full is written by another thread."""
    places, features, problems = batch.embedded.results()
    batch.rows.add(batch.images, batch.decoded, places, features, batch.decoded.problems | problems)
    if batch.rows.is_full:
        writing.append(writer.submit(batch.rows.write, work.model.picture_notes))
    while len(writing) > 1 or (writing and writing[0].done()):
        yield Done(0, writing.popleft().result())
    yield Done(len(batch.images))
