"""An export for FiftyOne: the folder that ``fiftyone.Dataset.from_dir`` reads, its type ``fiftyone.types.FiftyOneDataset``."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mswin_viz.data.exports.exported_rows import TAGS, ExportedRows
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.storage.file_writing import new_file, write_json
from mswin_viz.data.store.shard_reading import feature_array

if TYPE_CHECKING:
    from jaxtyping import Float

_VERSION = "1.0.0"
"""Of FiftyOne, whose form the description has; later versions bring it up to theirs."""
_GROUP = "group"
_RENAMED = {"id": "image_id", "file": "filepath"}
"""Columns that FiftyOne has another name for, or another meaning."""
_LEFT_OUT = ("path",)  # ``filepath`` says it
_FIELDS = "fiftyone.core.fields."


def write_fiftyone(rows: ExportedRows, folder: Path) -> None:
    """Write ``metadata.json`` and ``samples.json``: one FiftyOne sample for each image, grouped by our samples with a slice for each modality.

    Features are vector fields, the split is also a tag beside those of the image, and pictures are named, not copied.
    """
    n_written = 0
    with new_file(folder / "samples.json") as stream:
        stream.write(b'{"samples": [\n')
        for table in rows.tables():
            for document in _documents(table, rows):
                stream.write((",\n" if n_written else "").encode() + json.dumps(document).encode())
                n_written += 1
        stream.write(b"\n]}\n")
    write_json(folder / "metadata.json", _description(rows))


def _documents(table: pa.Table, rows: ExportedRows) -> Iterator[dict[str, Any]]:
    vectors = {name: feature_array(table[name].combine_chunks()) for name in rows.widths}
    about = table.drop_columns([*vectors, *_LEFT_OUT]).to_pylist()
    of_store = f"{rows.store.record.weights_hash} {rows.store.root}"
    for place, row in enumerate(about):
        own = f"{of_store} {row['id']} {row['file']} {row['part']}"
        group = {
            "_id": _object_id(f"{of_store} group {row['sample']}"),
            "_cls": "Group",
            "name": row["modality"],
        }
        yield {
            "_id": _object_id(own),
            "_media_type": "image",
            "_rand": int(_digest(own)[:8], 16) / 2**32,
            TAGS: [*([row["split"]] if row["split"] else []), *(row.pop(TAGS, None) or [])],
            "metadata": None,
            _GROUP: group,
            **{_RENAMED.get(str(name), str(name)): value for name, value in row.items()},
            **{name: _vector(values[place]) for name, values in vectors.items()},
        }  # fmt: skip


def _vector(feature: Float[np.ndarray, " wide"]) -> dict[str, Any]:
    """As FiftyOne keeps a vector: an ``.npy`` file, compressed, as binary data in MongoDB's JSON."""
    file = io.BytesIO()
    np.lib.format.write_array(file, feature, allow_pickle=False)
    packed = base64.b64encode(zlib.compress(file.getvalue(), 1)).decode()
    return {"$binary": {"base64": packed, "subType": "00"}}


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()


def _object_id(text: str) -> dict[str, str]:
    return {"$oid": _digest(text)}


def _description(rows: ExportedRows) -> dict[str, Any]:
    slices = [name for name in MODALITIES if name in rows.store.record.modalities]
    fields = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("filepath", "StringField"),
        _field("tags", "ListField", subfield=f"{_FIELDS}StringField"),
        _field("metadata", "EmbeddedDocumentField", embedded_doc_type="fiftyone.core.metadata.Metadata"),
        _field("created_at", "DateTimeField", read_only=True),
        _field("last_modified_at", "DateTimeField", read_only=True),
        _field(
            _GROUP,
            "EmbeddedDocumentField",
            embedded_doc_type="fiftyone.core.groups.Group",
            fields=[_field("id", "ObjectIdField", db_field="_id"), _field("name", "StringField")],
        ),
        *(_field_of(column) for column in rows.schema if column.name not in (*_LEFT_OUT, "file", TAGS)),
    ]
    return {
        "version": _VERSION,
        "media_type": "group",
        "group_field": _GROUP,
        "group_media_types": dict.fromkeys(slices, "image"),
        "default_group_slice": slices[0],
        "tags": [],
        "info": {"store": dict(rows.store.record.model)},
        "sample_fields": fields,
        "frame_fields": [],
        **{name: [] for name in ("saved_views", "workspaces", "default_classes")},
        **{name: {} for name in ("classes", "annotation_runs", "brain_methods", "evaluations", "runs")},
    }


def _field(name: str, kind: str, **about: Any) -> Mapping[str, Any]:
    """The description of a field of FiftyOne's samples."""
    empty = {"embedded_doc_type": None, "subfield": None, "fields": [], "db_field": name}
    rest = {"description": None, "info": None, "read_only": False, "created_at": None}
    return {"name": name, "ftype": f"{_FIELDS}{kind}", **empty, **rest, **about}


def _field_of(column: pa.Field) -> Mapping[str, Any]:
    name, kinds = (
        str(column.name),
        {"int": "Int", "string": "String", "float": "Float", "fixed_size_list": "Vector"},
    )
    kind = next(kind for begin, kind in kinds.items() if str(column.type).startswith(begin))
    return _field(_RENAMED.get(name, name), f"{kind}Field")
