"""Crowds of synthetic people, with every shot drawn in three modalities; this module does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.progress import progress_bar
from mswin_viz.data.storage.worker_processes import by_processes
from mswin_viz.data.synthetic.identity import MOST_PEOPLE, Identity, sample_identity
from mswin_viz.data.synthetic.lookalikes import GROUP, sample_lookalike
from mswin_viz.data.synthetic.render import render
from mswin_viz.data.synthetic.scenery import CAMERAS
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Int, UInt8

CROWD_SPLITS = {"standard": sample_identity, "look_alikes": sample_lookalike}
"""Name of a split -> the function that makes its people."""
_BLOCK = 8  # shots that a worker draws before it hands them over

Pictures = dict[str, "UInt8[np.ndarray, 'rows cols 3']"]
"""One shot, by modality."""


@dataclass(frozen=True)
class Crowd:
    """Synthetic people and their shots; images are ordered by person, camera and shot.

    Attributes
    ----------
    people
        Number of people, numbered from 0.
    seed
        World number.
    split
        ``"standard"``: people drawn independently. ``"look_alikes"``: groups of four who differ in one small thing.
    shots
        Of each person in each of the four cameras.

    Raises
    ------
    OptionError
        If there is no such split, there are no people or shots, or too many people.

    Examples
    --------
    >>> crowd = mv.Crowd(people=8, seed=1, split="look_alikes", shots=1)
    >>> len(crowd), crowd.pids[:5].tolist(), crowd.camids[:5].tolist()  # four cameras, one shot in each
    (32, [0, 0, 0, 0, 1], [0, 1, 2, 3, 0])
    >>> np.unique(crowd.groups).tolist()  # eight people are two groups of four
    [0, 1]
    """

    people: int
    seed: int
    split: str = "standard"
    shots: int = 2

    def __post_init__(self) -> None:
        if self.split not in CROWD_SPLITS:
            raise OptionError(
                f"split must be one of {', '.join(CROWD_SPLITS)}: got {self.split!r}; choose one"
            )
        if not 1 <= self.people <= MOST_PEOPLE or self.shots < 1:
            raise OptionError(
                f"a crowd needs 1 to {MOST_PEOPLE:,} people and at least one shot of each: got people={self.people}, "
                f"shots={self.shots}; choose other numbers"
            )

    def __len__(self) -> int:
        return self.people * len(CAMERAS) * self.shots

    def person(self, pid: int) -> Identity:
        """The person with that number."""
        return CROWD_SPLITS[self.split](pid, seed=self.seed)

    @property
    def pids(self) -> Int[np.ndarray, " image"]:
        """Person of each image."""
        return np.arange(len(self)) // (len(CAMERAS) * self.shots)

    @property
    def camids(self) -> Int[np.ndarray, " image"]:
        """Camera of each image."""
        return np.arange(len(self)) // self.shots % len(CAMERAS)

    @property
    def groups(self) -> Int[np.ndarray, " image"]:
        """Group of each image: look-alikes share one; in the standard split each person is a group."""
        return self.pids // (GROUP if self.split == "look_alikes" else 1)


def pictures(crowd: Crowd, *, workers: int = 1) -> Iterator[Pictures]:
    """Each shot of a crowd, in order, in the three modalities.

    One worker draws in this process. More are started afresh ("spawn"), so a script that asks for them needs the usual
    ``if __name__ == "__main__":``; a `WorkerError` says that one of them was killed.
    """
    if workers < 1:
        raise OptionError(f"workers must be at least 1, got {workers}; use 1 to draw in this process")
    if workers == 1:
        yield from (_picture(crowd, image) for image in range(len(crowd)))
        return
    blocks = _batched(range(len(crowd)), _BLOCK)
    with closing(by_processes(partial(_block, crowd), blocks, workers=workers)) as drawn:
        for block in drawn:
            yield from block


def picture_batches(
    crowd: Crowd, *, size: int = 32, workers: int = 1, progress: bool = True
) -> Iterator[dict[str, list[np.ndarray]]]:
    """The shots of a crowd in batches, by modality, with one progress bar."""
    name = crowd.split.replace("_", "-")
    with progress_bar(
        total=len(crowd), desc=f"{name}, world {crowd.seed}", unit="shot", disable=not progress
    ) as bar:
        for shots in _batched(pictures(crowd, workers=workers), size):
            yield {modality: [shot[modality] for shot in shots] for modality in shots[0]}
            bar.update(len(shots))


def _batched(things: Iterable, size: int) -> Iterator[list]:
    left = iter(things)
    while batch := list(islice(left, size)):
        yield batch


def _block(crowd: Crowd, images: Sequence[int]) -> list[Pictures]:
    return [_picture(crowd, image) for image in images]


def _picture(crowd: Crowd, image: int) -> Pictures:
    sitting, shot = divmod(image, crowd.shots)
    pid, camera = divmod(sitting, len(CAMERAS))
    return render(crowd.person(pid), camera=camera, shot=shot, seed=crowd.seed)
