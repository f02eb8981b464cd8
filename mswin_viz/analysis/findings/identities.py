"""Identities of a table's items: training and other images may use the same numbers for different people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import Compared

if TYPE_CHECKING:
    from jaxtyping import Int


def identity_keys(table: EmbeddingTable, group: Compared) -> Int[np.ndarray, " item"]:
    """A number for each identity of each side: twice its identity, one more in training; -1 where it is not known."""
    pids, is_train = table.pid[group.rows], table.split[group.rows] == "train"
    return np.where(pids >= 0, 2 * pids + is_train, -1)
