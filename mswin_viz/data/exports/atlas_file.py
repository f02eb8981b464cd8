"""An export for Embedding Atlas: one Parquet file with the features as vectors and, on request, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mswin_viz.data.exports.exported_rows import ExportedRows
from mswin_viz.data.images.image_source import crop_of, open_image
from mswin_viz.data.images.picture_bytes import jpeg_file

_LONGEST_SIDE = 256  # pixels of a picture in the file
_AT_A_TIME = 1000  # rows whose pictures are in memory
_IMAGE = pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def write_atlas(rows: ExportedRows, folder: Path, *, images: bool) -> None:
    """Write ``images.parquet``; with ``images``, its column ``image`` holds each picture as a JPEG file, as Hugging Face's do."""
    schema = rows.schema.append(_IMAGE) if images else rows.schema
    with pq.ParquetWriter(folder / "images.parquet", schema, compression="zstd") as writer:
        for table in rows.tables():
            for piece in _with_pictures(table, rows) if images else [table]:
                writer.write_table(piece)


def _with_pictures(table: pa.Table, rows: ExportedRows) -> Iterator[pa.Table]:
    deep_range = rows.store.record.deep_range
    for first in range(0, table.num_rows, _AT_A_TIME):
        piece = table.slice(first, _AT_A_TIME)
        files, parts = piece["file"].to_pylist(), piece["part"].to_pylist()
        pictures = [
            {"bytes": _picture(file, part, deep_range), "path": file}
            for file, part in zip(files, parts, strict=True)
        ]
        yield piece.append_column(_IMAGE, pa.array(pictures, _IMAGE.type))


def _picture(file: str, part: str | None, deep_range: Sequence[float] | None) -> bytes:
    source = Path(file) if part is None else crop_of(Path(file), part)
    low_high = None if deep_range is None else (deep_range[0], deep_range[1])
    picture = open_image(source, deep_range=low_high)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return jpeg_file(picture)
