"""The rows of a store as the tables that exports are made of, one part of the store at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.progress import StepCounter
from mswin_viz.data.store.manifest import ABOUT, OK, feature_fields
from mswin_viz.data.store.stored_images import StoredImages
from mswin_viz.data.tags.tags import Tags
from mswin_viz.errors import StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float

MAP_COLUMNS = ("plain_x", "plain_y", "enhanced_x", "enhanced_y")
"""Names of the columns with places on a map."""
TAGS = "tags"
"""Name of the column with the tags of an image."""
_WITHOUT = ("raw_path",)  # bytes, which text formats do not take
_OF_FAILURES = ("status", "reason")


@dataclass(frozen=True, eq=False)
class ExportedRows:
    """The rows in view of a store, as exports hold them.

    Attributes
    ----------
    store
        What is exported.
    places
        Of each row in view, NaN where it has none: the values of ``MAP_COLUMNS``. None without a map.
    counter
        Counts the rows; a stop that is asked for ends the export with a StoppedError.
    tags
        Those of the images, for a column ``tags``; None for no such column.
    """

    store: StoredImages
    places: Float[np.ndarray, "row 4"] | None
    counter: StepCounter
    tags: Tags | None = None

    @property
    def n_rows(self) -> int:
        """How many have features."""
        return self.store.n_rows - self.store.n_failed

    @property
    def features(self) -> list[pa.Field]:
        """The columns of features, as Arrow describes them."""
        record = self.store.record
        return feature_fields(record.dim, record.wide, "float32")

    @property
    def widths(self) -> dict[str, int]:
        """Column of features -> its width."""
        return {str(field.name): field.type.list_size for field in self.features}

    @property
    def schema(self) -> pa.Schema:
        """Columns and types of :meth:`tables`."""
        kinds = {name: kind for name, kind in ABOUT.items() if name not in (*_WITHOUT, *_OF_FAILURES)}
        places = [] if self.places is None else [(name, pa.float32()) for name in MAP_COLUMNS]
        tags = [] if self.tags is None else [(TAGS, pa.list_(pa.string()))]
        return pa.schema([*kinds.items(), ("file", pa.string()), *tags, *places, *self.features])

    def tables(self) -> Iterator[pa.Table]:
        """Rows with features, part by part: what is known of them, ``file``, places on the map, float32 features.

        ``file`` is the whole path of the image's file, where it is plain text.
        """
        for table in self.every_table():
            yield table.filter(pa.array(table["status"].to_numpy() == OK)).select(self.schema.names)

    def every_table(self) -> Iterator[pa.Table]:
        """The same of all rows in view, with ``status`` and ``reason``; features are null where there are none."""
        first = 0
        for part in self.store.by_part():
            table = part.to_arrow()
            table = table.append_column("file", pa.array(self._files(table), pa.string()))
            if self.tags is not None:
                named = [list(self.tags.of_source(one)) for sample in part for one in sample.images.values()]
                table = table.append_column(TAGS, pa.array(named, pa.list_(pa.string())))
            if self.places is not None:
                for name, values in zip(
                    MAP_COLUMNS, self.places[first : first + table.num_rows].T, strict=True
                ):
                    table = table.append_column(name, pa.array(values, pa.float32(), from_pandas=True))
            for field in self.features:
                table = table.append_column(field, table[field.name].cast(field.type)).remove_column(
                    table.schema.get_field_index(field.name)
                )
            yield table.drop_columns(list(_WITHOUT))
            first += table.num_rows
            if self.counter.passed(table.num_rows):
                raise StoppedError("the export was stopped; what was there before is as it was")

    def sources(self) -> Iterator[list[Path | Crop]]:
        """The images of :meth:`tables`, part by part, by the bytes of their names."""
        for part in self.store.by_part():
            fits = (part.column("status") == OK).tolist()
            every = [source for sample in part for source in sample.images.values()]
            yield [source for source, is_ok in zip(every, fits, strict=True) if is_ok]

    def _files(self, table: pa.Table) -> list[str]:
        root = self.store.root
        names = table["path"].to_pylist()
        return names if root is None else [os.path.join(os.path.abspath(root), name) for name in names]
