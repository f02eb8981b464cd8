"""Query and gallery in different modalities: near infrared looks for RGB, and every other pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.image_sets import AT_ONCE, JOINED, check_comparable, image_sets, parts_of
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.measures.paired_retrieval import (
    PairedRetrieval,
    family_words,
    paired_frame,
    paired_words,
)
from mswin_viz.analysis.measures.protocol_options import ProtocolOptions, ProtocolRequest
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import StepCounter, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, StoppedError

if TYPE_CHECKING:
    import pandas as pd

OWN_SHOT_WORDS = "A query's own shot is left out in every modality, under every rule: it shows the same moment from the same place."


@dataclass(frozen=True, eq=False)
class CrossModality:
    """Retrieval of every set of queries in every gallery, plain and enhanced.

    Attributes
    ----------
    queries, galleries
        Names of the sets: a modality; several joined, as ``"NI+TI"``; or several side by side, as ``"NI|TI"``.
    cells
        ``(query, gallery)`` -> what was measured; see :class:`PairedRetrieval`.
    notes
        What the numbers rest on, in sentences.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> found = mv.cross_modality(table, draws=200)
    >>> found.queries, len(found.cells), found.cells["TI", "RGB"].plain.n_queries
    (('RGB', 'NI', 'TI'), 9, 24)
    >>> print(found.sentences()[3])
    RGB to NI: mAP ...% plain, ...% enhanced, change ... points ...
    """

    queries: tuple[str, ...]
    galleries: tuple[str, ...]
    cells: Mapping[tuple[str, str], PairedRetrieval]
    notes: tuple[str, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        """One line for each pair of sets: ``query``, ``gallery``, mAP, mINP and Rank-k of both, fractions, and changes with interval and p.

        ``p_adjusted`` is p after Holm's correction for all pairs of sets.
        """
        frame = paired_frame(list(self.cells.values()))
        frame.insert(0, "query", [query for query, _ in self.cells])
        frame.insert(1, "gallery", [gallery for _, gallery in self.cells])
        return frame

    def sentences(self) -> list[str]:
        """What each pair of sets gives, after what all of them rest on; then what is left after Holm's correction."""
        named = {
            f"{set_words(query)} to {set_words(gallery)}": found
            for (query, gallery), found in self.cells.items()
        }
        each = (f"{name}: {paired_words(found)}." for name, found in named.items())
        return [*self.notes, *each, *family_words(named)]


def cross_modality(
    table: EmbeddingTable,
    *,
    queries: Sequence[str] | None = None,
    galleries: Sequence[str] | None = None,
    **options: Unpack[ProtocolOptions],
) -> CrossModality:
    """Rank the images of one modality for queries of another, for every pair, by plain and by enhanced features.

    A query's own shot is left out in **every** modality: its picture in the other modality shows the same moment from the
    same place, and would be found without any knowledge of the person. Beyond that the rule decides, as in :func:`retrieval`:
    by ``"camera"`` all images of the query's identity and camera are left out, whatever their modality.

    Sets are named: ``"NI"`` holds one modality. ``"NI+TI"`` holds shots, the features of their modalities joined raw, as
    :meth:`EmbeddingTable.concatenated` does. ``"RGB|TI"`` holds the images of both side by side, each by itself, as the
    galleries of SYSU-MM01 and RegDB hold images of several cameras. Features are compared number by number, so as many
    modalities must be joined in the query as in the gallery: ``"NI+TI"`` can look for ``"RGB+NI"`` (NI is compared with RGB, and TI
    with NI), but not for ``"RGB"``.

    Parameters
    ----------
    table
        From :func:`embed`, with the images of several modalities.
    queries, galleries
        Sets of queries, and of galleries; each modality of the table if None.
    query, gallery
        Rows of the table that may be queries, and those that may be in a gallery; all if None.
    rule, ranks, reranking
        As in :func:`retrieval`; ``"camera"`` and 1, 5 and 10 if not given. The metric is the table's.
    draws, flips, seed
        As in :func:`compare`.
    report, stop
        ``report(progress)`` is called, and ``stop()`` asked, after each pair of sets.

    Returns
    -------
    found
        Of each pair of sets, retrieval with both kinds of features and the change with interval and test.

    Raises
    ------
    OptionError
        If ``table`` is not a table, sets cannot be compared, a set is named twice, or an option is wrong.
    DataError
        If the table has no rows or lacks a modality, or a set has no image.
    ShapeError
        If a feature has no direction.
    StoppedError
        If a stop was asked for.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> found = mv.cross_modality(table, queries=["NI"], galleries=["RGB", "RGB|NI|TI"], draws=200)
    >>> found.to_pandas()[["query", "gallery", "n_queries"]].values.tolist()
    [['NI', 'RGB', 24], ['NI', 'RGB|NI|TI', 24]]
    >>> mv.cross_modality(table, queries=["NI+TI"], galleries=["RGB"])
    Traceback (most recent call last):
    mswin_viz.errors.OptionError: images are compared if as many modalities are joined in each: got ...
    """
    request = options_of(ProtocolRequest, options, function="cross_modality", also=("queries", "galleries"))
    table = checked_table(table)
    rows, columns = (
        _names(given, table, word) for given, word in ((queries, "queries"), (galleries, "galleries"))
    )
    pairs = [(query, gallery) for query in rows for gallery in columns]
    for pair in pairs:
        check_comparable(*pair)
    sets, cells = image_sets(table, request), {}
    steps = StepCounter(len(pairs), reporter(request.report), request.stop, "retrieving across modalities")
    for pair in pairs:
        cells[pair] = sets.cell(*pair)
        if steps.passed(1) and len(cells) < len(pairs):
            raise StoppedError(
                f"stopped on request after {len(cells)} of {counted(len(pairs), 'pairs of sets', 'pair of sets')}"
            )
    return CrossModality(rows, columns, cells, tuple(_notes(cells)))


def set_words(name: str) -> str:
    """What people read: ``"NI+TI"`` as "NI and TI together", ``"RGB|NI|TI"`` as "RGB, NI or TI"."""
    *others, last = map(modality_words, name.split(AT_ONCE))
    return f"{', '.join(others)} or {last}" if others else last


def _names(given: Sequence[str] | None, table: EmbeddingTable, word: str) -> tuple[str, ...]:
    names = table.modalities if given is None else given
    is_list = not isinstance(names, str) and all(isinstance(name, str) for name in names)
    repeated = is_list and any(len(set(parts_of(name))) < len(parts_of(name)) for name in names)
    if not is_list or not names or repeated or len(set(names)) < len(names):
        raise OptionError(
            f"{word} names each set once, and each modality of a set once, in a list such as ['RGB', 'NI{JOINED}TI', 'NI{AT_ONCE}TI']: got {given!r:.80}"
        )
    return tuple(names)


def _notes(cells: Mapping[tuple[str, str], PairedRetrieval]) -> Iterator[str]:
    yield OWN_SHOT_WORDS
    first = next(iter(cells.values())).plain
    yield f"Ranked by {first.ranking_words}; rule: {first.rule}."
    yield from dict.fromkeys(note for found in cells.values() for note in found.plain.notes)
