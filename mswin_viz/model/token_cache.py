"""Tokens that are kept in a folder for the next run: whole and checked, or computed again."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from mswin_viz.data.destinations import check_space, destination
from mswin_viz.data.file_locks import locked
from mswin_viz.data.file_writing import discard, new_folder, remove_named
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.stored_arrays import ArrayRecord, array_record, read_index, stored_array, write_index
from mswin_viz.data.stored_records import STRICT, read_json
from mswin_viz.errors import CacheError, OutputError
from mswin_viz.model.readout import Neck
from mswin_viz.model.token_shelf import TokenLayout, TokenShelf, tokens_of_arrays
from mswin_viz.model.tokens import Tokens

__all__ = ["FailedImage", "Filling", "WantedTokens", "kept_tokens"]

INDEX = "index.json"
_ENTRY = re.compile(r"tokens-[0-9a-f]{32}")
_UNFINISHED_ENTRY = re.compile(r"\.tokens-[0-9a-f]{32}\.[0-9a-f]+\.unfinished")
_ARRAYS = tuple(f"{name}_{part}.npy" for name in MODALITIES for part in ("cls", "patches"))
_FILES = (*_ARRAYS, INDEX)  # the index last, so that a removal that was interrupted is taken up again


class FailedImage(BaseModel):
    """An image for which its sample was left out: the sample's position, the modality and the reason."""

    model_config = STRICT

    sample: int
    modality: str
    reason: str


class Filling(BaseModel):
    """What became of the samples that were to be encoded.

    Attributes
    ----------
    kept
        Positions of the samples that have tokens, in their order.
    failed
        The others.
    notes
        What is worth saying about the pictures, each time they are used.
    """

    model_config = STRICT

    kept: Annotated[list[int], Field(min_length=1)]
    failed: list[FailedImage]
    notes: list[str]


class _Index(BaseModel):
    """What a folder of tokens holds; written when all the rest is there."""

    model_config = STRICT

    format: Literal[2]  # version 1 had its files in the folder itself, and did not know what they were
    key: str
    images: list[str]
    modalities: list[str]
    grid: Annotated[list[int], Field(min_length=2, max_length=2)]
    dim: int
    filling: Filling
    arrays: dict[str, ArrayRecord]


@dataclass(frozen=True)
class WantedTokens:
    """Which tokens are asked for.

    Attributes
    ----------
    key
        32 hexadecimal digits that change with anything the tokens depend on.
    images
        A line for each image: which it is, and its state. Computed again when they have been encoded, since tokens of
        files that changed in the meantime must not be kept.
    layout
        Room for all of them.
    neck
        The model's, on the CPU.
    """

    key: str
    images: Callable[[], list[str]]
    layout: TokenLayout
    neck: Neck | None


class _Kept(NamedTuple):
    tokens: dict[str, Tokens]
    filling: Filling


def kept_tokens(
    folder: Path, wanted: WantedTokens, fill: Callable[[TokenShelf], Filling]
) -> tuple[dict[str, Tokens], Filling]:
    """Tokens from a folder, mapped into memory; where it does not hold them, or not as they were written, made by ``fill``.

    The folder holds one entry, a folder named by its key, which comes into being by one rename. Another process with
    the same folder waits, and reads what the first has left. Reading takes no permission to write. An entry of another
    key is deleted once the new one is there; whoever has mapped it keeps it (not on Windows, where it stays until the
    next one). Nothing but entries is ever deleted, and files that version 1 left.

    Parameters
    ----------
    fill
        Puts the tokens on a shelf.

    Raises
    ------
    OutputError
        If the folder cannot be written, or its disk has no room for the tokens; ``fill`` has not been called then. Where
        they cannot be finished after that, they are used and not kept, with a warning.
    """
    folder = destination(folder)
    images = wanted.images()
    with contextlib.suppress(CacheError):
        if found := _read(folder, wanted, images):
            return found
    with locked(folder / "tokens", busy="", waiting=lambda: _say_waiting(folder)):
        try:
            if found := _read(folder, wanted, images):
                return found
            reason = _older_layout(folder)
        except CacheError as problem:
            reason = str(problem)
        if reason:
            _warn(f"the tokens in {shown_text(folder)} cannot be used and are computed again: {reason}")
        return _written(folder, wanted, images, fill)


def _read(folder: Path, wanted: WantedTokens, images: Sequence[str]) -> _Kept | None:
    """The entry that is asked for; None if the folder does not hold it.

    Raises
    ------
    CacheError
        If it is not exactly what was written, with the reason.
    """
    entry = _entry(folder, wanted.key)
    if not os.path.isdir(entry):
        return None
    index = read_index(entry / INDEX, _Index)
    _check_index(index, wanted, images)
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to others
        files = [entry / f"{name}.npy" for name in index.arrays]
        arrays = dict(zip(index.arrays, pool.map(stored_array, files, index.arrays.values()), strict=True))
    n_filled = dict.fromkeys(wanted.layout.modalities, len(index.filling.kept))
    return _Kept(tokens_of_arrays(wanted.layout, arrays, n_filled, wanted.neck), index.filling)


def _check_index(index: _Index, wanted: WantedTokens, images: Sequence[str]) -> None:
    """Refuse an index that speaks of other tokens, or contradicts itself."""
    layout, filling = wanted.layout, index.filling
    places = sorted([*filling.kept, *(one.sample for one in filling.failed)])
    shapes = {name: (list(shape), "<f4") for name, shape in layout.shapes.items()}
    known = {one.modality for one in filling.failed} <= set(layout.modalities)
    compared = {
        "its key": (index.key, wanted.key),
        "its list of images": (index.images, list(images)),
        "its modalities": (index.modalities, list(layout.modalities)),
        "its grid": (index.grid, list(layout.grid)),
        "its width": (index.dim, layout.dim),
        "its arrays": ({name: (one.shape, one.dtype) for name, one in index.arrays.items()}, shapes),
        "its samples": (places, list(range(layout.n_images))),
        "the order of its samples": (filling.kept, sorted(filling.kept)),
        "the modalities of its failed images": (known, True),
    }
    wrong = [name for name, (there, asked) in compared.items() if there != asked]
    if wrong:
        raise CacheError(f"of the index {INDEX}, {' and '.join(wrong)} must be those of what is asked for")


def _written(
    folder: Path, wanted: WantedTokens, images: list[str], fill: Callable[[TokenShelf], Filling]
) -> _Kept:
    """Fill the entry and read it; under the lock."""
    _remove_unfinished(folder)
    if other_files := _removed_entry(_entry(folder, wanted.key)):
        raise OutputError(
            f"a token cache needs a folder of its own: {shown_text(_entry(folder, wanted.key))} is taken by "
            f"{short_text(', '.join(other_files), 200)}; move that elsewhere"
        )
    check_space(
        folder,
        wanted.layout.n_bytes,
        f"tokens of {wanted.layout.n_images:,} samples need",
        "free some space, delete the tokens of other runs there, or choose another folder",
    )
    made: _Kept | None = None
    try:
        with new_folder(_entry(folder, wanted.key)) as unfinished:
            shelf = TokenShelf(wanted.layout, unfinished, stays=True)
            filling = fill(shelf)
            made = _Kept(shelf.tokens(), filling)
            if wanted.images() != images:
                raise CacheError("files changed while they were encoded")
            write_index(unfinished / INDEX, _index(unfinished, wanted, images, filling))
            if os.name == "nt":  # which renames no folder with mapped files
                del shelf, made
                made = None
    except (CacheError, OSError) as problem:
        if made is None:
            raise
        _warn(f"the tokens are used but not kept in {shown_text(folder)}: {problem}")
        return made
    _remove_others(folder, wanted.key)
    try:
        if found := _read(folder, wanted, images):
            return found
        raise CacheError("they are gone again")
    except CacheError as problem:
        if made is None:
            raise
        _warn(f"the tokens are used but not kept in {shown_text(folder)}: {problem}")
        return made


def _index(folder: Path, wanted: WantedTokens, images: list[str], filling: Filling) -> _Index:
    layout = wanted.layout
    return _Index(
        format=2,
        key=wanted.key,
        images=images,
        modalities=list(layout.modalities),
        grid=list(layout.grid),
        dim=layout.dim,
        filling=filling,
        arrays={name: array_record(folder / f"{name}.npy") for name in layout.shapes},
    )


# ---- the folder -----------------------------------------------------------------------------


def _entry(folder: Path, key: str) -> Path:
    return folder / f"tokens-{key}"


def _content(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if it may not be listed."""
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []


def _remove_unfinished(folder: Path) -> None:
    """What killed programs left; we hold the lock, so no other program is at work here."""
    for path in _content(folder):
        if _UNFINISHED_ENTRY.fullmatch(path.name):
            discard(path)


def _remove_others(folder: Path, key: str) -> None:
    """Entries of other keys, and the files of version 1 where its index says that they are."""
    for path in _content(folder):
        if _ENTRY.fullmatch(path.name) and path != _entry(folder, key) and not path.is_symlink():
            _removed_entry(path)
    if _is_version_1(folder):
        remove_named(folder, _FILES)


def _removed_entry(entry: Path) -> list[str]:
    """Names of what is not the cache's in an entry or in its place, and stays, when its own files are gone."""
    if not entry.is_dir():
        return [entry.name] if os.path.lexists(entry) else []
    return remove_named(entry, _FILES)


def _older_layout(folder: Path) -> str:
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


def _say_waiting(folder: Path) -> None:
    _warn(f"another program is writing tokens to {shown_text(folder)}: waiting for it")


def _warn(words: str) -> None:
    warnings.warn(words, stacklevel=4)
