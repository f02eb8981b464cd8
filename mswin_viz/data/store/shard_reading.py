"""Rows, features and tokens of one shard, read from its files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import acero
from safetensors import SafetensorError, safe_open

from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.data.store.manifest import ABOUT, FEATURES
from mswin_viz.data.store.shard_files import ShardFiles
from mswin_viz.data.store.store_record import Commit, StoreRecord
from mswin_viz.errors import StoreError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_PLACE = "__place"


def part_columns(files: ShardFiles, names: Sequence[str], rows: Int[np.ndarray, " row"]) -> pa.Table:
    """Some columns of some rows; a `StoreError` if the file cannot be read or is too short."""
    try:
        regular_size(files.manifest)
        return _table(str(files.manifest), list(names)).take(pa.array(rows))
    except (OSError, pa.ArrowException) as problem:
        raise _damaged(files, files.manifest, problem) from problem


def part_rows(files: ShardFiles, commit: Commit, rows: Int[np.ndarray, " row"]) -> pa.Table:
    """Every column of some rows, features included; the file is checked against its hash first."""
    return _checked_columns(files, commit, None).take(pa.array(rows))


def part_features(
    files: ShardFiles, commit: Commit, column: str, rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row wide"]:
    """Features of some rows, float32; the file is checked against its hash first."""
    values = _checked_columns(files, commit, [column])[column].combine_chunks()
    return feature_array(values)[rows].astype(np.float32)


def check_widths(files: ShardFiles, record: StoreRecord) -> None:
    """A `StoreError` if a shard's features are not as wide as the store says: before memory is taken for all of them."""
    try:
        regular_size(files.manifest)
        with pq.ParquetFile(str(files.manifest), pre_buffer=False) as file:
            kinds = {name: file.schema_arrow.field(name).type for name in FEATURES.values()}
    except (OSError, UnicodeError, KeyError, pa.ArrowException) as problem:
        raise _damaged(files, files.manifest, problem) from problem
    for (name, kind), width in zip(kinds.items(), (record.dim, record.wide), strict=True):
        is_of_numbers = pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type)
        if not (is_of_numbers and kind.list_size == width):
            raise _misfit(
                files, files.manifest, f"its {name} is a {kind}, not {counted(width, 'numbers')} for each row"
            )


def check_shape(files: ShardFiles, name: str, shape: Sequence[int]) -> None:
    """A `StoreError` if a shard's tokens are not of the shape that the store says: before memory is taken for all of them."""
    try:
        regular_size(files.tokens)
        with safe_open(files.tokens, framework="np") as opened:
            found = opened.get_slice(name).get_shape()[1:]
    except (OSError, SafetensorError) as problem:
        raise _damaged(files, files.tokens, problem) from problem
    if list(found) != list(shape):
        raise _misfit(
            files, files.tokens, f"its {name} are of shape {list(found)} for each row, not {list(shape)}"
        )


def feature_array(values: pa.FixedSizeListArray) -> Float[np.ndarray, "row wide"]:
    """A column of features as an array; of an array of Arrow that is no slice of a longer one."""
    return values.values.to_numpy().reshape(-1, values.type.list_size)


def part_tokens(
    files: ShardFiles, name: str, rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "row token dim"]:
    """Tokens of some rows, as stored; the file is mapped, and nothing but these rows is read."""
    try:
        regular_size(files.tokens)
        with safe_open(files.tokens, framework="np") as opened:
            stored = opened.get_slice(name)
            return np.concatenate([stored[int(row) : int(row) + 1] for row in rows])
    except (OSError, SafetensorError, IndexError) as problem:
        raise _damaged(files, files.tokens, problem) from problem


def _checked_columns(files: ShardFiles, commit: Commit, names: list[str] | None) -> pa.Table:
    """Some columns, or all of them, of a file that is what was written."""
    try:
        regular_size(files.manifest)
        content = files.manifest.read_bytes()
        files.check_manifest(content, commit)
        return _table(pa.BufferReader(content), names)
    except (OSError, pa.ArrowException) as problem:
        raise _damaged(files, files.manifest, problem) from problem


def rows_that_fit(table: pa.Table, condition: pc.Expression) -> Int[np.ndarray, " row"]:
    """Places of the rows that fit a condition; by this thread alone, as in :func:`_table`."""
    numbered = table.append_column(_PLACE, pa.array(np.arange(table.num_rows)))
    steps = [
        acero.Declaration("table_source", acero.TableSourceNodeOptions(numbered)),
        acero.Declaration("filter", acero.FilterNodeOptions(condition)),
        acero.Declaration("project", acero.ProjectNodeOptions([pc.field(_PLACE)], [_PLACE])),
    ]
    return acero.Declaration.from_sequence(steps).to_table(use_threads=False)[_PLACE].to_numpy()


def _table(source: Any, names: list[str] | None) -> pa.Table:
    """Some columns of a file, or all, read by this thread alone.

    Arrow's own threads may still let go of what they read when the program ends, and then abort it (Apache Arrow, issue 34314).
    """
    try:
        with pq.ParquetFile(source, pre_buffer=False) as file:
            missing = [name for name in names or () if name not in file.schema_arrow.names]
            if missing:
                raise pa.ArrowInvalid(f"it has no column {missing[0]}")
            table = file.read(names, use_threads=False).replace_schema_metadata(None)
    except UnicodeError as problem:
        raise pa.ArrowInvalid("the name of a column is not text in UTF-8") from problem
    for name in table.column_names:
        if table[name].type != ABOUT.get(name, table[name].type):
            raise pa.ArrowInvalid(f"its column {name} is of {table[name].type}, not of {ABOUT[name]}")
    table.validate(full=True)  # of what Parquet calls text, Arrow does not look whether it is
    return table


def _damaged(files: ShardFiles, file: object, problem: Exception) -> StoreError:
    return StoreError(
        f"a shard must hold what was written to it: {shown_text(file)} cannot be read ({shown_text(problem)}); delete "
        f"{shown_text(files.commit)} and extract again: only this shard is computed"
    )


def _misfit(files: ShardFiles, file: object, why: str) -> StoreError:
    return StoreError(
        f"a shard must fit the store.json beside it: {shown_text(file)} does not ({why}); if that one is of another store, bring "
        f"back its own; if not, delete {shown_text(files.commit)} and extract again"
    )
