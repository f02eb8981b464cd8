"""A row of a table and its neighbours in words, and the files behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mswin_viz.analysis.neighbours import Neighbours
from mswin_viz.analysis.ranking import METRIC_WORDS
from mswin_viz.data.shown_text import shown_text

if TYPE_CHECKING:
    from pathlib import Path

    from mswin_viz.analysis.embedding_table import EmbeddingTable
    from mswin_viz.data.images import Crop
    from mswin_viz.data.sample import Sample

__all__ = ["measures_in_words", "sample_files", "sample_label", "who"]


def sample_files(table: EmbeddingTable, row: int) -> dict[str, Path | Crop]:
    """Modality -> file of everything the table has of a row's sample."""
    files: dict[str, Path | Crop] = {}
    for same in (table.sample == table.sample[row]).nonzero()[0]:
        files |= table.files[same]
    return files


def who(table: EmbeddingTable, row: int) -> str:
    """Identity, camera and scene of a row, as far as they are known; else its file name."""
    name = shown_text(table.path[row].name)
    return _label(table.pid[row], table.camid[row], table.scene[row]) or name


def sample_label(sample: Sample) -> str:
    """The same of a sample; its name where the identity is not known."""
    scene = -1 if sample.scene is None else sample.scene
    return _label(sample.pid, sample.camid, scene) if sample.pid >= 0 else sample.name


def _label(pid: int, camid: int, scene: int) -> str:
    numbers = {"id": pid, "camera": camid, "scene": scene}
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number >= 0)


def measures_in_words(ranking: Neighbours) -> str:
    """Average precision, the first right neighbour, how many there are; the metric where it is not the cosine."""
    metric = "" if ranking.metric == "cosine" else f", by {METRIC_WORDS[ranking.metric]}"
    if not ranking.n_right:
        reason = "no right one is left" if ranking.known.any() else "identities are not known"
        return f"{reason} among {ranking.n_candidates}{metric}"
    return (
        f"AP {ranking.average_precision:.3f}, first right at rank {ranking.first_right}, {ranking.n_right} right of "
        f"{ranking.n_candidates}{metric}"
    )
