"""An export for faiss: an exact index of each feature, and the table of what its numbers stand for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from mswin_viz.data.exports.exported_rows import ExportedRows
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.file_writing import new_array, remove_file
from mswin_viz.data.store.shard_reading import feature_array
from mswin_viz.errors import OutputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def write_faiss(rows: ExportedRows, folder: Path) -> None:
    """Write ``cls_plain.faiss`` and ``cls_enhanced.faiss``, whose answers are values of ``id``, and ``images.parquet``, which has the rows.

    The vectors have length 1, and the inner product is their cosine; or they are as they are and compared by Euclidean distance, where the model does so.
    They wait in a file until faiss writes them, so that memory holds one part of the store at a time, and 8 bytes for each image.
    """
    is_cosine = rows.store.record.metric == "cosine"
    ids = np.empty(rows.n_rows, np.int64)
    waiting = {name: folder / f"{name}.npy" for name in rows.widths}
    streams = {name: new_array(file, (rows.n_rows, rows.widths[name])) for name, file in waiting.items()}
    about = rows.schema
    for name in streams:
        about = about.remove(about.get_field_index(name))
    first = 0
    try:
        with pq.ParquetWriter(folder / "images.parquet", about, compression="zstd") as writer:
            for table in rows.tables():
                writer.write_table(table.select(about.names))
                ids[first : first + table.num_rows] = table["id"].to_numpy()
                first += table.num_rows
                for name, stream in streams.items():
                    features = feature_array(table[name].combine_chunks())
                    stream.write((_unit(features) if is_cosine else features).tobytes())
    finally:
        for stream in streams.values():
            stream.close()
    for name, file in waiting.items():
        kind = "IndexFlatIP" if is_cosine else "IndexFlatL2"
        _write_index(kind, np.load(file, mmap_mode="r"), ids, folder / f"{name}.faiss")
        remove_file(file)


def _unit(features: Float[np.ndarray, "row wide"]) -> Float[np.ndarray, "row wide"]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1).astype(np.float32)


def _write_index(
    kind: str, vectors: Float[np.memmap, "row wide"], ids: Int[np.ndarray, " row"], file: Path
) -> None:
    """Have faiss write an index whose vectors it sees in a mapped file; adding them would copy them into memory."""
    faiss: Any = importlib.import_module("faiss")
    flat = getattr(faiss, kind)(vectors.shape[1])
    index = faiss.IndexIDMap(flat)
    flat.codes = faiss.MaybeOwnedVectorUInt8.create_view(
        faiss.swig_ptr(vectors.view(np.uint8)), vectors.nbytes, flat.codes.owner
    )
    flat.ntotal = index.ntotal = len(vectors)
    faiss.copy_array_to_vector(ids, index.id_map)
    try:
        faiss.write_index(index, str(file))
    except RuntimeError as problem:
        raise OutputError(
            f"faiss must be able to write its index: it cannot ({shown_text(problem)}); free some space, or choose "
            "another folder"
        ) from problem
