"""What a search by text was given, and what was chosen of its hits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.text_search.record import TextSearch
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, OptionError
from mswin_viz.view.parts.tag_bar import TagBar

if TYPE_CHECKING:
    import pandas as pd


def rows_of(found: TextSearch) -> list[int]:
    """Rows of all hits, each once."""
    return [int(row) for row in dict.fromkeys(np.concatenate([one.rows for one in found.hits]).tolist())]


def kept_hits(found: TextSearch, is_kept: Callable[[int], bool], k: int) -> TextSearch:
    """The first ``k`` hits of each modality whose sample, by its number, is kept; ranks are counted among these."""
    kept = {number: is_kept(number) for number in set(found.table.sample.tolist())}
    hits = []
    for one in found.hits:
        there = np.flatnonzero([kept[number] for number in found.table.sample[one.rows].tolist()])
        hits.append(replace(one, rows=one.rows[there[:k]], cosine=one.cosine[there[:k]], n_ranked=len(there)))
    return replace(found, hits=tuple(hits))


def chosen_hits(found: TextSearch, selected: Sequence[int], tags: TagBar) -> pd.DataFrame:
    """The hits of some rows: the columns of a table, then tags, cosine and rank; the index is the row."""
    hits = found.to_pandas()
    first = hits[hits["prompt"] == found.prompts[0]].drop(columns="prompt")
    chosen = tags.with_tags(first.loc[list(selected)])
    last = ("tags", "cosine", "rank")
    return chosen.reindex(columns=[*(name for name in chosen.columns if name not in last), *last])


def searched_table(table: Any, n_samples: int) -> EmbeddingTable | None:
    """The table that a view was given, if any; refused if it is of other samples."""
    if table is None:
        return None
    if not isinstance(table, EmbeddingTable):
        raise OptionError(f"a table must come from mswin_viz.embed(): got a {type(table).__name__}")
    if not len(table):
        raise DataError(
            "a table needs rows: got none; embed some images, or leave it out to embed them in the view"
        )
    if int(table.sample.max(initial=-1)) >= n_samples:
        raise OptionError(
            f"a table must be of the samples it is shown with: got {counted(n_samples, 'samples')} and a row of sample "
            f"{int(table.sample.max())}; pass those that were embedded"
        )
    return table
