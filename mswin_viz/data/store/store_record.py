"""What a store says of itself: ``store.json``, and the line that commits a shard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.file_writing import write_bytes, write_json
from mswin_viz.data.storage.stored_records import StoredRecord, checked, read_json
from mswin_viz.errors import StoreError

STORE_FILE = "store.json"
TOKENS = ("none", "summaries", "all")
"""What a store may keep of the patch tokens."""

_Size = Annotated[int, Field(ge=1, lt=2**31)]
_Pair = Annotated[list[_Size], Field(min_length=2, max_length=2)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Count = Annotated[int, Field(ge=0, lt=2**50)]
_OF_THE_MODEL = (
    "weights_hash", "addon_hash", "input_size", "mean", "std", "resize", "deep_range", "grid", "dim", "wide", "metric",
)  # fmt: skip
_OF_THE_FILES = ("precision", "dtype", "token_dtype", "tokens", "scales", "modalities", "shard_samples")
_ABOUT_BYTES = 150  # of a row beside its features, as measured on RGBNT201's names
_FORMAT = 1
TOKEN_NAMES = ("patches", "phase_means", "stripe_means")
"""What a file of tokens may hold; the names in :attr:`StoreRecord.token_shapes`."""
_REMEDY = "choose another folder, or delete this one to extract again"


class StoreRecord(StoredRecord):
    """What the rows of a store are: of which model, in what form. Equal for every shard.

    ``weights_hash`` is of every tensor of the image tower and of what reads out its features, ``addon_hash`` of the
    add-on's, None without one. ``wide`` is the width of the enhanced features. ``shard_samples`` samples make a shard.
    ``n_samples`` and ``n_images`` are those of the list that is being extracted, done or not.
    """

    format: Literal[1] = 1
    package: str
    model: dict[str, str]
    weights_hash: _Hash
    addon_hash: _Hash | None
    input_size: _Pair
    mean: list[float]
    std: list[float]
    resize: str
    deep_range: list[float] | None
    precision: str
    grid: _Pair
    dim: _Size
    wide: _Size
    metric: str
    dtype: Literal["float16", "float32"]
    token_dtype: Literal["float16", "float32"]
    tokens: Literal["none", "summaries", "all"]
    scales: list[int]
    modalities: list[str]
    shard_samples: Annotated[int, Field(ge=1)]
    n_samples: _Count
    n_images: _Count
    root: str | None

    @property
    def n_shards(self) -> int:
        """How many shards the whole list makes."""
        return -(-self.n_samples // self.shard_samples)

    @property
    def bytes_of_row(self) -> int:
        """About how many bytes an image takes: its features, its tokens, and what is known of it."""
        sizes, n_numbers = {"float16": 2, "float32": 4}, sum(map(math.prod, self.token_shapes.values()))
        return (self.dim + self.wide) * sizes[self.dtype] + n_numbers * sizes[self.token_dtype] + _ABOUT_BYTES

    @property
    def token_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each tensor in a shard's file of tokens, the shape behind its first axis; none where no tokens are kept."""
        rows, cols = self.grid
        if self.tokens == "all":
            return {"patches": (rows * cols, self.dim)}
        if self.tokens == "none":
            return {}
        period = _period(rows * cols, self.scales)
        phases = {"phase_means": (period, self.dim)} if period else {}
        return phases | {"stripe_means": (rows, self.dim)}

    def check_same_rows(self, other: StoreRecord, folder: Path) -> None:
        """A `StoreError` that names every difference, if the rows of ``other`` are of another model or in another form."""
        self._check(other, _OF_THE_MODEL, "a store holds rows of one model", folder)
        self._check(other, _OF_THE_FILES, "a store is continued with the options it was begun with", folder)

    def _check(self, other: StoreRecord, names: tuple[str, ...], rule: str, folder: Path) -> None:
        differing = [name for name in names if getattr(self, name) != getattr(other, name)]
        if not differing:
            return
        words = "; ".join(
            f"{name.replace('_', ' ')} {short_text(getattr(self, name), 60)} there and {short_text(getattr(other, name), 60)} now"
            for name in differing
        )
        raise StoreError(f"{rule}: {shown_text(folder)} differs in {words}; {_REMEDY}")


class FileRecord(StoredRecord):
    """The size of a file in bytes, and its hash (BLAKE2b of 16 bytes, hexadecimal)."""

    n_bytes: _Count
    blake2b: _Hash


class Commit(StoredRecord):
    """That a shard is done. ``plan`` is a hash of its images in order, ``notes`` say what is worth knowing of its pictures."""

    shard: _Count
    first_id: _Count
    first_sample: _Count
    n_samples: _Count
    n_rows: _Count
    n_failed: _Count
    plan: _Hash
    manifest: FileRecord
    tokens: FileRecord | None
    notes: list[str]


def write_record(folder: Path, record: StoreRecord) -> None:
    """Write ``store.json``."""
    write_json(folder / STORE_FILE, record.model_dump())


def read_record(folder: Path) -> StoreRecord:
    """The ``store.json`` of a folder; a `StoreError` if it is missing, damaged, or of a later version of the package."""
    value = read_json(folder / STORE_FILE, what="the store's", remedy=_REMEDY, error=StoreError)
    written = value.get("format") if isinstance(value, dict) else None
    if isinstance(written, int) and written > _FORMAT:
        raise StoreError(
            f"a store must be of format {_FORMAT}, or an older one: {shown_text(folder)} is of format {written}, written by "
            f"mswin-viz {short_text(value.get('package'), 40)}; update mswin-viz, or choose another folder"
        )
    return checked(
        StoreRecord, value, what=f"the store {shown_text(folder)}", remedy=_REMEDY, error=StoreError
    )


def is_store(path: Path) -> bool:
    """Whether a folder is a store."""
    return (path / STORE_FILE).is_file() and (path / "commits").is_dir()


def write_commit(file: Path, commit: Commit) -> None:
    """Write a commit as one line; with it, the shard is done."""
    write_bytes(file, (json.dumps(commit.model_dump()) + "\n").encode())


def read_commit(file: Path) -> Commit:
    """A commit; a `StoreError` if it is damaged."""
    remedy = "delete it, and extract again: only this shard is computed"
    value: Any = read_json(file, what="the commit", remedy=remedy, error=StoreError)
    return checked(Commit, value, what=f"the commit {shown_text(file)}", remedy=remedy, error=StoreError)


def _period(n_tokens: int, scales: list[int]) -> int:
    """Of how many phases the tokens are averaged; 0 without scales, or where they do not divide the tokens."""
    period = math.lcm(*scales) if scales else 0
    return period if period and n_tokens % period == 0 else 0
