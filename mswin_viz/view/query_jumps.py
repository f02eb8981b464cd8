"""Jumps to the queries that are worst, or changed most, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.view.query_choice import NO_MATCH, jump_order

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Jump", "QueryJumps"]


@dataclass(frozen=True)
class Jump:
    """Where a jump leads.

    Attributes
    ----------
    sample
        Position of the query; None where no query has a match.
    words
        Which jump it is, and the query's average precision.
    """

    sample: int | None
    words: str


@dataclass(eq=False)
class QueryJumps:
    """Remembers the last jump, so that the same kind again leads to the next query."""

    _kind: str = ""
    _position: int = field(default=-1, repr=False)

    def next(
        self,
        kind: str,
        table: EmbeddingTable,
        plain: Float[np.ndarray, " row"],
        enhanced: Float[np.ndarray, " row"],
    ) -> Jump:
        """The next jump of a kind over the rows of a table, by their average precisions."""
        order = jump_order(kind, plain, enhanced)
        if not len(order):
            return Jump(None, NO_MATCH)
        self._position = (self._position + 1) % len(order) if self._kind == kind else 0
        self._kind, row = kind, int(order[self._position])
        return Jump(
            int(table.sample[row]),
            f"{kind}: {self._position + 1} of {len(order)}, AP plain {plain[row]:.3f}, enhanced {enhanced[row]:.3f}",
        )
