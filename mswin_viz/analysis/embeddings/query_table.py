"""One line for each query: what the ranked lists of one or several models make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.named_features import NamedFeatures, features_of
from mswin_viz.analysis.embeddings.neighbours import ranked_queries
from mswin_viz.analysis.embeddings.query_order import in_common
from mswin_viz.analysis.embeddings.query_values import MOST_FIRST, QueryValues
from mswin_viz.analysis.embeddings.same_images import TablesByName, same_images
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


def query_table(
    tables: EmbeddingTable | TablesByName,
    *,
    modality: str | None = None,
    rule: str = "camera",
    k: int = 10,
    stop: Stop | None = None,
    report: Report | None = None,
) -> pd.DataFrame:
    """Average precision, first match and margin of every query, by one model or by several side by side.

    Parameters
    ----------
    tables
        Name -> table of :func:`embed`, whose enhanced features are ranked, or ``(table, "plain")``; tables are of the same
        images, which are found by their files. Or one table alone: its plain and enhanced features.
    modality
        By which queries are ranked: one of the tables' modalities, or several joined raw, such as ``"RGB+NI"``. None: each
        image by its own modality.
    rule
        The matching rule, as in :func:`neighbours`.
    k
        Of the first ``k`` candidates, how many the lists have in common; at most 24.
    report, stop
        ``report(progress)`` is called (see :class:`Progress`), and ``stop()`` asked, before each block of queries.

    Returns
    -------
    queries
        ``path``, ``modality``, ``pid``, ``camid``, and for each list ``NAME_ap`` (0..1), ``NAME_inp`` (number of matches
        divided by the rank of the last one), ``NAME_first_match`` (rank, from 1) and ``NAME_margin`` (similarity of the best
        wrong candidate minus that of the worst match); of every list but the first ``NAME_change`` of average precision; of
        several lists ``in_common``. NaN where a query has no match. ``attrs["notes"]`` names what was left out. The index is
        the row of the first table's shared images.

    Raises
    ------
    OptionError
        If a name, feature, rule or modality does not exist, or tables say different things of an image.
    DataError
        If the tables have no image in common, or no sample has all of the joined modalities.
    StoppedError
        If a stop was asked for.

    Examples
    --------
    >>> one, two = (mv.embed(model, samples[:16], modalities=[name], progress=False) for name in ("RGB", "RGB"))
    >>> queries = mv.query_table({"CLIP": (one, "plain"), "windows": two})
    >>> queries.columns.tolist()[4:9]
    ['CLIP_ap', 'CLIP_inp', 'CLIP_first_match', 'CLIP_margin', 'windows_ap']
    >>> worst = queries.sort_values("windows_change").iloc[0]
    >>> len(queries), bool(worst["windows_change"] <= 0)
    (16, True)
    """
    check_counts(1, k=k)
    if k > MOST_FIRST:
        raise OptionError(f"k is at most {MOST_FIRST}, which are kept of each ranking: got {k}")
    is_one = isinstance(tables, EmbeddingTable)
    lists = features_of(checked_table(tables)) if is_one else same_images(tables).features
    if modality is not None:
        lists = _of_modality(lists, modality)
    ranked = ranked_queries(lists, rule=rule, stop=stop, report=report)
    return query_frame(lists.table, ranked.values, k=k, notes=ranked.notes)


def query_frame(
    table: EmbeddingTable,
    values: Mapping[str, QueryValues],
    *,
    k: int,
    notes: tuple[str, ...] = (),
    modality: str | None = None,
) -> pd.DataFrame:
    """What is known of each row, of one modality or of all, that may be a query, as :func:`query_table` returns it."""
    import pandas as pd  # slow to import, and not needed to rank

    rows = np.flatnonzero((table.split != "gallery") & ((modality is None) | (table.modality == modality)))
    columns: dict[str, object] = {"path": [shown_text(table.path[row]) for row in rows]}
    columns |= {name: getattr(table, name)[rows] for name in ("modality", "pid", "camid")}
    first = next(iter(values.values()))
    for at, (name, found) in enumerate(values.items()):
        about: dict[str, np.ndarray] = {
            "ap": found.average_precision, "inp": found.inverse_penalty, "first_match": found.first_match,
            "margin": found.margin,
        }  # fmt: skip
        if at:
            about["change"] = found.average_precision - first.average_precision
        columns |= {f"{shown_text(name)}_{column}": value[rows] for column, value in about.items()}
    if len(values) > 1:
        columns["in_common"] = in_common(values, k=k)[rows]
    frame = pd.DataFrame(columns, index=rows)
    frame.attrs["notes"] = list(notes)
    return frame


def _of_modality(lists: NamedFeatures, modality: str) -> NamedFeatures:
    found = lists.table.rows(modality)
    if len(found):
        return lists[found]
    parts = str(modality).split("+")
    known: Callable[[str], bool] = lists.table.modalities.__contains__
    if len(parts) < 2 or not all(map(known, parts)):
        raise OptionError(
            f"modality is one of {', '.join(lists.table.modalities)}, or several joined with +: got {modality!r:.60}"
        )
    return lists.concatenated(parts)
