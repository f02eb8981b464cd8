"""The folder in which tokens are kept: one entry of this version, what killed programs and older versions left."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.storage.file_writing import discard, remove_named
from mswin_viz.data.storage.stored_records import read_json
from mswin_viz.errors import CacheError

INDEX = "index.json"
_ENTRY = re.compile(r"tokens-[0-9a-f]{32}")
_UNFINISHED_ENTRY = re.compile(r"\.tokens-[0-9a-f]{32}\.[0-9a-f]+\.unfinished")
_ARRAYS = tuple(f"{name}_{part}.npy" for name in MODALITIES for part in ("cls", "patches"))
_FILES = (*_ARRAYS, INDEX)  # the index last, so that a removal that was interrupted is taken up again


def entry_of(folder: Path, key: str) -> Path:
    """The place of the tokens of a key."""
    return folder / f"tokens-{key}"


def _content(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if it may not be listed."""
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []


def remove_unfinished(folder: Path) -> None:
    """What killed programs left; we hold the lock, so no other program is at work here."""
    for path in _content(folder):
        if _UNFINISHED_ENTRY.fullmatch(path.name):
            discard(path)


def remove_others(folder: Path, key: str) -> None:
    """Entries of other keys, and the files of version 1 where its index says that they are."""
    for path in _content(folder):
        if _ENTRY.fullmatch(path.name) and path != entry_of(folder, key) and not path.is_symlink():
            removed_entry(path)
    if _is_version_1(folder):
        remove_named(folder, _FILES)


def removed_entry(entry: Path) -> list[str]:
    """Names of what is not the cache's in an entry or in its place, and stays, when its own files are gone."""
    if not entry.is_dir():
        return [entry.name] if os.path.lexists(entry) else []
    return remove_named(entry, _FILES)


def older_layout(folder: Path) -> str:
    """Why files that lie in the folder itself are not read; empty if there are none."""
    there = [name for name in _ARRAYS if (folder / name).is_file()]
    if not there:
        return ""
    after = "they are replaced" if _is_version_1(folder) else "they can be deleted"
    return f"it holds {', '.join(there)} of an earlier version, which are not read; {after}"


def _is_version_1(folder: Path) -> bool:
    try:
        index = read_json(folder / INDEX, what="the index", remedy="delete it", error=CacheError)
    except CacheError:
        return False
    return isinstance(index, dict) and set(index) == {"key", "kept", "failed", "grid", "notes"}
