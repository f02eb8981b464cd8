"""Arrays that are kept in ``.npy`` files for the next run: what each must be is written down, and compared on reading."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.stored_records import STRICT
from mswin_viz.errors import CacheError

if TYPE_CHECKING:
    from jaxtyping import Shaped

__all__ = ["ArrayRecord", "array_record", "stored_array"]

_PORTION = 2**24  # values or bytes looked at at once


class ArrayRecord(BaseModel):
    """What a file must hold to be the array that was written.

    Attributes
    ----------
    shape, dtype
        Of the array; the type as NumPy spells it, with its byte order.
    n_bytes
        Of the whole file.
    blake2b
        Hash of the whole file: 16 bytes as hexadecimal digits.
    """

    model_config = STRICT

    shape: list[int]
    dtype: str
    n_bytes: int
    blake2b: str


def array_record(file: Path) -> ArrayRecord:
    """The record of an array that has been written."""
    array = np.load(file, mmap_mode="r")
    return ArrayRecord(
        shape=list(array.shape), dtype=array.dtype.str, n_bytes=file.stat().st_size, blake2b=_hash(file)
    )


def stored_array(file: Path, record: ArrayRecord) -> Shaped[np.ndarray, ...]:
    """The array of a file, mapped into memory; changes to it never reach the file.

    All of the file is read and hashed: 1.2 s for each GiB, beside 0.4 s for reading it from a fast disk and minutes for
    encoding as many images. A check of sizes alone would take zeros, or parts of an older file, for values.

    Raises
    ------
    CacheError
        If it is not exactly what the record says, or holds a number that is not finite.
    """
    name = shown_text(file.name)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
            raise CacheError(f"{name} is no regular file")
        n_bytes = file.stat().st_size
        if n_bytes != record.n_bytes:
            raise CacheError(f"{name} has {n_bytes:,} bytes, not {record.n_bytes:,}")
        if _hash(file) != record.blake2b:
            raise CacheError(f"{name} does not hold what was written to it")
        array = np.lib.format.open_memmap(file, mode="c")
    except FileNotFoundError as problem:
        raise CacheError(f"{name} is missing") from problem
    except (OSError, ValueError) as problem:
        if isinstance(problem, CacheError):
            raise
        raise CacheError(f"{name} cannot be read ({problem})") from problem
    if array.dtype.str != record.dtype or list(array.shape) != record.shape or not array.flags.c_contiguous:
        raise CacheError(
            f"{name} holds {array.dtype.str} {array.shape}, not {record.dtype} {tuple(record.shape)}"
        )
    if array.dtype.kind == "f" and not all(np.isfinite(part).all() for part in _portions(array.reshape(-1))):
        raise CacheError(f"{name} holds numbers that are not finite")
    return array


def _hash(file: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    for part in _portions(np.memmap(file, np.uint8, mode="r")):
        content.update(part)
    return content.hexdigest()


def _portions(values: Shaped[np.ndarray, " value"]) -> Iterator[Shaped[np.ndarray, " value"]]:
    for start in range(0, len(values), _PORTION):
        yield values[start : start + _PORTION]
