"""Tokens that are kept in a folder for the next run: whole and checked, or computed again."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from mswin_viz.data.shown_text import counted, short_text, shown_text
from mswin_viz.data.storage.destinations import check_space, destination
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import new_folder
from mswin_viz.data.storage.stored_arrays import (
    ArrayRecord,
    array_record,
    read_index,
    stored_array,
    write_index,
)
from mswin_viz.data.storage.stored_records import StoredRecord
from mswin_viz.errors import CacheError, OutputError
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.token_folder import (
    INDEX,
    entry_of,
    older_layout,
    remove_others,
    remove_unfinished,
    removed_entry,
)
from mswin_viz.model.training.token_store import TokenLayout, TokenStore, tokens_of_arrays


class FailedImage(StoredRecord):
    """An image for which its sample was left out: the sample's position, the modality and the reason."""

    sample: int
    modality: str
    reason: str


class Filling(StoredRecord):
    """Positions of the samples that have tokens, in order; images that failed; notes on the pictures for each use."""

    kept: Annotated[list[int], Field(min_length=1)]
    failed: list[FailedImage]
    notes: list[str]


class _Index(StoredRecord):
    """What a folder of tokens holds; written when all the rest is there."""

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
    """Which tokens are asked for: of what layout, and of a model with what neck (on the CPU).

    ``key`` is 32 hexadecimal digits that change with anything the tokens depend on. ``images`` gives a line for each
    image: which it is, and its state. It is asked again when they have been encoded, since tokens of files that changed
    in the meantime must not be kept.
    """

    key: str
    images: Callable[[], list[str]]
    layout: TokenLayout
    neck: Neck | None


class StoredTokens(NamedTuple):
    """Tokens by modality, and of which samples they are."""

    tokens: dict[str, Tokens]
    filling: Filling


def stored_tokens(folder: Path, wanted: WantedTokens, fill: Callable[[TokenStore], Filling]) -> StoredTokens:
    """Tokens from a folder, mapped into memory; if it does not hold them, or not as they were written, ``fill`` makes them.

    The folder holds one entry, a folder named by its key, which appears by one rename. Another process with the same
    folder waits, and reads what the first has left. Reading takes no permission to write. An entry of another key is
    deleted once the new one is there; whoever has mapped it keeps it (not on Windows, where it stays until the next one).
    Nothing but entries is ever deleted, and files that version 1 left.

    OutputError if the folder cannot be written, or its disk has no room for the tokens; ``fill`` has not been called then.
    If they cannot be finished after that, they are used and not kept, with a warning.
    """
    folder, images = destination(folder), wanted.images()
    with contextlib.suppress(CacheError):
        if found := _read(folder, wanted, images):
            return found
    with locked(folder / "tokens", busy="", waiting=lambda: _say_waiting(folder)):
        try:
            if found := _read(folder, wanted, images):
                return found
            reason = older_layout(folder)
        except CacheError as problem:
            reason = str(problem)
        if reason:
            _warn(f"the tokens in {shown_text(folder)} cannot be used and are computed again: {reason}")
        return _written(folder, wanted, images, fill)


def _read(folder: Path, wanted: WantedTokens, images: Sequence[str]) -> StoredTokens | None:
    """The entry that is asked for; None if the folder does not hold it, CacheError if it is not what was written."""
    entry = entry_of(folder, wanted.key)
    if not os.path.isdir(entry):
        return None
    index = read_index(entry / INDEX, _Index)
    _check_index(index, wanted, images)
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to others
        files = [entry / f"{name}.npy" for name in index.arrays]
        arrays = dict(zip(index.arrays, pool.map(stored_array, files, index.arrays.values()), strict=True))
    n_filled = dict.fromkeys(wanted.layout.modalities, len(index.filling.kept))
    return StoredTokens(tokens_of_arrays(wanted.layout, arrays, n_filled, wanted.neck), index.filling)


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
    folder: Path, wanted: WantedTokens, images: list[str], fill: Callable[[TokenStore], Filling]
) -> StoredTokens:
    """Fill the entry and read it; under the lock."""
    remove_unfinished(folder)
    if other_files := removed_entry(entry_of(folder, wanted.key)):
        raise OutputError(
            f"a token cache needs a folder of its own: {shown_text(entry_of(folder, wanted.key))} is taken by "
            f"{short_text(', '.join(other_files), 200)}; move that elsewhere"
        )
    needs = f"tokens of {counted(wanted.layout.n_images, 'samples')} need"
    remedy = "free some space, delete the tokens of other runs there, or choose another folder"
    check_space(folder, wanted.layout.n_bytes, needs, remedy)
    made: StoredTokens | None = None
    try:
        with new_folder(entry_of(folder, wanted.key)) as unfinished:
            store = TokenStore(wanted.layout, unfinished, stays=True)
            filling = fill(store)
            made = StoredTokens(store.tokens(), filling)
            if wanted.images() != images:
                raise CacheError("files changed while they were encoded")
            write_index(unfinished / INDEX, _index(unfinished, wanted, images, filling))
            if os.name == "nt":  # which renames no folder with mapped files
                del store, made
                made = None
        remove_others(folder, wanted.key)
        if found := _read(folder, wanted, images):
            return found
        raise CacheError("they are gone again")
    except (CacheError, OSError) as problem:
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


def _say_waiting(folder: Path) -> None:
    _warn(f"another program is writing tokens to {shown_text(folder)}: waiting for it")


def _warn(words: str) -> None:
    warnings.warn(words, stacklevel=4)
