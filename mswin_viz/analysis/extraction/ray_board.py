"""What the actors of an extraction on Ray and the program that started them tell each other.

Apart from the engine, as an actor that needs no torch starts in a moment.
"""

from __future__ import annotations

from collections import Counter

from mswin_viz.errors import MswinVizError


class Board:
    """What the actors have done, whether they should stop, and why one failed; an actor itself, which does no work."""

    def __init__(self) -> None:
        self._n_images: dict[int, int] = {}
        self._n_tries: Counter[int] = Counter()
        self._should_stop = False
        self._problem: MswinVizError | None = None

    def begin(self, shard: int) -> int:
        """That an actor begins a shard; gives back how often it was begun."""
        self._n_tries[shard] += 1
        return self._n_tries[shard]

    def note(self, shard: int, n_images: int) -> bool:
        """How many images of a shard went through the tower; gives back whether to stop."""
        self._n_images[shard] = n_images
        return self._should_stop

    def n_images(self) -> int:
        """Of all shards so far."""
        return sum(self._n_images.values())

    def stop(self) -> None:
        """Have every actor stop at its next batch."""
        self._should_stop = True

    def fail(self, problem: MswinVizError) -> None:
        """Why an actor failed; the first one counts."""
        self._problem = self._problem or problem

    def problem(self) -> MswinVizError | None:
        """Why the first actor failed; None if none did."""
        return self._problem
