"""What is drawn for every training person once, by all processors, and read from a file afterwards."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from mswin_viz.data.progress import progress_bar
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.destinations import destination
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import mapped_array, replacing
from mswin_viz.data.storage.stored_arrays import (
    ArrayRecord,
    array_record,
    read_index,
    stored_array,
    write_index,
)
from mswin_viz.data.storage.stored_records import StoredRecord
from mswin_viz.data.storage.worker_processes import by_processes
from mswin_viz.data.synthetic.write_samples import WORLD_VERSION
from mswin_viz.errors import CacheError
from mswin_viz.model.pretraining.recipe import Recipe

_Job = tuple[int, int, int]
_Draw = Callable[[_Job], np.ndarray]


class _Index(StoredRecord):
    """What a file of drawings holds: ``NAME.npy.json`` beside ``NAME.npy``."""

    format: Literal[1]
    drawn: dict[str, int | str]
    array: ArrayRecord


def drawn_once(recipe: Recipe, draw: _Draw, cache: Path | None, what: str) -> np.ndarray:
    """``draw((world seed, pid, shots))`` of every training person, stacked ``[person, ...]``; ``what`` is drawn, in a word.

    ``draw`` is a function of a module, so that other processes find it. The ``.npy`` file ``cache`` is read if it holds
    these drawings, and written if not; a ``.json`` file beside it says what it holds. Without it, they are in memory
    only. Drawings of another recipe are drawn again, and so are damaged ones, with a warning. If another process is
    drawing them, this one waits. OutputError if the file cannot be written, or its disk has no room; one person has been
    drawn then. WorkerError if a process that draws was killed.
    """
    jobs = [(recipe.seed, recipe.first_pid + i, recipe.shots) for i in range(recipe.identities)]
    if cache is None:
        return _filled(jobs, draw, what, np.empty)
    people = {name: getattr(recipe, name) for name in ("seed", "first_pid", "identities", "shots")}
    file, about = destination(cache), {"what": what, "world": WORLD_VERSION, **people}
    with contextlib.suppress(CacheError):
        return _read(file, about)
    waiting = f"another program is drawing {shown_text(file)}: waiting for it"
    with locked(file, busy="", waiting=lambda: _warn(waiting)):
        try:
            return _read(file, about)
        except CacheError as problem:
            if file.exists():
                _warn(f"the drawings in {shown_text(file)} cannot be used and are drawn again: {problem}")
        with replacing(file) as unfinished:
            _filled(jobs, draw, what, lambda shape, dtype: mapped_array(unfinished, shape, dtype))
            index = _Index(format=1, drawn=about, array=array_record(unfinished))
        write_index(_index_of(file), index)
        return _read(file, about)


def _read(file: Path, about: dict[str, int | str]) -> np.ndarray:
    """The drawings in a file; CacheError if it does not hold just these."""
    index = read_index(_index_of(file), _Index)
    for name, wanted in about.items():
        if index.drawn.get(name) != wanted:
            raise CacheError(f"they are of {name} {index.drawn.get(name)!r}, not {wanted!r}")
    return stored_array(file, index.array)


def _index_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _filled(
    jobs: list[_Job], draw: _Draw, what: str, array: Callable[[tuple[int, ...], np.dtype], np.ndarray]
) -> np.ndarray:
    """Every job drawn into an array that is made when the first one shows its shape."""
    first = draw(jobs[0])
    drawn = array((len(jobs), *first.shape), first.dtype)
    drawn[0] = first
    for index, drawing in enumerate(_drawn(jobs[1:], draw, what), start=1):
        drawn[index] = drawing
    return drawn


def _drawn(jobs: list[_Job], draw: _Draw, what: str) -> Iterator[np.ndarray]:
    """In the order of the jobs, by all processors."""
    with contextlib.closing(by_processes(draw, jobs, workers=os.cpu_count() or 1)) as drawn:
        yield from progress_bar(drawn, total=len(jobs), desc=f"drawing {what}")


def _warn(words: str) -> None:
    warnings.warn(words, stacklevel=4)
