"""What a stored ablation must hold: checked whenever one is read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mswin_viz.analysis.experiments.ablation_heads import PLAIN
from mswin_viz.data.storage.stored_records import StoredRecord, checked, read_json
from mswin_viz.errors import DataError
from mswin_viz.model.weights.embedded_config import EMBEDDED

_Fraction = Annotated[float, Field(ge=0, le=1)]
_Difference = Annotated[float, Field(ge=-1, le=1)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Words = Annotated[str, Field(max_length=2000)]


class _Interval(StoredRecord):
    """Of both, or of neither end."""

    mean: float | None
    low: float | None
    high: float | None

    @model_validator(mode="after")
    def _is_whole(self) -> _Interval:
        if (self.low is None) != (self.high is None) or (self.mean is None and self.low is not None):
            raise ValueError("an interval has two ends and a mean")
        return self


class _Change(_Interval):
    """A paired difference."""

    mean: _Difference | None
    low: _Difference | None
    high: _Difference | None
    per_seed: Annotated[list[_Difference | None], Field(min_length=1)]
    p: _Fraction | None
    verdict: Literal["better", "worse", "not told apart", "not measured"]

    @model_validator(mode="after")
    def _is_measured(self) -> _Change:
        if self.mean is None and self.verdict != "not measured":
            raise ValueError(f"the verdict {self.verdict!r} needs a mean")
        return self


class _Measure(_Interval):
    """mAP, Rank-1 or mINP of a row."""

    mean: _Fraction | None
    low: _Fraction | None
    high: _Fraction | None
    per_seed: Annotated[list[_Fraction | None], Field(min_length=1)]
    minus_plain: _Change | None = None
    windows_minus: _Change | None = None
    own_minus: _Change | None = None


class _Cell(StoredRecord):
    """Of a row in a column; results stored by earlier versions have no mINP."""

    mAP: _Measure  # noqa: N815 (the field's name)
    rank1: _Measure
    mINP: _Measure | None = None  # noqa: N815 (the field's name)

    @property
    def measures(self) -> list[_Measure]:
        """Those that are there."""
        return [one for one in (self.mAP, self.rank1, self.mINP) if one is not None]


class _Row(StoredRecord):
    """What a row is, and what it costs; plain CLS costs nothing."""

    words: _Words
    trained: bool
    runs: Annotated[int, Field(ge=1, lt=2**31)]
    parameters: _Count | None = None
    macs: _Count | None = None
    time_ratio: Annotated[float, Field(ge=0)] | None = None
    memory: _Count | None = None

    @property
    def has_costs(self) -> bool:
        """Whether all of them are there."""
        return None not in (self.parameters, self.macs, self.time_ratio, self.memory)


class _Settings(StoredRecord):
    """What was run; only its sentence is read."""

    words: _Words = ""


class _Queries(StoredRecord):
    """How many have a match."""

    asked: _Count
    answered: _Count


class _Ablation(StoredRecord):
    """`ablation_report.as_json`."""

    settings: _Settings
    reference: str
    columns: Annotated[list[str], Field(min_length=1, max_length=50)]
    rows: dict[str, _Row]
    queries: dict[str, _Queries] = Field(default_factory=dict)
    scores: Annotated[dict[str, dict[str, dict[str, _Cell]]], Field(min_length=1)]
    rule: _Words

    @model_validator(mode="after")
    def _is_complete(self) -> _Ablation:
        if PLAIN not in self.rows:
            raise ValueError("it lacks the row for plain CLS")
        if without := [name for name, row in self.rows.items() if name != PLAIN and not row.has_costs]:
            raise ValueError(f"rows.{without[0]} lacks its costs")
        for split, by_row in self.scores.items():
            if set(by_row) != set(self.rows):
                raise ValueError(f"scores.{split} must have one entry for each of rows")
            for name, cells in by_row.items():
                self._check_cells(f"scores.{split}.{name}", name, cells)
        return self

    def _check_cells(self, where: str, name: str, cells: Mapping[str, _Cell]) -> None:
        if set(cells) != set(self.columns):
            raise ValueError(f"{where} must have one entry for each of columns")
        for measure in (each for cell in cells.values() for each in cell.measures):
            if name != PLAIN and measure.minus_plain is None:
                raise ValueError(f"{where} lacks minus_plain")
            if self.reference in self.rows and name != self.reference and measure.windows_minus is None:
                raise ValueError(f"{where} lacks windows_minus")


_WRITE = "write one with `mswin-viz ablate --out FILE.json`"


def check_ablation(found: Any, what: str = "a stored ablation") -> None:
    """Compare with what `ablation_report.as_json` makes. Raises DataError that names the first wrong values."""
    checked(_Ablation, found, what=what, remedy=_WRITE, error=DataError)


def stored_ablation(path: Path) -> dict[str, Any]:
    """An ablation that was stored as JSON. Raises DataError if the file cannot be read or is not one."""
    found = read_json(path, what="the stored ablation", remedy=_WRITE, error=DataError)
    check_ablation(found, f"the stored ablation {path}")
    return found


def embedded_ablation() -> dict[str, Any]:
    """What the model card reports of the embedded model: the ablation that was run when the model was made.

    Returns
    -------
    stored
        As :func:`ablate_people` returns it: ``rows``, ``columns``, ``scores`` and ``settings``.

    Raises
    ------
    DataError
        If the file of the package is damaged.

    Examples
    --------
    >>> stored = mv.embedded_ablation()
    >>> sorted(stored["scores"]), list(stored["rows"])[:3]
    (['look_alikes', 'standard'], ['plain_cls', 'windows_4', 'windows_8'])
    """
    return stored_ablation(EMBEDDED / "ablation.json")
