"""What of a table is compared with what: samples by all their modalities joined, else images of one modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.arrays import unit_rows_or_nan
from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.images.image_source import MODALITIES, Crop, joined_name
from mswin_viz.errors import DataError, OptionError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_LONGEST = 1e15  # of a number in a feature: its square must fit float32


@dataclass(frozen=True, eq=False)
class Compared:
    """Items that can be compared with each other: samples by joined modalities, or images of one modality.

    ``rows`` has the table's row that stands for each item, of a joined one its first modality's. What is found is told of
    the items that are ``asked`` about; the others are neighbours only. Features are float32, of unit length for the cosine.
    ``n_left_out`` counts items whose feature has no direction.
    """

    modality: str
    rows: Int[np.ndarray, " item"]
    asked: Bool[np.ndarray, " item"]
    features: Float[np.ndarray, "item dim"]
    metric: str
    n_left_out: int

    def __len__(self) -> int:
        return len(self.rows)


class ComparedItems(NamedTuple):
    """The groups that have items; how many have no direction and are in none; and how many can be checked."""

    groups: list[Compared]
    n_left_out: int
    n_checked: int


def compared_items(table: EmbeddingTable, feature: str) -> ComparedItems:
    """Groups of items, so that each sample, or image of one, is asked about in one of them.

    Samples with every modality of the table are compared by all of them, joined raw as
    :meth:`EmbeddingTable.concatenated` does. The images of other samples are compared modality by modality, with those of
    every sample. A table of one modality, or of joined ones, is compared as it is.

    Raises OptionError if there is no such feature or no table; DataError if the table has no row.
    """
    if not isinstance(table, EmbeddingTable):
        raise OptionError(f"findings are looked for in a table: got {table!r:.60}; mv.embed makes one")
    if feature not in FEATURES:
        raise OptionError(f"feature must be one of {', '.join(FEATURES)}: got {feature!r}")
    if not len(table):
        raise DataError("findings are looked for among images: got a table without rows; embed some images")
    every = list(_groups(table, feature))
    groups = [group for group in every if group.asked.any()]
    return ComparedItems(
        groups, sum(group.n_left_out for group in every), sum(int(group.asked.sum()) for group in groups)
    )


def item_files(table: EmbeddingTable, row: int, modality: str) -> Mapping[str, Path | Crop]:
    """The files of an item: those of its row, or of every row that is joined in it."""
    if "+" not in modality or modality == table.modality[row]:
        return table.files[row]
    same = np.flatnonzero(table.sample == table.sample[row])
    of_name = {str(table.modality[one]): table.files[one] for one in same.tolist()}
    return {key: file for name in modality.split("+") for key, file in of_name[name].items()}


def in_usual_order(names: tuple[str, ...]) -> list[str]:
    """Modalities as they are usually named: RGB, NI, TI, then others."""
    return sorted(names, key=lambda name: MODALITIES.index(name) if name in MODALITIES else len(MODALITIES))


def _groups(table: EmbeddingTable, feature: str) -> Iterator[Compared]:
    values, names = getattr(table, feature), in_usual_order(table.modalities)
    joined = np.zeros((0, len(names)), np.int64)
    if len(names) > 1 and not any("+" in name for name in names):
        joined = _rows_of_whole_samples(table, names)
    if len(joined):
        features = np.concatenate([values[joined[:, at]] for at in range(len(names))], axis=1)
        everything = np.ones(len(joined), bool)
        yield _checked(table, joined_name(names), joined[:, 0], everything, features)
    for name in names:
        rows = table.rows(name)
        asked = (
            ~np.isin(table.sample[rows], table.sample[joined[:, 0]])
            if len(joined)
            else np.ones(len(rows), bool)
        )
        if asked.any():
            yield _checked(table, name, rows, asked, values[rows])


def _rows_of_whole_samples(table: EmbeddingTable, names: list[str]) -> Int[np.ndarray, "sample modality"]:
    """The rows of every sample that has all of some modalities, in that order."""
    of_each = [{int(table.sample[row]): int(row) for row in table.rows(name)} for name in names]
    whole = [sample for sample in of_each[0] if all(sample in rows for rows in of_each)]
    return np.array([[rows[sample] for rows in of_each] for sample in whole], np.int64).reshape(
        -1, len(names)
    )


def _checked(
    table: EmbeddingTable, modality: str, rows: np.ndarray, asked: np.ndarray, features: np.ndarray
) -> Compared:
    if table.metric == "cosine":
        features = unit_rows_or_nan(features)
    is_good = np.isfinite(features).all(axis=1) & (np.abs(features).max(axis=1, initial=0) < _LONGEST)
    kept = features[is_good].astype(np.float32)
    return Compared(
        modality, rows[is_good], asked[is_good], kept, table.metric, int((~is_good & asked).sum())
    )
