"""Which gallery images match a query, and which are left out: the one home of the camera and scene rules.

What is not known is like nothing else: an image of unknown identity matches no image, and an image of unknown camera
(or scene) shares it with no other, so that the rule leaves out the query itself only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.arrays import known_numbers
from mswin_viz.data.shown_text import n_of
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

    from mswin_viz.data.sample import Sample

Rows = int | np.integer | np.ndarray
"""One row, or several: the indices of images."""
RULES = ("camera", "scene", "none")
"""What a query's gallery leaves out beside the query itself: its identity in the same camera or scene, or nothing."""
CAUSES = ("unknown", "alone", "left out")
"""Why a query has no match: its identity is not known; nobody else in the gallery has it; the rule leaves them out."""
_WAY_OUT = {
    "camera": 'give camid (a manifest has a column of that name), or choose rule="none" to do the same on purpose',
    "scene": 'give scene (a manifest has a column of that name), or choose rule="camera" or "none"',
}

_CURES = {
    "camera": "add images of the same identities from other cameras, give their camid (a manifest has a column of that "
    'name), or choose rule="none"',
    "scene": "add images of the same identities from other scenes, give their scene (a manifest has a column of that "
    'name), or choose rule="camera" or "none"',
    "none": "add a second image of an identity, or give pid (a manifest has a column of that name)",
}


@dataclass(frozen=True, eq=False)
class Matching:
    """Who matches whom among ``n`` images, under one of ``RULES``.

    An identity that is not known is -1. ``groups`` has the camera or scene of each image; where not known, and under
    the rule ``"none"``, a number below 0 that no other image has. ``shots`` has the shot of each image, where several
    images are one shot in different modalities: all of them count as the query itself.
    """

    pids: Int[np.ndarray, " image"]
    groups: Int[np.ndarray, " image"]
    rule: str
    shots: Int[np.ndarray, " image"] | None = None

    def __len__(self) -> int:
        return len(self.pids)

    @property
    def identities(self) -> Int[np.ndarray, " image"]:
        """Identities, each unknown one a number below 0 that no other image has, ``[n]``."""
        return _each_alone(self.pids)

    def same(self, first: Rows, second: Rows) -> Bool[np.ndarray, "*pair"]:
        """Whether images are known to have one identity; of one image and several, or pair by pair."""
        pids = self.pids[first]
        return (pids == self.pids[second]) & (pids >= 0)

    def left_out(self, query: Rows, rows: Rows) -> Bool[np.ndarray, "*pair"]:
        """Whether a query's gallery leaves images out: itself, and its identity in the same camera or scene."""
        same_group = self.groups[query] == self.groups[rows]
        return (self.same(query, rows) & same_group) | self.is_itself(query, rows)

    def is_itself(self, query: Rows, rows: Rows) -> Bool[np.ndarray, "*pair"]:
        """Whether images are the query, or its own shot in another modality."""
        if self.shots is None:
            return np.asarray(query) == rows
        return self.shots[query] == self.shots[rows]

    def matches(self, query: Rows, rows: Rows) -> Bool[np.ndarray, "*pair"]:
        """Whether images are right answers to a query: its identity, and not left out."""
        return self.same(query, rows) & ~self.left_out(query, rows)

    def of(self, gallery: Int[np.ndarray, " gallery"]) -> Galleries:
        """The same, prepared to look up the places of matches in a gallery."""
        order = np.argsort(self.pids[gallery], kind="stable")
        return Galleries(self, gallery, order, self.pids[gallery][order])

    def notes(self, rows: Int[np.ndarray, " row"] | None = None) -> tuple[str, ...]:
        """What the rule could not do among some of the images for want of numbers, in sentences."""
        rows = np.arange(len(self)) if rows is None else np.unique(rows)
        rows = rows[self.pids[rows] >= 0]
        n_unknown = int((self.groups[rows] < 0).sum())
        if self.rule == "none" or n_unknown == 0:
            return ()
        which, there = "No", ""
        if n_unknown < len(rows):
            which, there = (
                f"{n_of(n_unknown, len(rows), 'images')} {'has' if n_unknown == 1 else 'have'} no",
                " there",
            )
        return (
            f"{which} {self.rule} numbers, so the {self.rule} rule leaves out only the query itself{there}. "
            "Near-duplicates of the same shot count as matches, so values are higher than those of a protocol that knows "
            f"the {self.rule}s; {_WAY_OUT[self.rule]}.",
        )

    def checked(
        self, purpose: str, query: np.ndarray | None = None, gallery: np.ndarray | None = None
    ) -> Matching:
        """The same, checked to have a query with a match; call it before work that ends in a measure.

        Raises OptionError if no query has a match in the gallery.
        """
        every = np.arange(len(self))
        query, gallery = (every if rows is None else np.asarray(rows) for rows in (query, gallery))
        unanswered = self.of(gallery).unanswered(query)
        if sum(unanswered.values()) == len(query):
            why = unanswered_words(unanswered, self.rule) or "there is no query"
            raise OptionError(
                f"{purpose} is measured by retrieval, which needs a query with a match under the rule "
                f"{self.rule!r}: got none in {len(query)} ({why}); {_CURES[self.rule]}"
            )
        return self


@dataclass(frozen=True, eq=False)
class Galleries:
    """Where one gallery holds each identity, in the gallery's order."""

    matching: Matching
    gallery: Int[np.ndarray, " gallery"]
    order: Int[np.ndarray, " gallery"]
    sorted_pids: Int[np.ndarray, " gallery"]

    def around(self, query: int) -> tuple[Int[np.ndarray, " match"], Int[np.ndarray, " dropped"]]:
        """Places in the gallery of a query's matches, and of the images of its identity that are left out."""
        pid = self.matching.pids[query]
        if pid < 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        start, end = (np.searchsorted(self.sorted_pids, pid, side=side) for side in ("left", "right"))
        same = self.order[start:end]
        dropped = self.matching.left_out(query, self.gallery[same])
        return same[~dropped], same[dropped]

    def cause(self, query: int, dropped: Int[np.ndarray, " dropped"]) -> str:
        """Which of ``CAUSES`` leaves a query without a match, given the places left out for it."""
        if self.matching.pids[query] < 0:
            return "unknown"
        return "alone" if self.matching.is_itself(query, self.gallery[dropped]).all() else "left out"

    def unanswered(self, queries: Iterable[int]) -> Counter[str]:
        """Cause -> how many of the queries have no match for it."""
        causes: Counter[str] = Counter()
        for query in queries:
            matches, dropped = self.around(query)
            if not len(matches):
                causes[self.cause(query, dropped)] += 1
        return causes


def check_rule(rule: str) -> None:
    """Refuse what is not one of ``RULES``."""
    if rule not in RULES:
        raise OptionError(f"rule is one of {', '.join(RULES)}: got {rule!r}")


def matching(pids: Any, camids: Any = None, *, rule: str = "camera", scenes: Any = None) -> Matching:
    """Who matches whom, from identities, cameras and scenes as `known_numbers` reads them; None: none is known.

    Raises OptionError if there is no such rule, the scene rule lacks its scenes, or a number is not whole; ShapeError
    if there is not one number for each image.
    """
    check_rule(rule)
    if rule == "scene" and scenes is None:
        raise OptionError("the scene rule needs the scene of each image: got none; pass scenes=")
    pids = known_numbers(pids, "pids")
    unknown = np.full(pids.shape, -1)
    cameras = unknown if camids is None else known_numbers(camids, "camids")
    groups = {"camera": cameras, "scene": scenes, "none": unknown}[rule]
    groups = known_numbers(groups, "scenes") if rule == "scene" else groups
    if pids.ndim != 1:
        raise ShapeError(f"pids must be one number for each image, [n]: got shape {pids.shape}")
    for name, numbers in (("camids", cameras), ("scenes", groups)):
        if numbers.shape != pids.shape:
            raise ShapeError(
                f"{name} are one number for each image: got {numbers.shape} for pids of shape {pids.shape}"
            )
    return Matching(pids, _each_alone(groups), rule)


def sample_rule(samples: Sequence[Sample]) -> str:
    """The rule a data set is measured by: that of scenes where every sample has one (as MSVR310), else of cameras."""
    return "scene" if samples and all(sample.scene is not None for sample in samples) else "camera"


def sample_matching(samples: Sequence[Sample], rule: str | None = None) -> Matching:
    """Who matches whom among samples; by `sample_rule` if the rule is None."""
    scenes = [-1 if sample.scene is None else sample.scene for sample in samples]
    return matching(
        [sample.pid for sample in samples],
        [sample.camid for sample in samples],
        rule=sample_rule(samples) if rule is None else rule,
        scenes=scenes,
    )


def unanswered_words(unanswered: Mapping[str, int], rule: str) -> str:
    """Why queries have no match, such as ``"20 of unknown identity"``; empty if all have one."""
    place = "another scene" if rule == "scene" else "another camera"
    phrases = {
        "unknown": "{n} of unknown identity",
        "alone": "{n} whose identity has no other image in the gallery",
        "left out": "{n} whose identity has no image from " + place,
    }
    return ", ".join(phrases[cause].format(n=unanswered[cause]) for cause in CAUSES if unanswered.get(cause))


def _each_alone(numbers: Int[np.ndarray, " image"]) -> Int[np.ndarray, " image"]:
    """The numbers; each unknown one becomes a number below 0 that no other image has."""
    return np.where(numbers >= 0, numbers, -1 - np.arange(len(numbers)))
