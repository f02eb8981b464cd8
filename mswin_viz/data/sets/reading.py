"""What a reader of a layout is and finds, and the loops that readers share."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import Contents, Shot
from mswin_viz.data.sets.splits import splits_of
from mswin_viz.errors import DataError

JUNK = "junk"
"""What the reader of a name returns for pictures that the authors of a set leave out."""
DISTRACTOR = -1
"""Identity of background pictures: it matches nobody."""
_Home = tuple[tuple[str, ...], str | None]  # names of the folders down to a data set, and a split of it


@dataclass
class ReaderResult:
    """What a reader makes of a folder."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    passed: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """Why pictures are left out by design -> those pictures."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was decided; none of them is a fault."""
    tables: list[Path] = field(default_factory=list)
    """Files that are no pictures and were read."""
    base: tuple[str, ...] = ()
    """Names of the folders down to the data set's own."""

    @property
    def files(self) -> set[Path]:
        """The files that hold the samples' images."""
        return {file for sample in self.samples for file in sample.files}


@dataclass(frozen=True)
class Layout:
    """How one published set, or a family of sets, is laid out; `known_sets` lists them all.

    Attributes
    ----------
    name
        For ``layout=``.
    shape
        What it looks like, for messages.
    read
        Finds the samples; None if the folder has another layout.
    published
        Split -> identities and samples as the authors count them; empty if unknown.
    general
        Whether it is tried only if no other layout fits.
    paired
        Whether pictures of several modalities belong together.
    is_certain
        Whether a folder that can be read has this layout even if ``layout=`` does not say so.
    """

    name: str
    shape: str
    read: Callable[[Contents], ReaderResult | None]
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    general: bool = False
    paired: bool = True
    is_certain: Callable[[Contents], bool] = lambda contents: True


@dataclass(frozen=True)
class NameParts:
    """What a file name, with its folders, says about a picture."""

    pid: int
    camid: int
    scene: int | None = None


def name_parts(pattern: re.Pattern[str], name: str) -> NameParts | None:
    """The pattern's groups ``pid``, ``cam`` and perhaps ``scene`` in a name; None if the name does not begin like it."""
    matched = pattern.match(name)
    if matched is None:
        return None
    scene = matched.groupdict().get("scene")
    return NameParts(int(matched["pid"]), int(matched["cam"]), None if scene is None else int(scene))


def single_shots(pictures: Iterable[Picture]) -> list[Shot]:
    """Each picture as a shot in visible light that lacks no other modality."""
    return [Shot(one.parts, one.path.stem, {"RGB": one.path}, {}) for one in pictures]


def missing_modalities(shot: Shot) -> list[Problem]:
    """One problem for each modality that a shot lacks but others have."""
    have = ", ".join(shot.files)
    return [
        Problem("missing modality", path, f"no {modality}; loaded with {have}")
        for modality, path in shot.absent.items()
    ]


def read_shots(
    shots: Sequence[Shot],
    read: Callable[[Shot], NameParts | str | None],
    expected: str,
    *,
    junk: str = "junk",
) -> ReaderResult | None:
    """Samples of the shots whose names a reader understands; None if it understands none.

    Parameters
    ----------
    read
        Returns what a shot's name says, `JUNK`, a sentence on what is wrong, or None for a name of another form.
    expected
        The form of names, to report those that have another one.
    junk
        What the report calls junk.

    Raises
    ------
    DataError
        If one split is there twice, in the folders of two data sets.
    """
    homes = splits_of({shot.place for shot in shots})
    named = [(shot, homes[shot.place], read(shot)) for shot in shots]
    kept = _of_one_set({home for _, home, parts in named if isinstance(parts, NameParts)})
    if not kept:
        return None
    result = ReaderResult(base=outermost(folders for folders, _ in kept))
    for shot, home, parts in named:
        if home not in kept:
            continue
        if parts == JUNK:
            result.passed[junk] += shot.files.values()
        elif isinstance(parts, NameParts):
            sample = Sample(parts.pid, parts.camid, shot.files, scene=parts.scene, split=home[1])
            result.samples.append(sample)
            result.problems += missing_modalities(shot)
        else:
            detail = f"{parts or f'expected {expected}'}; left out"
            result.problems += [Problem("name does not parse", path, detail) for path in shot.files.values()]
    return result


def read_listed(
    contents: Contents,
    tables: Sequence[Path],
    read: Callable[[str, Path, Mapping[Path, Picture]], Sample | Problem],
    *,
    note: str,
) -> ReaderResult | None:
    """Samples of the pictures that a set's lists name, one in each line; None if they name none.

    ``read`` takes a line, its list, and every picture by its path; ``note`` is what to say about the set. Lists of two
    data sets are a `DataError`.
    """
    pictures = {picture.path: picture for picture in contents.tree.pictures}
    result = ReaderResult(notes=[note], tables=list(tables))
    for table in tables:
        for line in read_lines(table):
            outcome = read(line, table, pictures)
            if isinstance(outcome, Sample):
                result.samples.append(outcome)
            else:
                result.problems.append(outcome)
    if not result.samples:
        return None
    refuse_two(table.parent for table in tables)
    listed = result.files
    result.passed["picture that no list names"] = [path for path in pictures if path not in listed]
    result.base = outermost(pictures[path].parts[:-2] for path in listed)
    return result


def _of_one_set(homes: set[_Home]) -> set[_Home]:
    """The homes without those inside another one of the same split, which are copies that tools make of a set."""
    kept: dict[str | None, tuple[str, ...]] = {}
    for home, split in sorted(homes, key=lambda one: (len(one[0]), str(one))):
        outer = kept.setdefault(split, home)
        if split is not None and home[: len(outer)] != outer:
            raise DataError(
                f"a folder must hold one data set: got the {split} split in {'/'.join(outer)} and in "
                f"{'/'.join(home)}; point to one of them"
            )
    in_splits: set[_Home] = {(home, split) for home, split in homes if split and kept[split] == home}
    return in_splits or homes  # beside split folders, pictures outside them are no part of the set


def read_lines(path: Path) -> list[str]:
    """A text file's lines without empty ones and blanks around them; bytes that are not UTF-8 are escaped."""
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]


def refuse_two(homes: Iterable[Path]) -> None:
    """Raise `DataError` if a data set begins in more than one folder."""
    places = sorted(set(homes))
    if len(places) > 1:
        raise DataError(
            f"a folder must hold one data set: got one in {' and one in '.join(map(str, places))}; point to one of them"
        )


def outermost(folders: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder around all of these, as the names of the folders down to it."""
    return tuple(os.path.commonprefix(list(folders)))  # noqa: RUF071 (of tuples it compares whole names)
