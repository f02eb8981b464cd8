"""A row of a table and its neighbours in words, and the files behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mswin_viz.analysis.neighbours import Neighbours
from mswin_viz.analysis.ranking import METRIC_WORDS
from mswin_viz.data.sample import label_of
from mswin_viz.data.shown_text import shown_text

if TYPE_CHECKING:
    from pathlib import Path

    from mswin_viz.analysis.embedding_table import EmbeddingTable
    from mswin_viz.data.images import Crop

__all__ = ["measures_in_words", "sample_files", "who"]


def sample_files(table: EmbeddingTable, row: int) -> dict[str, Path | Crop]:
    """Modality -> file of everything the table has of a row's sample."""
    files: dict[str, Path | Crop] = {}
    for own in (table.sample == table.sample[row]).nonzero()[0]:
        files |= table.files[own]
    return files


def who(table: EmbeddingTable, row: int) -> str:
    """Identity, camera and scene of a row, as far as they are known; its file name where the identity is not."""
    known = label_of(table.pid[row], table.camid[row], table.scene[row])
    return known or shown_text(table.path[row].name)


def measures_in_words(found: Neighbours) -> str:
    """Average precision, the first right neighbour, how many there are; the metric where it is not the cosine."""
    ranked = "" if found.metric == "cosine" else f", by {METRIC_WORDS[found.metric]}"
    if not found.n_right:
        reason = "no right one is left" if found.known.any() else "identities are not known"
        return f"{reason} among {found.n_candidates}{ranked}"
    return (
        f"AP {found.average_precision:.3f}, first right at rank {found.first_right}, {found.n_right} right of "
        f"{found.n_candidates}{ranked}"
    )
