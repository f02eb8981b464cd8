"""A store that is open: the samples whose images it holds, and what is kept of each image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.store.manifest import ABOUT, FAILED, FEATURES, feature_fields, samples_of_rows
from mswin_viz.data.store.row_choice import column_names, condition_of, row_places
from mswin_viz.data.store.shard_files import ShardFiles, committed
from mswin_viz.data.store.shard_reading import (
    check_shape,
    check_widths,
    part_columns,
    part_features,
    part_rows,
    part_tokens,
    rows_that_fit,
)
from mswin_viz.data.store.store_record import TOKEN_NAMES, Commit, StoreRecord, is_store, read_record
from mswin_viz.errors import OptionError, StoreError

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

_THREADS = 8  # parts that are read at a time; Arrow leaves the interpreter to others


class _Portion(NamedTuple):
    """Rows of one part: their places in it, and among the rows in view."""

    commit: Commit
    inside: Int[np.ndarray, " row"]
    places: Int[np.ndarray, " row"]


@dataclass(frozen=True, eq=False, repr=False)
class StoredImages(Sequence[Sample]):
    """Some rows of a store, one for each image; as a sequence, the samples that they belong to.

    It can be given wherever samples are taken. Nothing but ``store.json`` and the commits is read until it is asked for;
    columns are read part by part. What is returned follows the order of the rows: sample by sample, and the
    modalities of a sample one behind the other.

    Attributes
    ----------
    folder
        Where the store lies.
    record
        What its rows are, see :class:`mswin_viz.data.store.store_record.StoreRecord`.
    commits
        Its shards that are done.
    root
        The folder of the data set, below which image files are looked for.
    """

    folder: Path
    record: StoreRecord
    commits: tuple[Commit, ...]
    root: Path | None
    _rows: Int[np.ndarray, " row"] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """How many samples the rows in view belong to."""
        return len(self.sample_starts)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: Any) -> Any:
        """A sample, or a list of some, with the images that are in view."""
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        n = counted(self.record.n_shards, "shards")
        done = "" if self.is_complete else f", {len(self.commits)} of {n} done"
        return (
            f"{type(self).__name__}({shown_text(self.folder)}: {counted(self.n_rows, 'images')}; dim {self.record.dim}, "
            f"tokens {self.record.tokens}{done})"
        )

    @property
    def n_rows(self) -> int:
        """How many images are in view, those without features included."""
        return self._n_stored if self._rows is None else len(self._rows)

    @property
    def n_failed(self) -> int:
        """How many of these have no features."""
        if self._rows is None:
            return sum(commit.n_failed for commit in self.commits)
        return int((self.column("status") == FAILED).sum())

    @property
    def is_complete(self) -> bool:
        """Whether every shard of the list that was extracted is done."""
        return len(self.commits) == self.record.n_shards

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing of the pictures, shard by shard: damaged files, strong distortions, few grey levels."""
        return tuple(note for commit in self.commits for note in commit.notes)

    @cached_property
    def sample_starts(self) -> Int[np.ndarray, " sample"]:
        """The first row of each sample in view."""
        numbers = self.column("sample")
        is_first = np.ones(len(numbers), bool)
        is_first[1:] = numbers[1:] != numbers[:-1]
        return np.flatnonzero(is_first)

    @cached_property
    def sample_of_row(self) -> Int[np.ndarray, " row"]:
        """The place, in this sequence, of each row's sample."""
        return np.searchsorted(self.sample_starts, np.arange(self.n_rows), side="right") - 1

    def where(self, expression: pc.Expression | None = None, /, **values: Any) -> Self:
        """The rows that fit: ``store.where(modality="TI", camid=[1, 3], status="ok")``, or a condition of pyarrow's.

        A column takes a value, several values, or None for "not known", which -1 means in columns of numbers, too. Names of columns
        are those of the Parquet files, without the features. OptionError for another name, or a value of another kind.
        """
        is_in = condition_of(values)
        if expression is None:
            return self.rows(rows_that_fit(self.columns(list(values) or list(ABOUT)), is_in))
        if not isinstance(expression, pc.Expression):
            raise OptionError(
                f"a condition is one of pyarrow's, as pc.field('pid') > 3, or name=value: got {expression!r:.60}"
            )
        try:
            return self.rows(rows_that_fit(self.columns(list(ABOUT)), is_in & expression))
        except pa.ArrowException as problem:
            raise OptionError(
                f"a condition compares {', '.join(ABOUT)} with values of their kind: got {expression!s:.60} "
                f"({shown_text(problem)})"
            ) from problem

    def rows(self, places: Iterable[int] | Iterable[bool] | slice) -> Self:
        """Some of the rows in view, by their places or one truth value for each; they keep the order of the store, each once."""
        stored = np.arange(self._n_stored) if self._rows is None else self._rows
        return replace(self, _rows=stored[row_places(places, self.n_rows)])

    def column(self, name: str) -> np.ndarray:
        """One column of what is known of each row in view; -1 for numbers that are not known."""
        column = self.columns([name])[name]
        return pc.fill_null(column, -1).to_numpy() if pa.types.is_integer(column.type) else column.to_numpy()

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Several columns of what is known of each row in view, as an Arrow table; OptionError for an unknown name."""
        names = column_names(names)
        if not self.commits:
            return pa.table({name: pa.array([], ABOUT[name]) for name in names})
        parts = self._read(lambda portion: part_columns(self._files(portion), names, portion.inside))
        return pa.concat_tables([pa.table({name: pa.array([], ABOUT[name]) for name in names}), *parts])

    def features(self, name: str) -> Float[np.ndarray, "row wide"]:
        """``"plain"`` or ``"enhanced"`` features of the rows in view, float32; NaN where a row has none.

        Every part is checked against its hash as it is read; a StoreError names one that is damaged.
        """
        if name not in FEATURES:
            raise OptionError(f"features are {' or '.join(FEATURES)}: got {name!r:.40}")
        width = self.record.dim if name == "plain" else self.record.wide
        self._read(lambda portion: check_widths(self._files(portion), self.record))
        features = np.empty((self.n_rows, width), np.float32)

        def read(portion: _Portion) -> None:
            files = self._files(portion)
            features[portion.places] = part_features(files, portion.commit, FEATURES[name], portion.inside)

        self._read(read)
        return features

    def summary(self, name: str) -> Float[np.ndarray, "row token dim"]:
        """Tokens kept of each row in view, as stored: ``"patches"``, ``"phase_means"`` or ``"stripe_means"``.

        Only the rows in view are read. Zeros where a row failed. StoreError if the store does not keep them, OptionError
        for another name.
        """
        shapes = self.record.token_shapes
        if name not in TOKEN_NAMES:
            raise OptionError(f"tokens that a store may keep are {', '.join(TOKEN_NAMES)}: got {name!r:.40}")
        if name not in shapes:
            kept = ", ".join(shapes) or "none"
            raise StoreError(
                f"{name.replace('_', ' ')} must be in the store: {shown_text(self.folder)} keeps {kept}; extract again "
                f"with tokens={'all' if name == 'patches' else 'summaries'}"
            )
        for portion in self._portions:
            check_shape(self._files(portion), name, shapes[name])
        kept = np.empty((self.n_rows, *shapes[name]), self.record.token_dtype)

        def read(portion: _Portion) -> None:
            kept[portion.places] = part_tokens(self._files(portion), name, portion.inside)

        self._read(read)
        return kept

    def to_arrow(self, *, features: bool = True) -> pa.Table:
        """Every column of the rows in view, with the features as fixed-size lists unless they are left out.

        With features, every part is checked against its hash, as by :meth:`features`.
        """
        if not features:
            return self.columns(list(ABOUT))
        self._read(lambda portion: check_widths(self._files(portion), self.record))
        of_features = feature_fields(self.record.dim, self.record.wide, self.record.dtype)
        empty = pa.schema([*ABOUT.items(), *of_features]).empty_table()
        parts = self._read(lambda p: part_rows(self._files(p), p.commit, p.inside))
        return pa.concat_tables([empty, *parts])

    def by_part(self) -> Iterator[Self]:
        """The rows in view, part by part, each as a view of its own: of what lies on the disk, one part is read at a time."""
        if self._rows is None:
            yield from (replace(self, commits=(commit,)) for commit in self.commits)
        else:
            yield from (replace(self, commits=(one.commit,), _rows=one.inside) for one in self._portions)

    def to_pandas(self) -> pd.DataFrame:
        """Everything but the features, one line for each row in view."""
        return self.columns(list(ABOUT)).to_pandas(use_threads=False)

    def verify(self) -> list[str]:
        """What is not as it was written, one sentence a file; every byte of every shard is read."""
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(
                lambda commit: ShardFiles(self.folder, commit.shard).problems(commit), self.commits
            )
            return [problem for problems in found for problem in problems]

    @cached_property
    def failed(self) -> pa.Table:
        """The rows in view without features: ``id``, ``path``, ``part``, ``modality`` and ``reason``."""
        names = ["id", "path", "part", "modality", "reason", "status"]
        table = self.columns(names)
        return table.filter(pa.array(table["status"].to_numpy() == FAILED)).drop_columns("status")

    @cached_property
    def _samples(self) -> list[Sample]:
        return samples_of_rows(self.columns(list(ABOUT)), self.root, self.folder)

    @property
    def _n_stored(self) -> int:
        return sum(commit.n_rows for commit in self.commits)

    @cached_property
    def _portions(self) -> list[_Portion]:
        """The rows in view, by the part that holds them."""
        ends = np.cumsum([commit.n_rows for commit in self.commits])
        rows = np.arange(self._n_stored) if self._rows is None else self._rows
        owners = np.searchsorted(ends, rows, side="right")
        portions = []
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            first = ends[owner] - self.commits[owner].n_rows
            portions.append(_Portion(self.commits[owner], rows[places] - first, places))
        return portions

    def _read(self, read: Any) -> list[Any]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(read, self._portions))

    def _files(self, portion: _Portion) -> ShardFiles:
        return ShardFiles(self.folder, portion.commit.shard)


def store_parts(folder: Path, root: str | Path | None = None) -> dict[str, Any]:
    """What a :class:`StoredImages` of a folder is made of; a `StoreError` if the folder is not a store."""
    if not is_store(folder):
        raise StoreError(
            f"a store is a folder with store.json and commits: {shown_text(folder)} has none; make one with mv.extract or "
            "mswin-viz extract"
        )
    folder = Path(os.path.abspath(folder))  # samples remember it, wherever the program goes on
    record = read_record(folder)
    below = root if root is not None else record.root
    return {
        "folder": folder,
        "record": record,
        "commits": tuple(committed(folder)),
        "root": None if below is None else Path(below),
    }
