"""Finds signs that pictures which are loaded as RGB were taken in infrared light."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data.sample import Problem
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import mentions_infrared, modality_of
from mswin_viz.data.sets.splits import split_level
from mswin_viz.data.shown_text import counted

_KIND = "modality not used"
_LETTERS = "rntvi"  # short for RGB, NI, TI, visible and infrared in some code
_PIECES = re.compile(r"[_\-. ]+")


def like_modalities(pictures: Sequence[Picture]) -> list[Problem]:
    """A problem for each folder whose name mentions infrared light, and one for all such file names."""
    folders = {picture.path.parent: picture.parts[-1] for picture in pictures}
    letters = {name.lower() for name in folders.values()} & set(_LETTERS)
    problems = [
        Problem(_KIND, folder, f"{name} looks like a modality; loaded as RGB: rename it to RGB, NI or TI")
        for folder, name in folders.items()
        if mentions_infrared(name) or (len(letters) > 1 and name.lower() in letters)
    ]
    named = [one.path for one in pictures if mentions_infrared(one.path.stem, certain=True)]
    named = named or _marked(pictures)
    if named:
        detail = (
            f"{counted(len(named), 'file names mention', 'file name mentions')} infrared light; loaded as RGB: put each modality into a folder "
            "RGB, NI or TI"
        )
        problems.append(Problem(_KIND, named[0], detail))
    return problems


def same_names(pictures: Sequence[Picture]) -> list[Problem]:
    """A problem for each place where sibling folders hold files of one name, so are probably unknown modalities."""
    siblings: dict[Path, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in pictures:
        if split_level(one.parts[-1:])[1] is None:  # query and gallery may hold the same pictures
            siblings[one.path.parent.parent][one.path.stem].add(one.path.parent.name)
    problems = []
    for place, stems in siblings.items():
        several = [folders for folders in stems.values() if len(folders) > 1]
        if several:
            folders = ", ".join(sorted(set.union(*several)))
            detail = (
                f"{counted(len(several), 'names occur', 'name occurs')} in more than one of the folders {folders}; each file is loaded as an RGB "
                "sample of its own: if the folders are modalities, rename them to RGB, NI and TI"
            )
            problems.append(Problem(_KIND, place, detail))
    return problems


def _marked(pictures: Sequence[Picture]) -> list[Path]:
    """Files whose names begin or end in a word for infrared, if other names have a word for another modality."""
    marks = {one.path: _mark(one.path.stem) for one in pictures}
    if len(set(marks.values()) - {None}) < 2:
        return []
    return [path for path, modality in marks.items() if modality in ("NI", "TI")]


def _mark(stem: str) -> str | None:
    pieces = _PIECES.split(stem)
    return modality_of(pieces[-1]) or modality_of(pieces[0])
