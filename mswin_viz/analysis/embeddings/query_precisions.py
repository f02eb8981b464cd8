"""How well some rows of a table are answered: for choosing the worst queries without ranking every row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.matching import matching
from mswin_viz.analysis.measures.retrieval import measured_queries
from mswin_viz.data.progress import Report, StepCounter, Stop
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import ShapeError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from mswin_viz.analysis.embeddings.table import EmbeddingTable

_AT_ONCE = 256  # queries between two looks at the stop


def query_precisions(
    table: EmbeddingTable,
    queries: Int[np.ndarray, " query"],
    *,
    feature: str = "plain",
    rule: str = "camera",
    report: Report | None = None,
    stop: Stop | None = None,
) -> Float[np.ndarray, " query"]:
    """Average precision of some rows as :func:`mswin_viz.neighbours` ranks for them; NaN where nothing is right.

    Raises ShapeError if a feature has no direction, StoppedError if ``stop`` said so.
    """
    who = matching(table.pid, table.camid, rule=rule, scenes=table.scene)
    features = table.compared(feature)
    found = np.full(len(queries), np.nan)
    steps = StepCounter(len(queries), report, stop, f"ranking {len(queries)} queries")
    for places, gallery in _rounds(table, queries):
        if steps.stopping():
            raise StoppedError(f"ranking was stopped after {steps.done} of {steps.total} queries")
        _check(table, features, np.concatenate([gallery, queries[places]]))
        found[places], _, _ = measured_queries(features, who, queries[places], gallery, metric=table.metric)
        steps.passed(len(places))
    return found


def _rounds(
    table: EmbeddingTable, queries: Int[np.ndarray, " query"]
) -> Iterator[tuple[Int[np.ndarray, " place"], Int[np.ndarray, " row"]]]:
    """Places of queries of one modality and split, a block at a time, and the rows that are ranked for them."""
    kinds = dict.fromkeys(zip(table.modality[queries].tolist(), table.split[queries].tolist(), strict=True))
    for modality, split in kinds:
        places = np.flatnonzero((table.modality[queries] == modality) & (table.split[queries] == split))
        rows = table.rows(modality)
        wanted = ("train",) if split == "train" else ("gallery", "test", "")
        gallery = rows[np.isin(table.split[rows], wanted)]
        for start in range(0, len(places) if len(gallery) else 0, _AT_ONCE):
            yield places[start : start + _AT_ONCE], gallery


def _check(
    table: EmbeddingTable, features: Float[np.ndarray, "row dim"], rows: Int[np.ndarray, " some"]
) -> None:
    bad = rows[~np.isfinite(features[rows, 0])]  # NaN through and through
    if len(bad):
        raise ShapeError(
            f"features must be finite and not all 0 to be ranked: got {len(bad)} that are not, the first in "
            f"row {bad[0]} ({shown_text(table.path[bad[0]].name)}); leave those rows out"
        )
