"""Options that the protocols on a whole table share: cross-modality retrieval and missing modalities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.measures.matching import check_rule
from mswin_viz.analysis.measures.reranking_record import Reranking, check_reranking
from mswin_viz.data.progress import Report, Stop

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class ProtocolOptions(TypedDict, total=False):
    """Options of a protocol by keyword."""

    query: ArrayLike | None
    gallery: ArrayLike | None
    rule: str
    ranks: int | Iterable[int]
    reranking: Reranking | None
    draws: int
    flips: int
    seed: int
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True, eq=False, kw_only=True)
class ProtocolRequest:
    """`ProtocolOptions` with their defaults, checked."""

    query: ArrayLike | None = None
    gallery: ArrayLike | None = None
    rule: str = "camera"
    ranks: int | Iterable[int] = (1, 5, 10)
    reranking: Reranking | None = None
    draws: int = 2000
    flips: int = 10_000
    seed: int = 0
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        check_counts(1, draws=self.draws, flips=self.flips)
        check_counts(0, seed=self.seed)
        check_rule(self.rule)
        check_reranking(self.reranking)
