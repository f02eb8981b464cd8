"""The rows of a shard as a Parquet file: what is known of each image, and its features."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mswin_viz.data.images.image_source import Crop, crop_of
from mswin_viz.data.sample import Sample, StoredSample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.store.planned_images import PlannedImage, part_of, path_below

if TYPE_CHECKING:
    from jaxtyping import Float

FEATURES = {"plain": "cls_plain", "enhanced": "cls_enhanced"}
"""Name of a feature -> its column."""
ABOUT = {
    "id": pa.int64(),
    "sample": pa.int64(),
    "path": pa.string(),
    "raw_path": pa.binary(),
    "part": pa.string(),
    "content_hash": pa.string(),
    "pid": pa.int64(),
    "camid": pa.int64(),
    "scene": pa.int64(),
    "split": pa.string(),
    "caption": pa.string(),
    "modality": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "status": pa.string(),
    "reason": pa.string(),
}
"""Every column but the features. ``raw_path`` has the bytes of a path that is not plain text, ``part`` the
rectangle of a file that holds several pictures; ``scene``, ``split`` and
``caption`` are null where not known, ``width``, ``height`` and ``content_hash`` where the file could not be read."""
_ROW_GROUP = 10_000
OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class ImageRow:
    """What became of an image: what it was, and why it has no features, if it has none."""

    image: PlannedImage
    content_hash: str | None
    size: tuple[int, int] | None  # width and height of the picture, pixels
    reason: str | None = None


def manifest_bytes(
    rows: Sequence[ImageRow],
    features: dict[str, Float[np.ndarray, "row wide"]],
    *,
    root: Path | None,
    dtype: str,
    about: dict[str, str],
) -> bytes:
    """A Parquet file of some rows; ``features`` by name, in which rows that failed are ignored.

    Features are fixed-size lists of ``dtype``, of NaN where a row failed: nulls among such lists are refused by many readers. ``about`` is written into the file's own notes.
    The same rows give the same bytes.
    """
    is_ok = np.array([row.reason is None for row in rows])
    columns: dict[str, pa.Array] = {
        name: pa.array([value(row, root) for row in rows], ABOUT[name]) for name, value in _VALUES.items()
    }
    for name, column in FEATURES.items():
        values = np.where(is_ok[:, None], features[name], np.nan).astype(dtype)
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        columns[column] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    table = pa.table(columns).replace_schema_metadata(
        {f"mswin_viz.{key}": text for key, text in about.items()}
    )
    file = io.BytesIO()
    options: dict[str, Any] = {
        "use_dictionary": ["modality", "split", "status"],
        "write_statistics": list(ABOUT),
    }
    pq.write_table(table, file, row_group_size=_ROW_GROUP, compression="zstd", **options)
    return file.getvalue()


def feature_fields(dim: int, wide: int, dtype: str) -> list[pa.Field]:
    """The columns of the features as Arrow describes them."""
    kind = pa.from_numpy_dtype(np.dtype(dtype))
    return [
        pa.field(column, pa.list_(kind, dim if name == "plain" else wide))
        for name, column in FEATURES.items()
    ]


def samples_of_rows(table: pa.Table, root: Path | None, folder: Path) -> list[Sample]:
    """The samples of some rows of a store in a folder, which stand sample by sample; each with the images that the rows have of it."""
    columns = [table[name].to_pylist() for name in _READ]
    rows: Iterator[dict[str, Any]] = (
        dict(zip(_READ, each, strict=True)) for each in zip(*columns, strict=True)
    )
    return [
        _sample(list(own), root, folder) for _, own in itertools.groupby(rows, key=lambda row: row["sample"])
    ]


_READ = ("sample", "path", "raw_path", "part", "pid", "camid", "scene", "split", "caption", "modality")


def _sample(rows: list[dict[str, Any]], root: Path | None, folder: Path) -> Sample:
    about = {name: rows[0][name] for name in ("pid", "camid", "caption", "scene", "split")}
    images = {row["modality"]: _source(row, root) for row in rows}
    return Sample(images=images, root=root, stored=StoredSample(folder, rows[0]["sample"]), **about)


def _source(row: dict[str, Any], root: Path | None) -> Path | Crop:
    text = row["path"] if row["raw_path"] is None else os.fsdecode(row["raw_path"])
    path = Path(text) if root is None else root / text
    return path if row["part"] is None else crop_of(path, row["part"])


def _raw_path(row: ImageRow, root: Path | None) -> bytes | None:
    path = path_below(row.image.source, root)
    return None if shown_text(path) == path else os.fsencode(path)


_VALUES: dict[str, Callable[[ImageRow, Path | None], Any]] = {
    "id": lambda row, root: row.image.id,
    "sample": lambda row, root: row.image.sample_number,
    "path": lambda row, root: shown_text(path_below(row.image.source, root)),
    "raw_path": _raw_path,
    "part": lambda row, root: part_of(row.image.source),
    "content_hash": lambda row, root: row.content_hash,
    "pid": lambda row, root: row.image.sample.pid,
    "camid": lambda row, root: row.image.sample.camid,
    "scene": lambda row, root: row.image.sample.scene,
    "split": lambda row, root: row.image.sample.split,
    "caption": lambda row, root: (
        row.image.sample.caption and shown_text(row.image.sample.caption, keep="\n\t")
    ),
    "modality": lambda row, root: row.image.modality,
    "width": lambda row, root: row.size and row.size[0],
    "height": lambda row, root: row.size and row.size[1],
    "status": lambda row, root: OK if row.reason is None else FAILED,
    "reason": lambda row, root: row.reason and shown_text(row.reason),
}
