"""Arrays kept in ``.npy`` files for the next run, with an index that says what each must hold."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel

from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.file_writing import write_json
from mswin_viz.data.storage.stored_records import StoredRecord, checked, read_json
from mswin_viz.errors import CacheError

if TYPE_CHECKING:
    from jaxtyping import Shaped

_PORTION = 2**24  # values looked at at once
_MOST_BYTES = 2**30  # of an index: it may name every image of a data set
_HASH = "blake2b"
_PARSING = threading.Lock()
"""Headers are Python text, and Python 3.11 fails now and then where two threads parse at once."""

_Index = TypeVar("_Index", bound=BaseModel)


class ArrayRecord(StoredRecord):
    """What a file must hold to be the array that was written."""

    shape: list[int]
    dtype: str  # as NumPy spells it, with its byte order
    n_bytes: int  # of the whole file, as the hash: 16 bytes as hexadecimal digits
    blake2b: str


def write_index(file: Path, index: BaseModel) -> None:
    """Write an index as JSON, with a hash of itself; it is written last, when the arrays are complete."""
    value = index.model_dump()
    write_json(file, {_HASH: _hash_of_value(value), **value})


def read_index(file: Path, kind: type[_Index]) -> _Index:
    """An index that :func:`write_index` wrote; a `CacheError` if it is missing, damaged, or of another kind or version."""
    about = {"remedy": "delete it", "error": CacheError}
    value = read_json(file, what="the index", most_bytes=_MOST_BYTES, **about)
    index = checked(kind, value, what=f"the index {shown_text(file.name)}", **about)
    content: dict[str, Any] = dict(value)
    if content.pop(_HASH, None) != _hash_of_value(content):
        raise CacheError(f"the index {shown_text(file.name)} does not hold what was written to it")
    return index


def array_record(file: Path) -> ArrayRecord:
    """The record of an array that has been written; a `CacheError` if it was deleted meanwhile."""
    try:
        with _PARSING:
            array = np.load(file, mmap_mode="r")
        return ArrayRecord(
            shape=list(array.shape), dtype=array.dtype.str, n_bytes=file.stat().st_size, blake2b=_hash(file)
        )
    except OSError as problem:
        raise CacheError(
            f"{shown_text(file.name)} cannot be read ({problem.strerror or problem})"
        ) from problem


def stored_array(file: Path, record: ArrayRecord) -> Shaped[np.ndarray, "*shape"]:
    """The array of a file, mapped into memory; changes to it never reach the file.

    The whole file is read and hashed, in 1.2 s for each GiB: a check of its size alone would take zeros, or parts of an
    older file, for values. Anything but what the record says, or a number that is not finite, is a `CacheError`.
    """
    name = shown_text(file.name)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
            raise CacheError(f"{name} is not a regular file")
        n_bytes = file.stat().st_size
        if n_bytes != record.n_bytes:
            raise CacheError(f"{name} has {n_bytes:,} bytes, not {record.n_bytes:,}")
        if _hash(file) != record.blake2b:
            raise CacheError(f"{name} does not hold what was written to it")
        with _PARSING:
            array = np.lib.format.open_memmap(file, mode="c")
    except CacheError:
        raise
    except FileNotFoundError as problem:
        raise CacheError(f"{name} is missing") from problem
    except (OSError, ValueError) as problem:
        raise CacheError(f"{name} cannot be read ({problem})") from problem
    if array.dtype.kind == "f" and not _all_finite(array.reshape(-1)):
        raise CacheError(f"{name} holds numbers that are not finite")
    return array


def _hash_of_value(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _all_finite(values: Shaped[np.ndarray, " value"]) -> bool:
    """Whether every number is finite, looked at in portions: the array may be larger than memory."""
    parts = (values[start : start + _PORTION] for start in range(0, len(values), _PORTION))
    return all(np.isfinite(part).all() for part in parts)
