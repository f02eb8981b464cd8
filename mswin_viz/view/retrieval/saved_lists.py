"""Ranked lists of many queries as files: a picture of each, one page of all of them, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from mswin_viz import __version__
from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.neighbours import Neighbours, neighbours
from mswin_viz.analysis.embeddings.same_images import TablesByName
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, StepCounter, Stop, portion, reporter, unheard
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.data.storage.spreadsheet_cells import csv_file
from mswin_viz.errors import DataError, MswinVizError, OutputError, StoppedError
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.parts.file_names import plain_stem
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.retrieval.figures import ranked_figure
from mswin_viz.view.retrieval.lists_page import ListsPage
from mswin_viz.view.retrieval.saved_queries import (
    WORST,
    ListOptions,
    SavedFeatures,
    chosen_samples,
    saved_features,
)

PAGE, LINES = "ranked_lists.html", "ranked_lists.csv"
"""The page and the table, beside the pictures."""
_DPI = 150  # of PNG pictures
_CHOOSING = 0.3  # part of the work that choosing the worst queries takes


class SavedListOptions(TypedDict, total=False):
    """Options of :func:`save_ranked_lists` by keyword; see there."""

    rule: str
    modality: str | None
    kind: str
    provenance: str
    report: Report | None
    stop: Stop | None


@dataclass(eq=False)
class SavedLists:
    """What has been written.

    Attributes
    ----------
    pictures
        One for each query, in their order.
    page, lines
        The page of all lists, and the table with a line for each result.
    queries
        Position of each query's sample, in the order in which they were saved.
    left_out
        Name of a query's file -> why it has no list.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["NI"], progress=False)
    >>> saved = mv.save_ranked_lists(table, "lists", n=2, k=4)
    >>> saved
    SavedLists(2 queries, 2 pictures, ranked_lists.html, ranked_lists.csv)
    >>> saved.pictures[0].name[:4], saved.left_out
    ('001_', {})
    """

    page: Path
    lines: Path
    pictures: list[Path] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return (
            f"SavedLists({counted(len(self.queries), 'queries')}, {counted(len(self.pictures), 'pictures')}, {self.page.name}, {self.lines.name}"
            f"{left})"
        )


def save_ranked_lists(
    tables: EmbeddingTable | TablesByName,
    folder: str | Path,
    *,
    queries: str | Sequence[Sample | int] = WORST,
    n: int = 20,
    k: int = 10,
    **options: Unpack[SavedListOptions],
) -> SavedLists:
    """Write the ranked lists of some queries into a folder: a picture of each, one page, and a CSV table.

    Right and wrong results are marked as on screen. The page needs neither network nor kernel, and sorts the queries by
    average precision. Files of these names are replaced, each by one rename; others stay.

    Parameters
    ----------
    tables
        From :func:`mswin_viz.embed`: plain and enhanced features make a list each, where they differ. Or a dictionary as
        :class:`mswin_viz.RetrievalView` and :func:`mswin_viz.query_table` take it, name -> table, or ``(table, "plain")``: a
        list for each name, of the images that all tables have, found by their files. The foot of the page names those that
        only some have.
    folder
        Where the files go; made if it is missing.
    queries
        ``"worst"``: those of lowest average precision (of the last list, so with the add-on where there is one). Or a list
        of samples, or of their positions among those that were embedded (for the first table, of several).
    n
        How many of the worst.
    k
        Results in a list.
    rule : str
        The matching rule, as for :func:`mswin_viz.neighbours`; ``"camera"`` by default.
    modality : str
        What is ranked by, such as ``"NI"`` or ``"RGB+TI"``; all of the table's joined by default. For joined and equalised
        features, pass ``table.concatenated(equalised=True)``.
    kind : str
        Of the pictures: ``"png"`` (the default), ``"svg"`` or ``"pdf"``.
    provenance : str
        Which model and data this is of, such as ``model.provenance``: printed below each picture, at the foot of the page,
        and in the table.
    report : Report
        Called after each block of queries and each picture.
    stop : Stop
        Asked as often; True ends the work. Pictures that are there by then stay.

    Returns
    -------
    saved
        The files, and the queries that have no list, with the reason.

    Raises
    ------
    OptionError
        If the tables, a query or an option is of another kind or not in the table, or tables say different things of an
        image.
    DataError
        If no query has a list, or the tables have no image in common.
    ShapeError
        If a feature has no direction.
    OutputError
        If the folder cannot be written to, which is checked first.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> saved = mv.save_ranked_lists(table, "lists", queries=samples[:1], k=3, modality="TI", provenance=model.provenance)
    >>> [file.name for file in (*saved.pictures, saved.page, saved.lines)]
    ['001_000001_cam1_0_00.png', 'ranked_lists.html', 'ranked_lists.csv']
    """
    chosen = options_of(ListOptions, options, function="save_ranked_lists", also=("queries", "n", "k"))
    check_counts(1, n=n, k=k)
    folder = output_folder(folder, "the folder of ranked lists")
    found = saved_features(tables, chosen.modality)
    report = reporter(chosen.report) or unheard
    is_worst = isinstance(queries, str)
    choosing = replace(chosen, report=portion(report, 0, _CHOOSING))
    positions = chosen_samples(queries, found, n, choosing)
    writing = portion(report, _CHOOSING if is_worst else 0, 1)
    words = _provenance(found, chosen, is_worst)
    return _Writer(folder, found, k, chosen, words).write(positions, writing)


@dataclass(frozen=True, eq=False)
class _Writer:
    """Writes the lists of some samples, one query after another."""

    folder: Path
    features: SavedFeatures
    k: int
    options: ListOptions
    words: str

    def write(self, positions: Sequence[int], report: Report) -> SavedLists:
        saved = SavedLists(self.folder / PAGE, self.folder / LINES)
        lists = self.features.lists
        page = ListsPage(tuple(self.features.title(name) for name in lists.names))
        lines: list[dict[str, Any]] = []
        steps = StepCounter(len(positions), report, self.options.stop, "drawing ranked lists")
        for position in positions:
            if steps.stopping():
                raise StoppedError(
                    f"saving was stopped after {steps.done} of {counted(steps.total, 'queries')}"
                )
            try:
                found = self._ranked(position)
            except OutputError:
                raise
            except MswinVizError as problem:
                saved.left_out[self._name(position)] = str(problem)
                steps.spared(1)
                continue
            saved.queries.append(position)
            picture = self._draw(len(saved.queries), found)
            saved.pictures.append(picture)
            page.add(lists.table, [(lists.of[name][0], hits) for name, hits in found.items()], [picture.name])
            lines += self._lines(found)
            steps.passed(1)
        if not saved.queries:
            why = next(iter(saved.left_out.values()))
            raise DataError(
                f"ranked lists need a query that has one: got {len(positions)}, of the first: {why}"
            )
        self._finish(saved, page, lines)
        return saved

    def _ranked(self, position: int) -> dict[str, Neighbours]:
        """The neighbours of the sample's row, by list."""
        lists, options = self.features.lists, self.options
        row = lists.table.row_of(position, self.features.modality)
        if row < 0:
            raise DataError(f"it has no {self.features.modality} row")
        return {
            name: neighbours(table, row, k=self.k, feature=feature, rule=options.rule)
            for name, (table, feature) in lists.of.items()
        }

    def _draw(self, number: int, found: Mapping[str, Neighbours]) -> Path:
        table = self.features.lists.table
        figure = ranked_figure(table, found, provenance=self.words)
        row = next(iter(found.values())).query
        parts = (f"{number:03d}", plain_stem(table.path[row].stem))
        file = self.folder / f"{'_'.join(filter(None, parts))}.{self.options.kind}"
        return write_bytes(file, figure_bytes(figure, self.options.kind, dpi=_DPI))

    def _lines(self, found: Mapping[str, Neighbours]) -> list[dict[str, Any]]:
        """One for each result."""
        lists, table = self.features.lists, self.features.lists.table
        return [
            {
                "query": shown_text(table.path[hits.query]),
                "query_pid": int(table.pid[hits.query]),
                "query_camid": int(table.camid[hits.query]),
                "modality": self.features.modality,
                "table": shown_text(name) if lists.is_named else "",
                "feature": hits.feature,
                "average_precision": hits.average_precision,
                "first_match": hits.first_right,
                "rank": rank,
                "result": shown_text(table.path[row]),
                "pid": int(table.pid[row]),
                "camid": int(table.camid[row]),
                hits.metric: float(similarity),
                "mark": mark,
                "provenance": self.words,
            }
            for name, hits in found.items()
            for rank, (row, similarity, mark) in enumerate(
                zip(hits.rows.tolist(), hits.similarity, hits.marks, strict=True), 1
            )
        ]

    def _finish(self, saved: SavedLists, page: ListsPage, lines: Sequence[Mapping[str, Any]]) -> None:
        import pandas as pd  # slow to import

        title = f"Ranked lists of {counted(len(saved.queries), 'queries')}"
        notes = "".join(f" {note}" for note in self.features.lists.notes)
        made = f"{self.words}.{notes} Saved {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        write_bytes(saved.page, page.document(title, made).encode())
        write_bytes(saved.lines, csv_file(pd.DataFrame(list(lines))))

    def _name(self, position: int) -> str:
        table = self.features.given.table
        at = int((table.sample == position).argmax())
        return shown_text(table.path[at].name) or who(table, at)


def _provenance(features: SavedFeatures, options: ListOptions, is_worst: bool) -> str:
    lists = features.lists
    chosen = f"Queries: those of lowest average precision by {features.title(lists.names[-1])}. " * is_worst
    given = f"; {shown_text(options.provenance)}" if options.provenance else ""
    return f"{chosen}Ranked by {features.modality}, rule {options.rule}{given}; mswin_viz {__version__}"
