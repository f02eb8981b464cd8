"""How long an extraction would take and how large its store would get, from a few batches that are tried."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import torch

from mswin_viz.analysis.extraction.decoding import DecodingJob, decoded
from mswin_viz.analysis.extraction.options import ExtractOptions, limited, settings_of, work_of
from mswin_viz.analysis.extraction.shard_work import ShardWork
from mswin_viz.analysis.extraction.tower_pass import tower_pass
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.destinations import destination
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.preprocessing import fitting_rule

_TRIED = 3  # batches, of which the first is not timed


@dataclass(frozen=True)
class ExtractionEstimate:
    """What an extraction would take.

    Attributes
    ----------
    n_images, n_shards
        What would be extracted.
    n_bytes
        Of the store, about.
    images_per_second, seconds
        Of the slower of the two, the tower and the processes that open files; from a few batches of the first images.
    n_free
        Bytes that are free where the store would be; None without a place.

    Examples
    --------
    >>> estimate = mv.estimate_extraction(samples[:6], model=model, batch_size=2)
    >>> estimate.n_images, estimate.n_shards, estimate.n_free
    (18, 1, None)
    >>> estimate.n_bytes > 0, estimate.seconds > 0
    (True, True)
    """

    n_images: int
    n_shards: int
    n_bytes: int
    images_per_second: float
    seconds: float
    n_free: int | None

    def __str__(self) -> str:
        free = "" if self.n_free is None else f", {self.n_free / 1e9:,.1f} GB are free"
        return (
            f"{counted(self.n_images, 'images')} in {counted(self.n_shards, 'shards')}: about {self.n_bytes / 1e9:,.3f} GB{free}; about "
            f"{_time(self.seconds)} at {self.images_per_second:,.1f} images a second, as tried on the first ones"
        )


def estimate_extraction(
    samples: Sequence[Sample],
    store: str | Path | None = None,
    *,
    model: Model | None = None,
    **options: Unpack[ExtractOptions],
) -> ExtractionEstimate:
    """What :func:`mswin_viz.extract` would take with the same arguments; nothing is written.

    Images that are in the store already are counted too.

    Parameters
    ----------
    samples, store, model, **options
        As in :func:`mswin_viz.extract`; without a store, free space is not looked at.

    Returns
    -------
    estimate
        Images, shards, bytes and seconds; the speed is measured on a few batches of the first images.

    Raises
    ------
    OutputError, DataError, OptionError
        As in :func:`mswin_viz.extract`.

    Examples
    --------
    >>> estimate = mv.estimate_extraction(samples[:6], "store", model=model, batch_size=2, tokens="none")
    >>> estimate.n_images, estimate.n_bytes // estimate.n_images  # bytes an image, about
    (18, 4246)
    """
    settings = settings_of(options)
    work = work_of(limited(samples, settings), destination(store or "."), model, settings)
    opening, tower = _seconds_of_image(work)
    each = max(tower, opening / work.workers) if work.workers else tower + opening
    n_images, machines = work.plan.n_images, settings.actors
    there = next(path for path in (work.folder, *work.folder.parents) if path.exists())
    return ExtractionEstimate(
        n_images,
        work.plan.n_shards,
        n_images * work.record.bytes_of_row,
        machines / each,
        n_images * each / machines,
        None if store is None else shutil.disk_usage(there).free,
    )


def _seconds_of_image(work: ShardWork) -> tuple[float, float]:
    """How long one process takes to open an image, and the tower to embed it."""
    rule, opening, tower, n_opened, n_embedded = fitting_rule(work.model.tower), 0.0, 0.0, 0, 0
    for tried, images in enumerate(work.plan.shard(0).batches(work.batch_size)[:_TRIED]):
        job = DecodingJob(tuple(image.source for image in images), rule)
        started = time.perf_counter()
        batch = decoded(job)
        opened = time.perf_counter()
        pixels = torch.from_numpy(batch.pixels)
        tower_pass(work.model, work.record, images, pixels=pixels, places=batch.places).wait()
        embedded = time.perf_counter()
        if (
            tried == 1
        ):  # the first one, which also pays for what is done once, counts only if it is the only one
            opening, tower, n_opened, n_embedded = 0.0, 0.0, 0, 0
        opening, tower = opening + opened - started, tower + embedded - opened
        n_opened, n_embedded = n_opened + len(images), n_embedded + len(batch.places)
    return opening / max(n_opened, 1), tower / max(n_embedded, 1)


def _time(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"
