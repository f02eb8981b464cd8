"""An export for Embedding Atlas: one Parquet file with the features as vectors and, on request, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mswin_viz.data.exports.exported_rows import ExportedRows
from mswin_viz.data.images.image_source import Crop, open_image
from mswin_viz.data.images.picture_bytes import jpeg_file

_LONGEST_SIDE = 256  # pixels of a picture in the file
_AT_A_TIME = 1000  # rows whose pictures are in memory
_IMAGE = pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def write_atlas(rows: ExportedRows, folder: Path, *, images: bool) -> None:
    """Write ``images.parquet``; with ``images``, its column ``image`` holds each picture as a JPEG file, as Hugging Face's do."""
    schema = rows.schema.append(_IMAGE) if images else rows.schema
    with pq.ParquetWriter(folder / "images.parquet", schema, compression="zstd") as writer:
        if not images:
            for table in rows.tables():
                writer.write_table(table)
            return
        for table, sources in zip(rows.tables(), rows.sources(), strict=True):
            for piece in _with_pictures(table, sources, rows.store.record.deep_range):
                writer.write_table(piece)


def _with_pictures(
    table: pa.Table, sources: Sequence[Path | Crop], deep_range: Sequence[float] | None
) -> Iterator[pa.Table]:
    for first in range(0, table.num_rows, _AT_A_TIME):
        piece = table.slice(first, _AT_A_TIME)
        pictures = [
            {"bytes": _picture(source, deep_range), "path": file}
            for file, source in zip(
                piece["file"].to_pylist(), sources[first : first + _AT_A_TIME], strict=True
            )
        ]
        yield piece.append_column(_IMAGE, pa.array(pictures, _IMAGE.type))


def _picture(source: Path | Crop, deep_range: Sequence[float] | None) -> bytes:
    low_high = None if deep_range is None else (deep_range[0], deep_range[1])
    picture = open_image(source, deep_range=low_high)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return jpeg_file(picture)
