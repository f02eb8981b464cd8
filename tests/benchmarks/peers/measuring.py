"""Work timed in turns, in processor time of one thread: ratios of two calls of one round.

Other programs on a busy machine then count only where they empty the caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]
"""What is timed; one that returns a float has timed itself, in seconds."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some rounds."""

    median: float
    first_quartile: float
    third_quartile: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Of one value for each round."""
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(middle, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2g} ({self.first_quartile:.2g} to {self.third_quartile:.2g})"


@dataclass(frozen=True)
class Row:
    """One piece of work, by this package and by one peer; seconds of each are medians.

    ``ratio`` is how many times as long the peer took. ``floor`` says what must be done in any case, ``over_floor`` how many
    times as long this package took as that alone.
    """

    group: str
    work: str
    ours: str
    peer: str
    ratio: Spread
    our_seconds: float
    peer_seconds: float
    rounds: int
    floor: str = ""
    over_floor: Spread | None = None


@dataclass(frozen=True)
class Work:
    """A piece of work, done in different ways.

    ``ours`` and ``floor`` are a name and a call; so are the items of ``peers``.
    """

    group: str
    what: str
    ours: tuple[str, Call]
    peers: Mapping[str, Call]
    floor: tuple[str, Call] | None = None
    rounds: int = 9
    unwarmed: bool = False

    def rows(self) -> Iterator[Row]:
        """Do it in every way, round after round."""
        ways: dict[str, Call] = {"ours": self.ours[1], **self.peers}
        if self.floor is not None:
            ways["floor"] = self.floor[1]
        if not self.unwarmed:
            for call in ways.values():
                call()
        taken = {way: np.empty(self.rounds) for way in ways}
        for turn in range(self.rounds):
            for way, call in ways.items():
                taken[way][turn] = seconds_of(call)
        over = Spread.of(taken["ours"] / taken["floor"]) if "floor" in taken else None
        for peer in self.peers:
            yield Row(
                group=self.group,
                work=self.what,
                ours=self.ours[0],
                peer=peer,
                ratio=Spread.of(taken[peer] / taken["ours"]),
                our_seconds=float(np.median(taken["ours"])),
                peer_seconds=float(np.median(taken[peer])),
                rounds=self.rounds,
                floor="" if self.floor is None else self.floor[0],
                over_floor=over,
            )


def seconds_of(call: Call) -> float:
    """Processor seconds of a call, or what it says itself."""
    started = time.process_time()
    answer = call()
    return answer if isinstance(answer, float) else time.process_time() - started
