"""The samples that come with the package: those of a checkout, or drawn once into a cache."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

from mswin_viz.data.storage.destinations import destination
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import is_unfinished, write_json
from mswin_viz.data.storage.stored_records import read_json
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.errors import MswinVizError

_CHECKOUT = Path(__file__).resolve().parents[3] / "data_samples"
_RECORD = "complete"  # file of the cache that is written last: file -> number of its bytes


def shipped_samples() -> Path:
    """``data_samples/`` of a checkout; in an installed package, a cache that is drawn once, and completed if need be.

    If there can be no cache (a read-only or full home folder, other pictures in it), a warning says that they are drawn
    into a temporary folder for as long as the program runs. Without space for that either, `OutputError`.
    """
    if (_CHECKOUT / "RGBNT201").is_dir():
        return _CHECKOUT
    try:
        return _cached()
    except MswinVizError as problem:
        return _temporary(str(problem))


def _cached() -> Path:
    from mswin_viz.data.synthetic.write_samples import (  # draws: needed only here
        SHIPPED,
        WORLD_VERSION,
        write_samples,
    )

    cache = destination(f"~/.cache/mswin_viz/data_samples-{WORLD_VERSION}")
    if _is_whole(cache):
        return cache
    with locked(cache, busy="", waiting=_say_waiting):
        if not _is_whole(cache):
            root = write_samples(cache, **SHIPPED)
            write_json(cache / _RECORD, _sizes(cache, root))
    return cache


def _is_whole(cache: Path) -> bool:
    """Whether every file that was written is there, and as long as it was."""
    try:
        record = read_json(cache / _RECORD, what="the record of drawn samples", remedy="it is written again")
        return bool(record) and all((cache / name).stat().st_size == size for name, size in record.items())
    except (MswinVizError, OSError, AttributeError, TypeError, ValueError):  # an earlier version's is empty
        return False


def _sizes(cache: Path, root: Path) -> dict[str, int]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not is_unfinished(path)]
    return {path.relative_to(cache).as_posix(): path.stat().st_size for path in files}


def _say_waiting() -> None:
    warnings.warn("another program is drawing the samples of mswin_viz: waiting for it", stacklevel=2)


def _temporary(why: str) -> Path:
    if not _drawn_for_this_program.cache_info().currsize:
        warnings.warn(
            f"the samples that come with mswin_viz are drawn into a temporary folder until this program ends: {why}",
            stacklevel=2,
        )
    return _drawn_for_this_program()


@functools.cache
def _drawn_for_this_program() -> Path:
    from mswin_viz.data.synthetic.write_samples import SHIPPED, SMALLEST_PICTURE, write_samples

    n_pictures = 3 * SHIPPED["identities"] * SHIPPED["cameras"] * SHIPPED["shots"]
    folder = temporary_folder("mswin_viz_samples_", n_bytes=n_pictures * SMALLEST_PICTURE)
    write_samples(folder, **SHIPPED)
    return folder
