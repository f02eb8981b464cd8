"""What a reader of a layout finds, and the loop that readers of shots and of single pictures share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mswin_viz.data.files import Picture
from mswin_viz.data.modalities import Shot
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.splits import splits_of
from mswin_viz.errors import DataError

__all__ = [
    "DISTRACTOR",
    "JUNK",
    "Found",
    "Named",
    "alone",
    "common",
    "missing_modalities",
    "read_shots",
    "refuse_two",
]

JUNK = "junk"
"""Returned by a name's reader for pictures that the authors of a set leave out."""
_Home = tuple[tuple[str, ...], str | None]  # names of the folders down to a data set, and a split of it
DISTRACTOR = -1
"""Identity of background pictures: it matches nobody."""


@dataclass
class Found:
    """What a reader makes of a folder.

    Attributes
    ----------
    samples, problems
        What can be used, and what is wrong with which file.
    passed
        Why pictures are left out by design -> those pictures.
    notes
        Sentences on what was done; none of them is a fault.
    tables
        Files that are no pictures and were read.
    base
        Names of the folders down to the data set's own.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    passed: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    base: tuple[str, ...] = ()


@dataclass(frozen=True)
class Named:
    """What a file name, with its folders, says of a picture."""

    pid: int
    camid: int
    scene: int | None = None


def alone(pictures: Iterable[Picture], modality: str = "RGB") -> list[Shot]:
    """Each picture as a shot of one modality, which lacks no other."""
    return [Shot(one.parts, one.path.stem, {modality: one.path}, {}) for one in pictures]


def missing_modalities(shot: Shot) -> list[Problem]:
    """One problem for each modality that a shot lacks and others have."""
    have = ", ".join(shot.files)
    return [
        Problem("missing modality", path, f"no {modality}; loaded with {have}")
        for modality, path in shot.absent.items()
    ]


def read_shots(
    shots: Sequence[Shot],
    read: Callable[[Shot, str | None], Named | str | None],
    expected: str,
    *,
    junk: str = "junk",
) -> Found | None:
    """Samples of the shots whose names a reader understands; None where it understands none.

    Parameters
    ----------
    read
        Takes a shot and its split; returns what its name says, `JUNK`, a sentence on what is wrong, or None for
        a name of another kind.
    expected
        The form of names, for the report on those that have another one beside names that were understood.
    junk
        What junk is called in the report.

    Raises
    ------
    DataError
        If one split is there twice, in the folders of two data sets.
    """
    homes = splits_of({shot.place for shot in shots})
    read_as = [read(shot, homes[shot.place][1]) for shot in shots]
    own = _of_one_set(
        {homes[shot.place] for shot, named in zip(shots, read_as, strict=True) if isinstance(named, Named)}
    )
    if not own:
        return None
    found = Found(base=common(home for home, _ in own))
    for shot, named in zip(shots, read_as, strict=True):
        if homes[shot.place] not in own:
            continue
        if named == JUNK:
            found.passed[junk] += shot.files.values()
        elif isinstance(named, Named):
            split = homes[shot.place][1]
            found.samples.append(Sample(named.pid, named.camid, shot.files, scene=named.scene, split=split))
            found.problems += missing_modalities(shot)
        else:
            detail = f"{named or f'expected {expected}'}; left out"
            found.problems += [Problem("name does not parse", path, detail) for path in shot.files.values()]
    return found


def _of_one_set(own: set[_Home]) -> set[_Home]:
    """The homes without those inside another one that has the same split: copies that tools make of a set."""
    kept: dict[str | None, tuple[str, ...]] = {}
    for home, split in sorted(own, key=lambda one: (len(one[0]), str(one))):
        outer = kept.setdefault(split, home)
        if split is not None and home[: len(outer)] != outer:
            raise DataError(
                f"a folder must hold one data set: got the {split} split in {'/'.join(outer)} and in "
                f"{'/'.join(home)}; point to one of them"
            )
    named = {(home, split) for home, split in own if split is not None and kept[split] == home}
    return named or own  # what lies in no split folder beside those that do is no part of the set


def refuse_two(homes: Iterable[Path]) -> None:
    """Raise `DataError` if a data set begins in more than one folder."""
    found = sorted(set(homes))
    if len(found) > 1:
        raise DataError(
            f"a folder must hold one data set: got one in {' and one in '.join(map(str, found))}; point to one of them"
        )


def common(homes: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder around all of them."""
    first, *rest = homes
    for other in rest:
        same = next(
            (n for n, (a, b) in enumerate(zip(first, other, strict=False)) if a != b),
            min(len(first), len(other)),
        )
        first = first[:same]
    return first
