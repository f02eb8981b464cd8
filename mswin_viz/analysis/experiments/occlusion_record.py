"""What occlusion curves are: a row for each feature, modality and fraction, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.comparison_record import ALPHA
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.shown_text import counted
from mswin_viz.model.encoder.encoded_batch import Failure

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float


@dataclass(frozen=True)
class OcclusionPoint:
    """One feature's retrieval at one fraction; fractions 0..1, NaN where nothing could be measured.

    ``lead`` is the mAP of the leading feature (see `OcclusionCurves.leading`) minus this one's, with the ends of its
    interval and the p of a paired sign-flip test, both over identities.
    """

    modality: str
    name: str
    fraction: float
    rows: int
    masked: float
    mAP: float  # noqa: N815 (the field's name)
    low: float
    high: float
    rank1: float
    mINP: float  # noqa: N815 (the field's name)
    n_queries: int
    n_identities: int
    lead: float
    lead_low: float
    lead_high: float
    p: float

    @property
    def verdict(self) -> str:
        """``"ahead"`` or ``"behind"`` (the leading feature) if p < 0.05 and 0 is outside the interval; else ``"level"``."""
        if self.p < ALPHA and (self.lead_low > 0 or self.lead_high < 0):
            return "ahead" if self.lead > 0 else "behind"
        return "level"


@dataclass(frozen=True, eq=False)
class OcclusionCurves:
    """Retrieval while more and more rows of the pictures are covered.

    Attributes
    ----------
    points
        One for each modality (the joined ones last), feature and fraction.
    modalities, names
        ``"RGB"`` and so on, and the joined ones such as ``"RGB+NI+TI"``; ``"plain"``, ``"enhanced"``, the nulls, then what
        was given as ``others``.
    nulls
        Those of the names that learned nothing.
    leading
        ``"enhanced"``, or ``"plain"`` for a model without an add-on: whose lead each point has.
    fractions, rows, height
        Asked for; rows that are covered, and how many there are: ``rows / height`` is what was covered exactly.
    query_ap
        Modality -> average precision of each query, ``[name, fraction, query]``; NaN without a match.
    side, masked, fill, rule, draws
        As asked for.
    failed
        Images that were left out, and why.
    notes
        What the rule could not do for want of numbers, in sentences.

    Examples
    --------
    >>> some = {"modalities": ["TI"], "fractions": (0, 0.5), "controls": False, "draws": 200, "progress": False}
    >>> curves = mv.occlusion_curves(model, samples[:16], **some)
    >>> curves.names, curves.rows, curves.height
    (('plain', 'enhanced'), (0, 128), 256)
    >>> curves.query_ap["TI"].shape
    (2, 2, 16)
    """

    points: tuple[OcclusionPoint, ...]
    modalities: tuple[str, ...]
    names: tuple[str, ...]
    nulls: tuple[str, ...]
    leading: str
    fractions: tuple[float, ...]
    rows: tuple[int, ...]
    height: int
    query_ap: Mapping[str, Float[np.ndarray, "name fraction query"]]
    side: str
    masked: str
    fill: str
    rule: str
    draws: int
    failed: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def curve(self, modality: str, name: str) -> list[OcclusionPoint]:
        """The points of one feature, by fraction; none where there is no such curve."""
        return [point for point in self.points if (point.modality, point.name) == (modality, name)]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each point: ``modality``, ``name``, ``fraction`` asked for, ``rows`` and the fraction ``masked`` exactly,
        ``mAP`` with ``low`` and ``high`` (95 % over identities), ``rank1``, ``mINP``, ``n_queries``, ``n_identities``, and the ``lead``
        of the leading feature with ``lead_low``, ``lead_high`` and ``p``.
        """
        import pandas as pd

        return pd.DataFrame([asdict(point) for point in self.points])

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """How each curve falls, and at which fractions the lead over plain and over the controls is beyond chance."""
        words = [
            *self.notes,
            f"{self.covering} Tests are paired by identity; each fraction is a test of its own.",
        ]
        for modality in self.modalities:
            words += self._of_modality(modality)
        if self.failed:
            n, why = len(self.failed), self.failed[0].reason
            words.append(
                f"{counted(n, 'images')} were left out, the first because: {why}"
                if n > 1
                else f"1 image was left out: {why}"
            )
        return words

    @property
    def covering(self) -> str:
        """What was covered, how and where, in a sentence."""
        where = {
            "bottom": "from the bottom up",
            "top": "from the top down",
            "middle": "about the middle",
            "random": "as one block at a random height",
        }[self.side]
        whose = "of query images only" if self.masked == "query" else "of query and gallery images"
        return f"Rows {whose} are covered {where} with {self.fill}."

    def _of_modality(self, modality: str) -> list[str]:
        first, last = self.fractions[0], self.fractions[-1]
        shown = [name for name in ("plain", "enhanced") if name in self.names]
        ends = {name: (self.curve(modality, name)[0], self.curve(modality, name)[-1]) for name in shown}
        a_point = ends[shown[0]][0]
        head = f"{modality_words(modality)}"
        if a_point.n_identities == 0:
            return [f"{head}: nothing is measured, since no query has a match."]
        from_to = ", ".join(f"{name} {a.mAP:.1%} to {b.mAP:.1%}" for name, (a, b) in ends.items())
        words = [
            f"{head}, {first:.0%} to {last:.0%} of the rows covered: mAP {from_to}, over {counted(a_point.n_queries, 'queries')} "
            f"of {counted(a_point.n_identities, 'identities')}."
        ]
        if a_point.n_identities == 1:
            return [*words, f"{head}: only one identity has a match, and a test needs two."]
        if self.leading == "enhanced":
            words.append(f"{head}: {self._lead_words(modality, ['plain'], 'plain')}.")
        rivals = [name for name in self.names if name not in ("plain", "enhanced", "zero shift")]
        if rivals:
            whom = rivals[0] if len(rivals) == 1 else f"each of {len(rivals)} controls"
            words.append(f"{head}: {self._lead_words(modality, rivals, whom)}.")
        return words

    def _lead_words(self, modality: str, rivals: list[str], whom: str) -> str:
        curves = [self.curve(modality, name) for name in rivals]

        def where(fits: Callable[[list[str]], bool]) -> str:
            at = [i for i in range(len(self.rows)) if fits([curve[i].verdict for curve in curves])]
            if len(at) == len(self.rows):
                return "at every fraction"
            return (
                "at " + ", ".join(f"{self.rows[i] / self.height:.1%}" for i in at) if at else "at no fraction"
            )

        ahead = where(lambda found: all(verdict == "ahead" for verdict in found))
        behind = where(lambda found: "behind" in found)
        words = f"{self.leading} leads {whom} beyond chance {ahead}"
        if behind == "at no fraction":
            return words
        return f"{words}; it is behind {'it' if len(rivals) == 1 else 'at least one of them'} {behind}"
