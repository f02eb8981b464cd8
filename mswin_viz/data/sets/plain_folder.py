"""Reads a folder of unknown layout: pictures of unknown identity, in the modalities that their folders are named for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import Contents
from mswin_viz.data.sets.reading import ReaderResult, missing_modalities

_NAMES = re.compile(
    r"(-1|\d{2,})([_-]\d+)?[_-]?c(am)?\d|\d{2,}_\d{3}_\d{2}_|(id|pid|person|ped|vehicle|veh|car)[_-]?\d+([_-]|$)",
    re.IGNORECASE,
)
_FOLDERS = re.compile(r"\d{2,}|(id|pid|person|ped|vehicle|veh|car|s|p)[_-]?\d+", re.IGNORECASE)


def read(contents: Contents, *, unclear: bool = False) -> ReaderResult:
    """Samples of unknown identity: one for each shot, and an RGB sample for each other picture.

    With ``unclear``, pictures in folders that may mean near or thermal infrared are read as RGB too.
    """
    result = ReaderResult(base=contents.tree.pictures[0].parts[:1] if contents.tree.pictures else ())
    for shot in contents.shots:
        result.samples.append(Sample(-1, -1, shot.files))
        result.problems += missing_modalities(shot)
    rest: Sequence[Picture] = [*contents.plain, *(contents.unclear if unclear else ())]
    result.samples += [Sample(-1, -1, {"RGB": picture.path}) for picture in rest]
    named = [(shot.place[1:], shot.stem) for shot in contents.shots]
    named += [(picture.parts[1:], picture.path.stem) for picture in rest]
    if unclear:
        detail = "near or thermal infrared? Its pictures are loaded as RGB: rename it to RGB, NI or TI"
        folders = sorted({one.path.parent for one in contents.unclear})
        result.problems += [Problem("modality not known", folder, detail) for folder in folders]
    result.notes.append("the layout is not known, so identities and cameras are unknown")
    result.problems += _like_identities(contents.tree.root, named)
    return result


def like_an_identity(name: str) -> bool:
    """Whether a folder's name is a number, or a word for a person or vehicle with one."""
    return name.isdecimal() or _FOLDERS.fullmatch(name) is not None


def _like_identities(root: Path, named: Sequence[tuple[tuple[str, ...], str]]) -> list[Problem]:
    """A problem if most names, or most folders, look like identities, which this reader does not read."""
    names = [stem for _, stem in named if _NAMES.match(stem)]
    folders = [place[-1] for place, _ in named if place and _FOLDERS.fullmatch(place[-1])]
    example = next((like[0] for like in (names, folders) if 2 * len(like) > len(named)), None)
    if example is None:
        return []
    detail = (
        f"names look like identities ({example}), but the layout is not known, so identities and cameras are unknown; "
        "list them in a table manifest.csv"
    )
    return [Problem("identities not read", root, detail)]
