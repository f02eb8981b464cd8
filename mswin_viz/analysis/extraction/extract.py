"""Extract the features of a data set into a store, and go on where an earlier run ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from mswin_viz.analysis.embeddings.store import Store, open_store
from mswin_viz.analysis.extraction.options import (
    ExtractOptions,
    ExtractSettings,
    limited,
    settings_of,
    work_of,
)
from mswin_viz.analysis.extraction.ray_engine import on_ray
from mswin_viz.analysis.extraction.shard_work import Done, ShardWork, work_on_shards
from mswin_viz.data.progress import Progress, progress_bar
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, n_of, shown_text
from mswin_viz.data.storage.destinations import check_space, destination
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.worker_processes import WorkerProcesses
from mswin_viz.data.store.shard_files import check_own_folder, committed, made_folders, remove_unfinished
from mswin_viz.data.store.store_record import Commit, is_store, read_record, write_record
from mswin_viz.errors import StoreError
from mswin_viz.model.encoder.backbone import Model

_BUSY = "one program at a time extracts into a store: another is at work in {}; wait for it, or choose another folder"
_FREE = "free some space, keep fewer tokens, or choose another folder"


def extract(
    samples: Sequence[Sample],
    store: str | Path,
    *,
    model: Model | None = None,
    **options: Unpack[ExtractOptions],
) -> Store:
    """Embed the images of some samples into a store, a folder that holds a shard of them at a time.

    Files are opened and resized in worker processes while the tower works. A run that is stopped or killed loses at most
    the shards it was working on: the same call goes on from there, and its files are, byte for byte, those of a run that
    nothing disturbed. A longer list of samples that begins with the same ones adds to the store. An image that cannot
    be read, is of a camera the weights do not know, or gets no finite feature has a row with the reason; one warning for
    each kind of thing worth knowing about the pictures.

    Parameters
    ----------
    samples
        From :func:`mswin_viz.samples`; of image files.
    store
        The folder, made if it is missing. The layout of its files is described in ``docs/reference/store.md``.
    model
        What embeds; the embedded model by default.
    modalities : Sequence[str]
        Which images of each sample; those it does not have are passed over.
    tokens : str
        What is kept of the patch tokens: ``"summaries"``, means over the phases of the add-on's windows and over rows of the
        grid (the default); ``"all"``, every patch token; ``"none"``.
    dtype, token_dtype : str
        ``"float32"`` or ``"float16"``, of features (float32 by default) and tokens (float16 by default).
    scales : Sequence[int]
        Window scales that the phase means serve; by default those of the add-on, or 4, 8 and 16.
    shard_images : int
        About how many images make a shard, 10,000 by default.
    batch_size : int
        Images in one pass; by default 32, on a GPU 256.
    workers : int
        Processes that open files; by default one less than the cores (at most 16), and 0, this process, for few images.
    limit : int
        At most about so many images: the first samples that have them.
    engine, address : str
        ``"local"``, or ``"ray"`` to work on a Ray cluster: the one that this program uses already, one at an address, or one
        that is started here.
    actors : int
        Ray actors that share the shards, each with a model and an accelerator, where there are any.
    progress : bool
        Show a bar with rate and remaining time, as by default.
    stop, report
        As for :func:`mswin_viz.embed`.

    Returns
    -------
    store
        Opened; it can be given wherever samples are taken.

    Raises
    ------
    StoreError
        If the folder holds rows of another model, of other samples or in another form.
    OutputError
        If it cannot be written, its disk is full, or another program is extracting into it; what is done by then stays.
    DataError, OptionError, StoppedError
        As for :func:`mswin_viz.embed`.

    Examples
    --------
    >>> store = mv.extract(samples[:6], "store", model=model, progress=False)
    >>> store
    Store(...store: 18 images; dim 512, tokens summaries)
    >>> store.table().plain.shape
    (18, 512)
    >>> more = mv.extract(samples[:8], "store", model=model, progress=False)  # a longer list goes on
    >>> len(more), more.n_rows
    (8, 24)
    """
    chosen = settings_of(options)
    work = work_of(limited(samples, chosen), destination(store), model, chosen)
    folder = work.folder
    check_own_folder(folder)
    made_folders(folder)
    with locked(folder / "extraction", busy=_BUSY.format(shown_text(folder))):
        remove_unfinished(folder)
        todo = _todo(work)
        if not is_store(folder) or read_record(folder) != work.record:
            write_record(folder, work.record)
        _run(work, todo, chosen)
    opened = open_store(folder)
    _warn_of(opened)
    return opened


def _warn_of(store: Store) -> None:
    """What is worth knowing of the pictures; of many shards one sentence, or they would fill the screen."""
    of_shards = [commit.notes for commit in store.commits if commit.notes]
    if len(of_shards) > 1:
        first = f"{n_of(len(of_shards), len(store.commits), 'shards')} {'has notes on its' if len(of_shards) == 1 else 'have notes on their'} pictures, which are in"
        warnings.warn(f"{first} store.notes; of the first: {of_shards[0][0]}", stacklevel=3)
        return
    for note in of_shards[0] if of_shards else ():
        warnings.warn(note, stacklevel=3)


def _todo(work: ShardWork) -> list[int]:
    """The shards that are not done; a `StoreError` if what is done is of other images or in another form."""
    if is_store(work.folder):
        read_record(work.folder).check_same_rows(work.record, work.folder)
    done = committed(work.folder)
    finished = {commit.shard for commit in done if _is_done(work, commit)}
    return [number for number in range(work.plan.n_shards) if number not in finished]


def _is_done(work: ShardWork, commit: Commit) -> bool:
    """Whether a committed shard is whole; not if it ends the store, and the list of samples has grown behind it."""
    root = None if work.record.root is None else Path(work.record.root)
    shard = work.plan.shard(commit.shard) if commit.shard < work.plan.n_shards else None
    if (
        shard is not None
        and shard.n_samples >= commit.n_samples
        and shard.plan(root, n_samples=commit.n_samples) == commit.plan
    ):
        return shard.n_samples == commit.n_samples
    raise StoreError(
        f"a store is continued with the samples it was begun with, and others behind them: shard {commit.shard} of "
        f"{shown_text(work.folder)} holds other images than samples {commit.first_sample}.."
        f"{commit.first_sample + commit.n_samples - 1} of this list; choose another folder"
    )


def _run(work: ShardWork, todo: Sequence[int], chosen: ExtractSettings) -> None:
    """Make the shards that are not done, with a bar."""
    if not todo:
        return
    total = sum(len(work.plan.shard(number).images) for number in todo)
    n_bytes = total * work.record.bytes_of_row
    check_space(work.folder, n_bytes, f"{counted(total, 'images need', 'image needs')} about", _FREE)
    n_done, n_there = 0, work.plan.n_images - total
    with progress_bar(
        total=work.plan.n_images,
        initial=n_there,
        desc="extracting",
        unit="image",
        disable=not chosen.progress,
    ) as bar:
        for done in _engine(chosen)(work, todo):
            bar.update(done.n_images)
            n_done += done.n_images
            if chosen.report is not None and done.n_images:
                words = f"extracting: {n_there + n_done:,} of {counted(work.plan.n_images, 'images')}"
                chosen.report(Progress(n_there + n_done, work.plan.n_images, words))


def _engine(chosen: ExtractSettings) -> Callable[[ShardWork, Sequence[int]], Iterator[Done]]:
    if chosen.engine == "ray":
        return lambda work, todo: on_ray(work, todo, chosen)
    return lambda work, todo: _locally(work, todo, chosen)


def _locally(work: ShardWork, todo: Sequence[int], chosen: ExtractSettings) -> Iterator[Done]:
    with WorkerProcesses(work.workers, block_bytes=work.bytes_of_batch) as processes:
        yield from work_on_shards(work, todo, processes, stop=chosen.stop)
