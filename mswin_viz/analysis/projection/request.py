"""What a map is made with: the options that `project` and `coupling_sweep` share, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from mswin_viz.analysis.measures.ranking import check_metric
from mswin_viz.data.progress import Report, Stop
from mswin_viz.errors import OptionError


class MapOptions(TypedDict, total=False):
    """Options by keyword; see `mswin_viz.project`."""

    perplexity: float
    metric: str
    pca: int | None
    seed: int
    k: int
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True, kw_only=True)
class MapRequest:
    """`MapOptions` with their defaults, checked."""

    perplexity: float = 30
    metric: str = "cosine"
    pca: int | None = 50
    seed: int = 0
    k: int = 15
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        check_metric(self.metric)
        if not (np.isfinite(self.perplexity) and self.perplexity > 1):
            raise OptionError(f"perplexity is a number of neighbours above 1: got {self.perplexity}")
        if self.pca is not None and self.pca < 2:
            raise OptionError(f"pca is a number of components, at least 2, or None: got {self.pca}")
        if self.k < 1:
            raise OptionError(f"quality is measured by at least one neighbour: got k={self.k}")


def check_coupling(coupling: float) -> None:
    """Refuse what is not a coupling."""
    if not (np.isfinite(coupling) and coupling >= 0):
        raise OptionError(f"coupling is a finite number of at least 0: got {coupling}")
