"""Everything that the maps of a set of embeddings show: places, measures of the full space, and words for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.given import of_table
from mswin_viz.analysis.embeddings.neighbours import failed_words
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.comparison import compare
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.measures.matching import check_rule
from mswin_viz.analysis.projection.record import Projection
from mswin_viz.analysis.projection.sampled import MOST_MAPPED, project_some
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Progress, Report, Stop, portion, reporter, unheard
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, MswinVizError, OptionError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float

SHOWN = ("all", *MODALITIES, "together")
"""Every image; those of one modality; or the samples that have all three, their features joined raw."""
COUPLING_WORDS = (
    "How similar the two maps look is set by the coupling, which pulls each image's two places together; judge the "
    "add-on by the measures."
)
_PER_ROW = ("plain_ap", "enhanced_ap", "overlap", "plain_silhouette", "enhanced_silhouette")
_STOPPED = "the comparison was stopped before it finished; there are no measures"
_PROJECTING = 0.85  # part of the progress bar that the projection takes


@dataclass(frozen=True)
class ViewSettings:
    """Settings of the maps and the measures.

    Attributes
    ----------
    show
        ``"all"`` images; those of ``"RGB"``, ``"NI"`` or ``"TI"``; or the three of a sample ``"together"``.
    rule
        What a query leaves out of its own identity: ``"camera"``, ``"scene"``, or ``"none"``.
    most
        Of how many images the maps are computed; of more, so many are drawn at random, and the others placed among them.
    coupling, perplexity, seed
        Of :func:`mswin_viz.project`. The coupling is stronger here than there: arrows and
        morphs need halves that lie on each other, and on the shipped samples 0.2 is the least that does it, at the
        price of a few points of kNN recall (see :func:`mswin_viz.coupling_sweep`).

    Examples
    --------
    >>> mv.ViewSettings().coupling
    0.2
    >>> mv.ViewSettings(show="TI", rule="none", perplexity=10)
    ViewSettings(show='TI', rule='none', coupling=0.2, perplexity=10, seed=0, most=10000)
    """

    show: str = "all"
    rule: str = "camera"
    coupling: float = 0.2
    perplexity: float = 30.0
    seed: int = 0
    most: int = MOST_MAPPED


@dataclass(frozen=True, eq=False)
class EmbeddingView:
    """Plain and enhanced embeddings of the same ``n`` rows on two maps, and their measures.

    Attributes
    ----------
    table
        The rows on the maps, ``n`` of them; copies of an image have been removed.
    settings
        What was asked for.
    projection
        Places, with their quality; row ``i`` of both maps is row ``i`` of ``table``.
    comparisons
        Modality -> plain against enhanced, over all rows of it, in the full space.
    plain_ap, enhanced_ap
        Average precision of each row as a query among the rows of its modality, ``[n]``; NaN where it has no match.
    overlap
        Fraction of each row's nearest others that stay the same, ``[n]``.
    plain_silhouette, enhanced_silhouette
        By identity, ``[n]``; NaN where an identity has one row.
    notes
        What could not be measured, and why.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(perplexity=5))
    >>> len(view), view.projection.plain.shape, view.plain_ap.shape, list(view.comparisons)
    (24, (24, 2), (24,), ['RGB'])
    >>> print(view.sentences()[0])
    RGB: mAP 100.0% plain, 100.0% enhanced, over 24 queries (6 identities), ranked by cosine; change +0.0 points (95% interval +0.0 to +0.0, bootstrap over identities).
    """

    table: EmbeddingTable
    settings: ViewSettings
    projection: Projection
    comparisons: Mapping[str, Comparison]
    plain_ap: Float[np.ndarray, " row"]
    enhanced_ap: Float[np.ndarray, " row"]
    overlap: Float[np.ndarray, " row"]
    plain_silhouette: Float[np.ndarray, " row"]
    enhanced_silhouette: Float[np.ndarray, " row"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"EmbeddingView({counted(len(self), 'rows')}, {self.settings.show}; measured: {', '.join(self.comparisons)})"

    @property
    def ap_change(self) -> Float[np.ndarray, " row"]:
        """Enhanced minus plain average precision of each row, ``[n]``."""
        return self.enhanced_ap - self.plain_ap

    def sentences(self) -> list[str]:
        """What the numbers say, modality by modality, and what the maps can and cannot show."""
        measured = [
            f"{modality_words(name)}: {sentence}"
            for name, comparison in self.comparisons.items()
            for sentence in comparison.sentences()
        ]
        return [*self.notes, *failed_words(self.table), *measured, *self.projection.sentences()]


def embedding_view(
    table: EmbeddingTable,
    settings: ViewSettings | None = None,
    *,
    report: Report | None = None,
    stop: Stop | None = None,
) -> EmbeddingView:
    """Project the rows that are asked for, and compare plain and enhanced in the full space, by modality.

    Parameters
    ----------
    table
        From :func:`mswin_viz.embed`.
    settings
        What to show; every image if None.
    report
        Called now and then with how far the work is, and what is being done.
    stop
        Asked now and then; true ends the work.

    Returns
    -------
    view
        Both maps, and the comparison of each modality; :class:`EmbeddingExplorer` and the figures show it.

    Raises
    ------
    OptionError
        If an option is not one of those on offer.
    DataError, ShapeError
        If no row is left, or there are too few for a map.
    StoppedError
        If ``stop`` said so.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> view = mv.embedding_view(table, mv.ViewSettings(show="together", perplexity=5))
    >>> len(view), view.table.modalities
    (24, ('RGB+NI+TI',))
    >>> view.ap_change.shape
    (24,)
    """
    of_table(table)
    settings = ViewSettings() if settings is None else settings
    check_rule(settings.rule)
    report = reporter(report) or unheard
    projected, compared = portion(report, 0, _PROJECTING), portion(report, _PROJECTING, 1)
    rows = chosen_rows(table, settings.show)

    projection = project_some(
        rows.plain, rows.enhanced, coupling=settings.coupling, most=settings.most, perplexity=settings.perplexity,
        seed=settings.seed, report=projected, stop=stop,
    )  # fmt: skip
    if projection.stopped:
        raise StoppedError("the projection was stopped before it finished; there is no map")
    measured = {name: np.full(len(rows), np.nan) for name in _PER_ROW}
    comparisons, notes = {}, []
    n_compared = len(rows.modalities)
    for at, modality in enumerate(rows.modalities):
        compared(Progress(at, n_compared, f"comparing {modality_words(modality)}"))
        if stop is not None and stop():
            raise StoppedError(_STOPPED)
        of_one = portion(compared, at / n_compared, (at + 1) / n_compared)
        told = _renamed(of_one, f"comparing {modality_words(modality)}")
        try:
            comparisons[modality] = _compared(rows, modality, settings, measured, report=told, stop=stop)
        except StoppedError as problem:
            raise StoppedError(_STOPPED) from problem
        except MswinVizError as problem:
            notes.append(f"{modality_words(modality)} cannot be measured: {problem}")
    report(Progress(1, 1, "done"))
    kept = {name: values[projection.kept] for name, values in measured.items()}
    return EmbeddingView(rows[projection.kept], settings, projection, comparisons, **kept, notes=tuple(notes))


def _renamed(report: Report, words: str) -> Report:
    return lambda progress: report(Progress(progress.done, progress.total, words))


def chosen_rows(table: EmbeddingTable, show: str) -> EmbeddingTable:
    """The rows that ``show`` asks for.

    Raises OptionError if ``show`` is not one of ``SHOWN``; DataError if there is no such row.
    """
    if show not in SHOWN:
        raise OptionError(f"show must be one of {', '.join(SHOWN)}: got {show!r}")
    if show == "together":
        return table.concatenated(MODALITIES)
    if show == "all":
        return table
    rows = table.rows(show)
    if not len(rows):
        raise DataError(
            f"the table has no {show} row: it has {', '.join(table.modalities)}; show one of these"
        )
    return table[rows]


def _compared(
    rows: EmbeddingTable,
    modality: str,
    settings: ViewSettings,
    measured: dict[str, np.ndarray],
    *,
    report: Report,
    stop: Stop | None,
) -> Comparison:
    """Plain against enhanced in one modality; what it says of each row is written into ``measured``."""
    own = rows.rows(modality)
    part = rows[own]
    found = compare(
        part.plain, part.enhanced, part.pid, part.camid,
        rule=settings.rule, scenes=part.scene, metric=part.metric, seed=settings.seed, report=report, stop=stop,
    )  # fmt: skip
    measured["plain_ap"][own] = found.plain.per_query_ap
    measured["enhanced_ap"][own] = found.enhanced.per_query_ap
    for name in ("overlap", "plain_silhouette", "enhanced_silhouette"):
        measured[name][own] = getattr(found, name)
    return found
