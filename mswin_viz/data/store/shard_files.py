"""The files of a shard, and when it is done: rows, tokens, and last of all its commit."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mswin_viz.data.shown_text import counted, short_text, shown_text
from mswin_viz.data.storage.destinations import made_folder
from mswin_viz.data.storage.file_writing import (
    discard,
    is_unfinished,
    mapped_tensors,
    remove_file,
    replacing,
    write_bytes,
)
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.data.store.store_record import STORE_FILE, Commit, FileRecord, read_commit, write_commit
from mswin_viz.errors import OutputError, StoreError

FOLDERS = ("manifest", "tokens", "commits")
_ROWS_OF_BYTE = 8  # more than Parquet packs: an id and a path are never the same twice


@dataclass(frozen=True)
class ShardFiles:
    """Where the files of a shard lie.

    A shard is done when its commit exists. Everything is written under another name, flushed to the disk and renamed,
    the commit last, so a program that is killed leaves a shard that is done, or one that is not.
    """

    folder: Path
    number: int

    @property
    def manifest(self) -> Path:
        """Its rows."""
        return self.folder / "manifest" / f"part-{self.number:05d}.parquet"

    @property
    def tokens(self) -> Path:
        """Its tokens; exists only where the store keeps any."""
        return self.folder / "tokens" / f"part-{self.number:05d}.safetensors"

    @property
    def commit(self) -> Path:
        """Exists once the shard is done."""
        return self.folder / "commits" / f"part-{self.number:05d}.json"

    def begin(self) -> None:
        """Take back the commit, if there is one, before the shard is written again."""
        if self.commit.exists():
            remove_file(self.commit)

    @contextlib.contextmanager
    def token_arrays(
        self, shapes: Mapping[str, tuple[int, ...]], dtype: str
    ) -> Iterator[dict[str, np.memmap]]:
        """Zeros to be filled, one array a name, mapped to the file of tokens; it stands in its place at the end of the block."""
        with replacing(self.tokens) as file:
            arrays = mapped_tensors(file, shapes, dtype)
            yield arrays
            for array in arrays.values():
                array.flush()

    def write_manifest(self, content: bytes) -> FileRecord:
        """Write the rows; the record of them for the commit."""
        write_bytes(self.manifest, content)
        return FileRecord(n_bytes=len(content), blake2b=hashlib.blake2b(content, digest_size=16).hexdigest())

    def token_record(self) -> FileRecord:
        """The record of the tokens for the commit."""
        return _record(self.tokens)

    def write_commit(self, commit: Commit) -> None:
        """Declare the shard done."""
        write_commit(self.commit, commit)

    def problems(self, commit: Commit) -> list[str]:
        """What is not as it was written, in words; reads every byte."""
        found = []
        for file, record in ((self.manifest, commit.manifest), (self.tokens, commit.tokens)):
            if record is None:
                continue
            try:
                there = _record(file)
            except OSError as problem:
                found.append(f"{shown_text(file)} cannot be read ({problem.strerror or problem})")
                continue
            if there != record:
                found.append(f"{shown_text(file)} does not hold what was written to it")
        return found

    def check_manifest(self, content: bytes | memoryview, commit: Commit) -> None:
        """A `StoreError` if the content of the manifest is not what was written."""
        if hashlib.blake2b(content, digest_size=16).hexdigest() != commit.manifest.blake2b:
            raise StoreError(
                f"a shard must hold what was written to it: {shown_text(self.manifest)} does not; delete "
                f"{shown_text(self.commit)} and extract again: only this shard is computed"
            )


def committed(folder: Path) -> list[Commit]:
    """The commits of a store, by number; shards that are not done leave gaps."""
    numbers = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder / "commits"):
            name = entry.name
            if name.startswith("part-") and name.endswith(".json") and name[5:-5].isdigit():
                numbers.append(int(name[5:-5]))
    commits = [read_commit(ShardFiles(folder, number).commit) for number in sorted(numbers)]
    for number, commit in zip(sorted(numbers), commits, strict=True):
        if commit.shard != number:
            file = shown_text(ShardFiles(folder, number).commit)
            raise StoreError(
                f"the commit of shard {number} must say so: {file} says {commit.shard}; delete it"
            )
        if commit.n_rows > _ROWS_OF_BYTE * commit.manifest.n_bytes:
            file = shown_text(ShardFiles(folder, number).commit)
            raise StoreError(
                f"a shard's rows take bytes: {file} says {counted(commit.n_rows, 'rows')} in {commit.manifest.n_bytes:,} bytes; delete it, "
                "and extract again: only this shard is computed"
            )
    return commits


def made_folders(folder: Path) -> None:
    """Make the folders of a store, where they are missing."""
    for name in FOLDERS:
        made_folder(folder / name)


def check_own_folder(folder: Path) -> None:
    """An `OutputError` if a folder holds anything but a store, such as the data set itself."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in names if name not in (*FOLDERS, STORE_FILE) and not is_unfinished(name)]
    if others:
        raise OutputError(
            f"a store needs a folder of its own: {shown_text(folder)} holds {short_text(', '.join(others), 120)}; choose "
            "another"
        )


def remove_unfinished(folder: Path) -> None:
    """Delete what killed programs left half written; whoever calls holds the store's lock."""
    for place in (folder, *(folder / name for name in FOLDERS)):
        for path in place.iterdir():
            if is_unfinished(path) and not path.name.endswith(".lock"):
                discard(path)


def _record(file: Path) -> FileRecord:
    regular_size(file)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return FileRecord(n_bytes=stream.tell(), blake2b=digest)
