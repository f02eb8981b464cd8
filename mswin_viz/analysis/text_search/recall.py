"""How early captions find the identity they describe, in each modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.measures.ranking import DIGITS
from mswin_viz.analysis.text_search.search import (
    TextSearchRequest,
    gallery_rows,
    searched_modalities,
    searched_splits,
    text_cosines,
    text_directions,
)
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, PromptError, StoppedError
from mswin_viz.model.encoder.given import checked_model

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.model.encoder.backbone import Model

RANKS = (1, 5, 10)
"""Of the recall."""
_AT_ONCE = 64  # captions between two looks at the stop


_Described = tuple[str, int]
"""A caption and the identity it describes."""


class TextRecallOptions(TypedDict, total=False):
    """Options of :func:`text_recall` by keyword; see there."""

    modalities: Sequence[str] | None
    feature: str
    splits: Sequence[str] | None
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True)
class _Request(TextSearchRequest):
    report: Report | None = None
    stop: Stop | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class TextRecall:
    """How early captions find whom they describe.

    Attributes
    ----------
    captions, pids
        The texts that were searched for, and the identity each describes, ``[n]``; a text that describes several
        identities stands there once for each.
    first
        Modality -> rank, from 1, of the first image of that identity, ``[n]``; NaN where the gallery has none of it.
    recall
        Modality -> rank -> part of the answered captions whose identity is among the first ``rank``, 0..1.
    chance
        Modality -> what ``recall`` at rank 1 is for a random order: the mean part of the images that show the identity.
    feature
        ``"plain"`` or ``"enhanced"``.
    left_out
        Caption -> why it was not searched for (too long, or without a word that the text tower knows).

    Examples
    --------
    >>> table = mv.embed(model, samples, progress=False)
    >>> found = mv.text_recall(model, table, samples, modalities=["RGB"])
    >>> len(found.captions), found.first["RGB"].shape, sorted(found.recall["RGB"])
    (24, (24,), [1, 5, 10])
    """

    captions: tuple[str, ...]
    pids: Int[np.ndarray, " caption"]
    first: Mapping[str, Float[np.ndarray, " caption"]]
    recall: Mapping[str, Mapping[int, float]]
    chance: Mapping[str, float]
    feature: str
    left_out: Mapping[str, str]

    def __repr__(self) -> str:
        return f"TextRecall({counted(len(self.captions), 'captions')} in {', '.join(self.first)}; {self.feature} CLS)"

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """The recall in each modality with what a random order gives, over how many captions, and why not over all."""
        lines = []
        for modality, ranks in self.first.items():
            n = int(np.isfinite(ranks).sum())
            if n == 0:
                lines.append(f"{modality}: no caption describes an identity of the gallery.")
                continue
            values = ", ".join(f"R@{rank} {value:.1%}" for rank, value in self.recall[modality].items())
            lines.append(
                f"{modality}: {values} over {n} of {counted(len(ranks), 'captions')}, {self.feature} CLS; a random order finds "
                f"{self.chance[modality]:.1%} at rank 1."
            )
        if self.left_out:
            why = next(iter(self.left_out.values()))
            lines.append(
                f"{counted(len(self.left_out), 'captions')} could not be searched for; the first: {why}"
            )
        return lines


def text_recall(
    model: Model,
    table: EmbeddingTable,
    samples: Sequence[Sample],
    **options: Unpack[TextRecallOptions],
) -> TextRecall:
    """Search the gallery for every caption: at which rank does the first image of the described identity come?

    A caption is taken once for each identity it describes. Of equal cosines the earlier row comes first. Captions are
    taken a block at a time.

    Parameters
    ----------
    model, table
        As for :func:`search_text`.
    samples
        Whose captions are searched for; those of unknown identity are passed over.
    modalities, feature, splits
        As for :func:`search_text`.
    report : Report
        Called after each block of captions.
    stop : Stop
        Asked before each block; True ends the work.

    Returns
    -------
    recall
        Rank of the first right image of each caption, and the recall at 1, 5 and 10, by modality.

    Raises
    ------
    DataError
        If the table has no rows, or no sample of known identity has a caption that can be searched for.
    OptionError, ShapeError
        As for :func:`search_text`.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> table = mv.embed(model, samples, progress=False)
    >>> recall = mv.text_recall(model, table, samples, modalities=["RGB", "NI"])
    >>> [sorted(recall.recall[name]) for name in ("RGB", "NI")], recall.left_out
    ([[1, 5, 10], [1, 5, 10]], {})
    >>> recall.recall["RGB"][1] > recall.recall["NI"][1] > recall.chance["NI"]
    True
    """
    request = options_of(_Request, options, function="text_recall")
    model, table, samples = checked_model(model), checked_table(table), listed_samples(samples)
    modalities = searched_modalities(table, request.modalities)
    splits = searched_splits(table, request.splits)
    rows = {name: gallery_rows(table, name, splits) for name in modalities}
    wanted = dict.fromkeys((one.caption, one.pid) for one in samples if one.caption and one.pid >= 0)
    steps = StepCounter(len(wanted), reporter(request.report), request.stop, "searching for captions")
    left_out: dict[str, str] = {}
    kept: list[_Described] = []
    ranks: dict[str, list[float]] = {name: [] for name in modalities}
    for block in _blocks(list(wanted)):
        if steps.stopping():
            raise StoppedError(
                f"the search was stopped after {steps.done} of {counted(steps.total, 'captions')}"
            )
        pairs, directions = _encoded(model, block, left_out)
        for name in modalities if pairs else ():
            cosines = text_cosines(table, rows[name], directions, request.feature)
            right = table.pid[rows[name]] == np.array([pid for _, pid in pairs])[:, None]
            ranks[name] += map(first_rank, cosines, right)
        kept += pairs
        steps.passed(len(block))
    if not kept:
        raise DataError(
            f"text recall needs captions of known identities: got {counted(len(samples), 'samples')}, {counted(len(wanted), 'captions')} of which "
            f"none can be searched for{''.join(f' ({why})' for why in list(left_out.values())[:1])}; see Sample.caption"
        )
    first = {name: np.array(values) for name, values in ranks.items()}
    pids = np.array([pid for _, pid in kept])
    return TextRecall(
        captions=tuple(caption for caption, _ in kept),
        pids=pids,
        first=first,
        recall={name: _recall_at(values) for name, values in first.items()},
        chance={name: _chance(values, pids, table.pid[rows[name]]) for name, values in first.items()},
        feature=request.feature,
        left_out=left_out,
    )


def first_rank(cosines: Float[np.ndarray, " row"], right: Bool[np.ndarray, " row"]) -> float:
    """Rank, from 1, of the first right row; NaN where no row is right. Rows without a direction (NaN) are not ranked."""
    is_ranked = np.isfinite(cosines)
    similarity, places = np.round(cosines[is_ranked], DIGITS), np.flatnonzero(right[is_ranked])
    if not len(places):
        return float("nan")
    best = similarity[places].max()
    at = int(places[similarity[places] == best][0])
    return float(1 + (similarity > best).sum() + (similarity[:at] == best).sum())


def _blocks(pairs: Sequence[_Described]) -> Iterator[Sequence[_Described]]:
    for start in range(0, len(pairs), _AT_ONCE):
        yield pairs[start : start + _AT_ONCE]


def _encoded(
    model: Model, pairs: Sequence[_Described], left_out: dict[str, str]
) -> tuple[list[_Described], Float[np.ndarray, "caption dim"]]:
    """Those whose caption can be encoded, and a direction for each; the others are left out, with the reason."""
    found: dict[str, np.ndarray] = {}
    captions = list(dict.fromkeys(caption for caption, _ in pairs))
    try:
        directions, _ = text_directions(model, captions)
        found = dict(zip(captions, directions, strict=True))
    except PromptError:
        for caption in captions:
            try:
                found[caption] = text_directions(model, caption)[0][0]
            except PromptError as problem:
                left_out[caption] = str(problem)
    kept = [pair for pair in pairs if pair[0] in found]
    return kept, np.reshape([found[caption] for caption, _ in kept], (-1, model.dim))


def _recall_at(ranks: Float[np.ndarray, " caption"]) -> dict[int, float]:
    answered = ranks[np.isfinite(ranks)]
    return {rank: float((answered <= rank).mean()) if len(answered) else float("nan") for rank in RANKS}


def _chance(
    ranks: Float[np.ndarray, " caption"],
    pids: Int[np.ndarray, " caption"],
    there: Int[np.ndarray, " row"],
) -> float:
    """The mean part of the rows that show the identity of an answered caption."""
    parts = [float((there == pid).mean()) for pid in pids[np.isfinite(ranks)].tolist()]
    return float(np.mean(parts)) if parts else float("nan")
