"""Features of the same images under names: plain and enhanced of one table, or those of several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.encoded_batch import Failure

if TYPE_CHECKING:
    from jaxtyping import Int

MOST_OF_A_NAME = 60
"""Characters of a table's name in a message."""


@dataclass(frozen=True, eq=False)
class NamedFeatures:
    """Name -> a table and which of its features; each is one ranked list. Row ``i`` of every table is the same image.

    ``is_named``: the names are the user's, not ``"plain"`` and ``"enhanced"`` of one table. ``notes`` say in sentences
    which rows are left out because only some tables have them.
    """

    of: Mapping[str, tuple[EmbeddingTable, str]]
    is_named: bool = True
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the lists, in order."""
        return tuple(self.of)

    @property
    def table(self) -> EmbeddingTable:
        """The first table: what is known of each row is the same in all."""
        return next(iter(self.of.values()))[0]

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Images without a row; of several tables each reason says in which."""
        if not self.is_named:
            return self.table.failed
        found: dict[tuple[object, str], list[str]] = {}
        failures = {}
        for name, (table, _) in self.of.items():
            for failure in table.failed:
                key = str(failure.path), failure.reason
                failures[key] = failure
                found.setdefault(key, []).append(name)
        return tuple(
            Failure(failures[key].path, f"{failures[key].reason} (in {' and '.join(names)})")
            for key, names in found.items()
        )

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> NamedFeatures:
        """The same of some rows, in that order."""
        return self._changed(lambda table: table[rows])

    def concatenated(self, modalities: Sequence[str], *, equalised: bool = False) -> NamedFeatures:
        """One row for each sample, as :meth:`EmbeddingTable.concatenated` joins them."""
        return self._changed(lambda table: table.concatenated(modalities, equalised=equalised))

    def with_modality(self, name: str) -> NamedFeatures:
        """Features that have rows of a modality: these, or, of several such as ``"RGB+NI"``, those joined as they are."""
        there, parts = self.table.modalities, name.split("+") if isinstance(name, str) else []
        if name in there:
            return self
        if len(parts) < 2 or not all(part in there for part in parts):
            raise OptionError(
                f"modality must be one of the table's {', '.join(there)}, or several joined by +: got "
                f"{short_text(str(name), MOST_OF_A_NAME)!r}; embed it first, or choose another"
            )
        return self.concatenated(parts)

    def of_samples(self, numbers: Int[np.ndarray, " row"]) -> NamedFeatures:
        """The same rows, of samples that are counted in another way."""
        return self._changed(lambda table: replace(table, sample=numbers))

    def only(self, name: str) -> NamedFeatures:
        """One list of them."""
        return replace(self, of={name: self.of[name]})

    def _changed(self, change) -> NamedFeatures:
        """Every table changed, each once."""
        made = {id(table): change(table) for table, _ in self.of.values()}
        of = {name: (made[id(table)], feature) for name, (table, feature) in self.of.items()}
        return replace(self, of=of)


def features_of(table: EmbeddingTable | NamedFeatures, names: Sequence[str] | None = None) -> NamedFeatures:
    """Plain and enhanced of one table, or those of ``names``; what is named already stays as it is."""
    if isinstance(table, NamedFeatures):
        return table
    chosen = FEATURES if names is None else names
    return NamedFeatures({name: (table, name) for name in chosen}, is_named=False)
