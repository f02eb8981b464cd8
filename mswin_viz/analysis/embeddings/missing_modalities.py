"""Retrieval with one or two modalities absent from query and gallery: the six columns M(RGB) to M(NI+TI) of the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Unpack

import numpy as np
import torch

from mswin_viz.analysis.arrays import chosen_rows
from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.image_sets import JOINED, paired_cell
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.measures.paired_retrieval import (
    PairedRetrieval,
    family_words,
    paired_frame,
    paired_words,
)
from mswin_viz.analysis.measures.protocol_options import ProtocolOptions, ProtocolRequest
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import StepCounter, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, ShapeError, StoppedError
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.image_tags import ImageTag

if TYPE_CHECKING:
    import pandas as pd

    from mswin_viz.model.encoder.backbone import Model

NONE_MISSING = "none"
"""The column in which all modalities are there."""
WAYS = {
    "left out": "the features of a missing modality are left out, and those of the others are joined",
    "blank image": "in place of a missing modality's images the model sees an input of zeros, and all features are joined (as DeMo does)",
}
"""What stands for a missing modality, in words."""


@dataclass(frozen=True, eq=False)
class MissingModalities:
    """Retrieval by all modalities of a shot joined, and without some of them, plain and enhanced.

    Attributes
    ----------
    way
        ``"left out"`` or ``"blank image"``: what stands for a missing modality.
    cells
        What is missing, ``"none"``, ``"RGB"`` or ``"RGB+NI"`` -> what was measured; see :class:`PairedRetrieval`.
    notes
        What the numbers rest on, in sentences.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> found = mv.missing_modalities(table, draws=200)
    >>> list(found.cells)
    ['none', 'RGB', 'NI', 'TI', 'RGB+NI', 'RGB+TI', 'NI+TI']
    >>> found.to_pandas().index.tolist()[1], found.way
    ('M(RGB)', 'left out')
    """

    way: str
    cells: Mapping[str, PairedRetrieval]
    notes: tuple[str, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        """One line for each column of the field, by ``"M(RGB)"`` and so on: mAP, mINP and Rank-k of both, fractions, and changes with interval and p.

        ``p_adjusted`` is p after Holm's correction for all columns. The last line, ``"mean"``, is the mean of each measure over the columns in which something is missing, as papers give it.
        """
        frame = paired_frame(list(self.cells.values()))
        frame.index = [column_words(name) for name in self.cells]
        frame.index.name = "missing"
        measures = [name for name in frame.columns if name.startswith(("plain_", "enhanced_"))]
        frame.loc["mean", measures] = frame[measures].iloc[1:].mean(skipna=False)
        return frame

    def sentences(self) -> list[str]:
        """What each column gives, after what all of them rest on; then what is left after Holm's correction."""
        named = {_missing_words(name): found for name, found in self.cells.items()}
        each = (f"{name}: {paired_words(found)}." for name, found in named.items())
        return [*self.notes, *each, *family_words(named)]


def missing_modalities(
    table: EmbeddingTable, *, model: Model | None = None, **options: Unpack[ProtocolOptions]
) -> MissingModalities:
    """The six missing-modality columns of TOP-ReID, MambaPro and DeMo: one or two modalities absent from query *and* gallery.

    Features are joined raw, in the order RGB, NI, TI, as the host does; over the shots that have every modality, so that
    all columns are of the same queries.

    **What stands for the missing one** differs between published codes, and so do the figures. With ``model`` it is
    DeMo's evaluation (``TEST.MISS``): the normalised image is replaced by zeros, the tower and the add-on run on it with the tag
    of the shot's camera, and its feature is joined like any other. Without a model its feature is **left out**, so that what
    remains is retrieval by the other modalities; that is the figure to ask of features of which nothing can be made again. TOP-ReID
    reconstructs the tokens of the missing modality from the others with a trained part, and MambaPro's published code has the
    option but no code for it; neither is done here.

    Parameters
    ----------
    table
        From :func:`embed`, with the images of at least two modalities.
    model
        The one that made the table, for blank images; None to leave features out.
    query, gallery
        Rows of the table whose shots are queries, or in the gallery; all if None.
    rule, ranks, reranking
        As in :func:`retrieval`; ``"camera"`` and 1, 5 and 10 if not given. The metric is the table's.
    draws, flips, seed
        As in :func:`compare`.
    report, stop
        ``report(progress)`` is called, and ``stop()`` asked, after each column.

    Returns
    -------
    found
        Of each column, retrieval with both kinds of features and the change with interval and test.

    Raises
    ------
    OptionError
        If ``table`` is not a table, ``model`` not a model, or an option wrong.
    DataError
        If the table has no rows or fewer than two modalities, or no shot has all of them.
    ShapeError
        If the model's features are not as wide as the table's, or a feature has no direction.
    StoppedError
        If a stop was asked for.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], progress=False)
    >>> left_out, blank = (mv.missing_modalities(table, model=each, draws=200) for each in (None, model))
    >>> print(left_out.sentences()[-2])
    Without NI and TI: mAP ...% plain, ...% enhanced, change ...
    >>> blank.way, len(blank.cells)
    ('blank image', 7)
    """
    request = options_of(ProtocolRequest, options, function="missing_modalities", also=("model",))
    table, model = checked_table(table), None if model is None else checked_model(model)
    parts, n_without = _complete(table)
    blanks = {} if model is None else {name: _blank(model, part, name) for name, part in parts.items()}
    shots = next(iter(parts.values())).sample
    chosen = {
        role: np.flatnonzero(
            np.isin(shots, table.sample[chosen_rows(getattr(request, role), len(table), role)])
        )
        for role in ("query", "gallery")
    }
    columns = [NONE_MISSING, *(JOINED.join(names) for names in _subsets(list(parts)))]
    steps = StepCounter(len(columns), reporter(request.report), request.stop, "leaving modalities out")
    cells: dict[str, PairedRetrieval] = {}
    for column in columns:
        cells[column] = paired_cell([_joined(parts, blanks, column)], request, **chosen)
        if steps.passed(1) and len(cells) < len(columns):
            raise StoppedError(f"stopped on request after {len(cells)} of {counted(len(columns), 'columns')}")
    way = "left out" if model is None else "blank image"
    return MissingModalities(way, cells, tuple(_notes(way, n_without, cells[NONE_MISSING])))


def column_words(name: str) -> str:
    """How papers head the column: ``"M(RGB)"``; ``"none"`` where nothing is missing."""
    return name if name == NONE_MISSING else f"M({name})"


def _missing_words(name: str) -> str:
    return (
        "Nothing missing"
        if name == NONE_MISSING
        else f"Without {modality_words(name).removesuffix(' together')}"
    )


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every choice of missing modalities that leaves at least one."""
    for n in range(1, len(names)):
        yield from combinations(names, n)


def _complete(table: EmbeddingTable) -> tuple[dict[str, EmbeddingTable], int]:
    """The rows of each modality, of the shots that have all of them in the same order; and how many shots do not."""
    names = [name for name in MODALITIES if len(table.rows(name))]
    if len(names) < 2:
        raise DataError(
            f"a modality can be missing only where there are two: got a table with {', '.join(table.modalities)}; "
            "embed the images of several, and do not join them first"
        )
    found = {name: {int(table.sample[row]): row for row in table.rows(name)} for name in names}
    shots = [shot for shot in found[names[0]] if all(shot in rows for rows in found.values())]
    if not shots:
        raise DataError(f"at least one shot must have all of {', '.join(names)}: got none in {table!r}")
    parts = {name: table[[rows[shot] for shot in shots]] for name, rows in found.items()}
    return parts, len(np.unique(table.sample)) - len(shots)


def _joined(
    parts: Mapping[str, EmbeddingTable], blanks: Mapping[str, EmbeddingTable], column: str
) -> EmbeddingTable:
    """The modalities of each shot as one, without the missing ones or with what stands for them."""
    missing = () if column == NONE_MISSING else tuple(column.split(JOINED))
    used = {name: part for name, part in parts.items() if name not in missing or blanks}
    used |= {name: blanks[name] for name in missing if blanks}
    tables = list(used.values())
    columns = ("sample", "modality", "pid", "camid", "scene", "split", "plain", "enhanced")
    one_by_one = replace(
        tables[0],
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns},
        files=tuple(files for table in tables for files in table.files),
    )
    return one_by_one.concatenated(list(used)) if len(used) > 1 else one_by_one


def _blank(model: Model, part: EmbeddingTable, name: str) -> EmbeddingTable:
    """The same rows as a model sees them if its normalised input is zero everywhere: one feature for each camera."""
    mean = 255 * torch.tensor(model.tower.mean, dtype=torch.float32)
    pixels = mean[None, :, None, None].expand(1, 3, *model.image_size)
    cameras, owner = np.unique(part.camid, return_inverse=True)
    plain, enhanced = [], []
    for camid in cameras.tolist():
        tokens = model.encode_pixels(pixels, *model.conditions(1, tags=ImageTag(name, camid)))
        plain.append(tokens.cls.cpu().numpy())
        enhanced.append(model.enhance(tokens).cls.cpu().numpy())
    made = {"plain": np.concatenate(plain)[owner], "enhanced": np.concatenate(enhanced)[owner]}
    widths = {kind: (rows.shape[1], getattr(part, kind).shape[1]) for kind, rows in made.items()}
    if any(one != other for one, other in widths.values()):
        words = ", ".join(f"{kind} {one} and {other}" for kind, (one, other) in widths.items())
        raise ShapeError(
            f"the model must be the one that made the table: got features of it and of the table with {words} numbers"
        )
    return replace(part, **{kind: rows.astype(np.float32) for kind, rows in made.items()})


def _notes(way: str, n_without: int, first: PairedRetrieval) -> Iterator[str]:
    yield f"In query and gallery alike, {WAYS[way]}."
    yield f"Ranked by {first.plain.ranking_words}; rule: {first.plain.rule}."
    if n_without:
        yield f"{counted(n_without, 'shots lack', 'shot lacks')} a modality and {'is' if n_without == 1 else 'are'} left out of every column."
    yield from first.plain.notes
