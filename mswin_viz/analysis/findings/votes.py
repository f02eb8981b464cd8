"""What the nearest images of other cameras say about the identity of each image, and whom that makes suspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import Compared
from mswin_viz.analysis.findings.identities import identity_keys
from mswin_viz.analysis.findings.nearest_items import Nearest, Wanted, nearest_items
from mswin_viz.analysis.measures.matching import Matching
from mswin_viz.data.progress import StepCounter

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_MAJORITY = 0.5
_NOBODY: Set[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Suspect:
    """An item whose voters agree on another identity; ``order`` is the share's lead and how much nearer that identity is."""

    votes: Votes
    item: int
    suggested: int
    order: tuple[float, float]
    voters: Int[np.ndarray, " m"]

    @property
    def n_votes(self) -> int:
        """How many of the voters have the suggested identity."""
        return int((self.votes.key[self.voters] == self.suggested).sum())

    @property
    def n_own(self) -> int:
        """How many of them have the item's own."""
        return int((self.votes.key[self.voters] == self.votes.key[self.item]).sum())

    @property
    def is_alone(self) -> bool:
        """Whether its identity has no image in another camera."""
        return bool(self.votes.own.at[self.item, 0] < 0)


@dataclass(frozen=True, eq=False)
class Votes:
    """The nearest items of other cameras of each item of a group, which vote, and the nearest of its own identity there.

    ``key`` is the identity and side of the split, below 0 where not known; ``places`` the camera or scene. Twice as many
    voters are kept as vote, to take the places of those that may not.
    """

    group: Compared
    k: int
    key: Int[np.ndarray, " item"]
    places: Int[np.ndarray, " item"]
    voters: Nearest
    own: Nearest
    _every: Counter[int] = field(repr=False)
    _inside: Counter[tuple[int, int]] = field(repr=False)

    @classmethod
    def of(cls, table: EmbeddingTable, group: Compared, who: Matching, k: int, steps: StepCounter) -> Votes:
        """Look for the voters of every item."""
        key, places = identity_keys(table, group), who.groups[group.rows]
        is_known, is_train = key >= 0, table.split[group.rows] == "train"
        elsewhere = lambda items: (places[items] != places) & is_known & (is_train[items] == is_train)  # noqa: E731
        wanted = {
            "voters": Wanted(2 * k, elsewhere),
            "own": Wanted(1, lambda items: elsewhere(items) & (key[items] == key)),
        }
        found = nearest_items(group, wanted, steps)
        inside = Counter(zip(key.tolist(), places.tolist(), strict=True))
        return cls(group, k, key, places, found["voters"], found["own"], Counter(key.tolist()), inside)

    @property
    def n_alone(self) -> int:
        """Items asked about whose identity has no image in another camera."""
        return int(((self.own.at[:, 0] < 0) & self.group.asked & (self.key >= 0)).sum())

    @property
    def n_checked(self) -> int:
        """Items asked about that have a voter."""
        return int(((self.voters.at[:, 0] >= 0) & self.group.asked & (self.key >= 0)).sum())

    def suspects(self) -> list[Suspect]:
        """Every suspect, as it is seen once those that are more suspect do not vote any longer."""
        items = np.flatnonzero(self.key >= 0)
        own = np.array([self._share(item, int(self.key[item]), _NOBODY)[0] for item in items.tolist()])
        usual = mean_by(self.key[items], own)
        near = self.own.distance[items, 0]
        middle = float(np.median(near[np.isfinite(near)])) if np.isfinite(near).any() else float("nan")
        first = [
            self._suspect(item, usual, middle, _NOBODY) for item in items.tolist() if self.group.asked[item]
        ]
        kept: dict[int, Suspect] = {}
        for one in sorted((one for one in first if one), key=lambda one: one.order, reverse=True):
            again = self._suspect(one.item, usual, middle, kept.keys())
            if again is not None:
                kept[one.item] = again
        return list(kept.values())

    def _suspect(self, item: int, usual: dict[int, float], middle: float, silent: Set[int]) -> Suspect | None:
        """An item as a suspect, where some do not vote; None where it keeps its identity."""
        key, voters = int(self.key[item]), self._voting(item, silent)
        shares = {
            int(one): self._share(item, int(one), silent)
            for one in dict.fromkeys(self.key[voters[: self.k]].tolist())
        }
        confident = [one for one, (share, _) in shares.items() if share >= usual.get(one, np.inf)]
        best = max(confident, key=lambda one: shares[one][0], default=key)  # of equal ones the nearest
        own = np.nan_to_num(self._share(item, key, silent)[0])
        if best == key or shares[best][0] <= max(_MAJORITY, own):
            return None
        is_best = self.voters.at[item] == voters[self.key[voters] == best][0]
        distance, to_own = float(self.voters.distance[item, is_best][0]), float(self.own.distance[item, 0])
        if np.isinf(to_own):
            if not distance <= middle:
                return None
            to_own = middle
        nearer = (to_own - distance) / (to_own + distance) if to_own + distance > 0 else 0.0
        return Suspect(self, item, best, (float(shares[best][0] - own), nearer), voters[: shares[best][1]])

    def _voting(self, item: int, silent: Set[int]) -> Int[np.ndarray, " voter"]:
        voters = self.voters.at[item]
        return np.array([one for one in voters.tolist() if one >= 0 and one not in silent], np.int64)

    def _share(self, item: int, key: int, silent: Set[int]) -> tuple[float, int]:
        """The part of an item's votes that an identity has, and how many votes that is of; NaN where it cannot have any."""
        place = int(self.places[item])
        n_silent = sum(self.key[one] == key and self.places[one] != place for one in silent)
        m = min(self.k, self._every[key] - self._inside[key, place] - int(n_silent))
        voters = self._voting(item, silent)[:m]
        return (float((self.key[voters] == key).sum() / m), m) if m > 0 else (float("nan"), 0)


def mean_by(keys: Int[np.ndarray, " item"], values: Float[np.ndarray, " item"]) -> dict[int, float]:
    """Identity -> mean of its numbers that are not NaN; those without any are left out."""
    is_there = ~np.isnan(values)
    every, owner = np.unique(keys[is_there], return_inverse=True)
    means = np.bincount(owner, weights=values[is_there]) / np.maximum(np.bincount(owner), 1)
    return dict(zip(every.tolist(), means.tolist(), strict=True))
