"""A row of a table and its neighbours in words, and the files behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.data.sample import label_of
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.view.widgets.labels import FEATURES, named

if TYPE_CHECKING:
    from pathlib import Path

    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.data.images.image_source import Crop

_MOST_BESIDE = 14  # of the same, beside a result


def list_title(name: str, *, is_only: bool = False) -> str:
    """What stands above a ranked list: which feature it is by, or the name that the user gave it."""
    if is_only and name == "plain":
        return "plain CLS (no add-on)"
    return FEATURES.get(name) or named(name)


def feature_names_words(table: EmbeddingTable) -> str:
    """Which models plain and enhanced stand for, as a sentence with a space behind it; empty where they are features of one."""
    if table.feature_names == tuple(FEATURES):
        return ""
    first, second = map(named, table.feature_names)
    return f"Two models: “plain” is {first}, “enhanced” is {second}. "


def short_title(name: str) -> str:
    """The same beside a result, where there is little room."""
    return short_text(name, _MOST_BESIDE)


def sample_files(table: EmbeddingTable, row: int) -> dict[str, Path | Crop]:
    """Modality -> file of everything the table has of a row's sample."""
    files: dict[str, Path | Crop] = {}
    for same in (table.sample == table.sample[row]).nonzero()[0]:
        files |= table.files[same]
    return files


def who(table: EmbeddingTable, row: int) -> str:
    """Identity, camera and scene of a row, as far as they are known; its file name where the identity is not."""
    known = label_of(table.pid[row], table.camid[row], table.scene[row])
    return known or shown_text(table.path[row].name)


def measures_in_words(ranking: Neighbours) -> str:
    """Average precision, the first match, and how many matches there are; the metric where it is not the cosine."""
    metric = "" if ranking.metric == "cosine" else f", by {METRIC_WORDS[ranking.metric]}"
    if not ranking.n_right:
        reason = "no match is left" if ranking.known.any() else "identities are not known"
        return f"{reason} among {ranking.n_candidates}{metric}"
    return (
        f"AP {ranking.average_precision:.3f}, first match at rank {ranking.first_right}, {ranking.n_right} of "
        f"{ranking.n_candidates} match{metric}"
    )
