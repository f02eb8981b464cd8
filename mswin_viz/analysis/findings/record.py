"""What was found to be wrong with a data set, worst first, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import ComparedItems, item_files
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import label_of
from mswin_viz.data.shown_text import counted, shown_text

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

KINDS = ("wrong identities", "near-duplicates", "split leaks", "outliers")
"""What is looked for."""
_THINGS = {
    "wrong identities": ("probably wrong identity", "probably wrong identities"),
    "near-duplicates": ("pair of near-duplicates", "pairs of near-duplicates"),
    "split leaks": ("leak between splits", "leaks between splits"),
    "outliers": ("outlier", "outliers"),
}


@dataclass(frozen=True)
class Finding:
    """One item that may be wrong: the table's row, what was compared, why, and what shows it."""

    row: int
    modality: str
    what: str
    score: float
    reason: str
    evidence: tuple[int, ...]
    suggested: int = -1


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """What may be wrong with the images of a table, worst first. Made by one of four functions; a person decides.

    Attributes
    ----------
    kind
        ``"wrong identities"``, ``"near-duplicates"``, ``"split leaks"`` or ``"outliers"``.
    table, feature
        The table that was looked at, and by which of its features.
    rows
        The table's row of each finding, ``[n]``; of a sample that was compared by joined modalities its first one's.
    modality
        What was compared, ``[n]``: a modality, or joined ones as ``"RGB+NI+TI"``.
    what
        What each is, ``[n]``: the kind of fault, and for copies whether files, pixels or features are the same.
    score
        How bad each is, ``[n]``, the largest first; its meaning is said where each kind is made.
    reasons
        Why each is here, in words, ``[n]``.
    evidence
        Rows of the table that show it, for each finding: neighbours, the other one of a pair.
    suggested
        The identity that neighbours agree on, ``[n]``; -1 where none is suggested.
    n_checked
        How many items (samples by joined modalities, else images) were looked at.
    criterion
        When something is listed, in a sentence, with the numbers that this table gave.
    notes
        What could not be looked at, and why, in sentences.

    Examples
    --------
    >>> table = mv.embed(model, samples[:32], modalities=["RGB"], progress=False)
    >>> table.pid[5] = 1  # an image of another person
    >>> found = mv.wrong_identities(table)
    >>> len(found), found.rows.tolist(), found.suggested.tolist()
    (1, [5], [2])
    >>> found.reasons[0]
    '2 of its 2 nearest from other cameras are id 2, none is id 1'
    >>> found.to_pandas().columns.tolist()[-4:]
    ['score', 'reason', 'suggested', 'evidence']
    """

    kind: str
    table: EmbeddingTable
    feature: str
    rows: Int[np.ndarray, " finding"]
    modality: tuple[str, ...]
    what: tuple[str, ...]
    score: Float[np.ndarray, " finding"]
    reasons: tuple[str, ...]
    evidence: tuple[tuple[int, ...], ...]
    suggested: Int[np.ndarray, " finding"]
    n_checked: int
    criterion: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Findings({len(self)} {self.kind} among {self.n_checked})"

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def files(self, number: int) -> Mapping[str, Path | Crop]:
        """Modality -> file of what a finding is about."""
        return item_files(self.table, int(self.rows[number]), self.modality[number])

    def evidence_files(self, number: int) -> list[Mapping[str, Path | Crop]]:
        """The same of each of its evidence."""
        return [item_files(self.table, row, self.modality[number]) for row in self.evidence[number]]

    def sentences(self) -> list[str]:
        """How many there are among how many, when something is listed, and what could not be looked at."""
        one, many = _THINGS[self.kind]
        if self.n_checked == 0 and not len(self):
            none = counted(len(self.table), "images", "image")
            first = f"{many.capitalize()} were not looked for: nothing can be checked in a table of {none}."
            return [first, self.criterion, *self.notes]
        n = counted(len(self), many, one) if len(self) else f"No {one}"
        return [f"{n} among {counted(self.n_checked, self._items)}.", self.criterion, *self.notes]

    @property
    def _items(self) -> str:
        return "items" if len(self.table.modalities) > 1 else "images"

    def to_pandas(self, numbers: Sequence[int] | None = None) -> pd.DataFrame:
        """The columns of :meth:`EmbeddingTable.to_pandas` and what was found; the index is the table's row.

        Parameters
        ----------
        numbers
            Which findings, by their place in the list; all if None.

        Returns
        -------
        frame
            One line for each finding, in order: ``modality`` is what was compared; ``kind``, ``what``, ``score``,
            ``reason``, ``suggested`` (-1 where no identity is) and ``evidence``, the paths that show it, one in a line.
        """
        chosen = list(range(len(self)) if numbers is None else numbers)
        rows = self.rows[chosen]
        frame = self.table[rows].to_pandas().set_index(rows)
        paths = self.table.path
        return frame.assign(
            modality=[self.modality[at] for at in chosen],
            kind=self.kind,
            what=[self.what[at] for at in chosen],
            score=self.score[chosen],
            reason=[self.reasons[at] for at in chosen],
            suggested=self.suggested[chosen],
            evidence=["\n".join(shown_text(paths[row]) for row in self.evidence[at]) for at in chosen],
        )


def findings_of(
    kind: str, table: EmbeddingTable, feature: str, found: Sequence[Finding], *, items: ComparedItems,
    words: tuple[str, Sequence[str]],
) -> Findings:  # fmt: skip
    """A record of findings in the order given; ``words`` are the criterion and the notes."""
    criterion, notes = words
    return Findings(
        kind=kind,
        table=table,
        feature=feature,
        rows=np.array([one.row for one in found], np.int64),
        modality=tuple(one.modality for one in found),
        what=tuple(one.what for one in found),
        score=np.array([one.score for one in found], np.float64),
        reasons=tuple(one.reason for one in found),
        evidence=tuple(one.evidence for one in found),
        suggested=np.array([one.suggested for one in found], np.int64),
        n_checked=items.n_checked,
        criterion=criterion,
        notes=(*notes, *_notes_of(table, items)),
    )


def named(table: EmbeddingTable, row: int) -> str:
    """A row's identity, camera and scene, as far as they are known; else its file's name."""
    known = label_of(int(table.pid[row]), int(table.camid[row]), int(table.scene[row]))
    return known or shown_text(table.path[row].name)


def named_beside(table: EmbeddingTable, row: int, other: int) -> str:
    """:func:`named` of another row, with its split where that is not the split of ``row``."""
    mine, theirs = str(table.split[row]), str(table.split[other])
    where = f" in {theirs} (this one: {mine})" if mine != theirs and mine and theirs else ""
    return named(table, other) + where


def _notes_of(table: EmbeddingTable, items: ComparedItems) -> list[str]:
    """How items were compared where not all were compared alike, and which were left out."""
    notes = []
    if len(items.groups) > 1:
        parts = ", ".join(
            f"{int(group.asked.sum()):,} by {modality_words(group.modality)}" for group in items.groups
        )
        notes.append(f"Not every sample has every modality: {parts}.")
    n_bad = items.n_left_out
    if n_bad:
        notes.append(
            f"{n_bad:,} left out: {'its' if n_bad == 1 else 'their'} features have no direction or are not finite."
        )
    if table.failed:
        n = len(table.failed)
        notes.append(f"{counted(n, 'images')} could not be read or encoded.")
    return notes
