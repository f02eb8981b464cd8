"""MSMT17 (persons): folders of identities with lists of what belongs to which split; Wei et al., CVPR 2018.

Files lie in ``{train,test}/<id>`` (second version: ``mask_train_v2``, ``mask_test_v2``) and are named in
``list_{train,val,query,gallery}.txt``; some copies have the split folders of Market-1501 instead.
"""

from __future__ import annotations

import re
from pathlib import Path

from mswin_viz.data.files import Picture
from mswin_viz.data.lists import read_lines
from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import Found, Named, alone, read_shots, refuse_two
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.splits import split_level

__all__ = ["PUBLISHED", "SHAPE", "read"]

PUBLISHED = {"train": (1041, 32621), "query": (3060, 11659), "gallery": (3060, 82161)}
"""Split -> identities and samples; the training split with the validation part that the authors set aside."""
SHAPE = (
    "list_{train,val,query,gallery}.txt beside {train,test}/<id>, and names PPPP_NNN_CC_... or PPPP_cC_..."
)
_NAME = re.compile(r"(?P<pid>\d{4})_\d{3}_(?P<cam>\d{2})_\d{4}", re.IGNORECASE)
_C_NAME = re.compile(r"(?P<pid>\d{4})_c(?P<cam>\d+)_", re.IGNORECASE)
_LISTS = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
_FOLDERS = {
    "train": ("train", "mask_train_v2"),
    "query": ("test", "mask_test_v2"),
    "gallery": ("test", "mask_test_v2"),
}
_AGAIN = (
    "identities are numbered from 0 in the training part and again in the test part: the same number means another "
    "person there"
)


def read(contents: Contents) -> Found | None:
    """Samples as the lists say; without lists, as the folders of the splits say."""
    tables = [path for path in contents.tree.others if path.name.lower() in _LISTS]
    if tables:
        return _from_lists(contents, tables)
    msmt = any("msmt" in part.lower() for picture in contents.plain for part in picture.parts)
    found = read_shots(
        alone(contents.plain),
        lambda shot, split: _named(shot, msmt),
        "PPPP_NNN_CC_... or PPPP_cC_...",
    )
    if found is not None:
        found.notes.append(_AGAIN)
    return found


def _named(shot: Shot, with_c: bool) -> Named | None:
    at, _ = split_level(shot.place)
    matched = _NAME.match(shot.stem) or (_C_NAME.match(shot.stem) if with_c else None)
    if matched is None or at == len(shot.place):
        return None
    return Named(int(matched["pid"]), int(matched["cam"]))


def _from_lists(contents: Contents, tables: list[Path]) -> Found | None:
    pictures = {picture.path: picture for picture in contents.tree.pictures}
    found, used = Found(notes=[_AGAIN], tables=tables), {}
    for table in sorted(tables, key=lambda path: list(_LISTS).index(path.name.lower())):
        split = _LISTS[table.name.lower()]
        for line in read_lines(table):
            picture = _listed(line, table, split, pictures)
            matched = picture and (_NAME.match(picture.path.name) or _C_NAME.match(picture.path.name))
            if not matched:
                found.problems.append(Problem(*_wrong(line, table, picture)))
                continue
            used[picture.path] = picture
            found.samples.append(
                Sample(int(matched["pid"]), int(matched["cam"]), {"RGB": picture.path}, split=split)
            )
    if not found.samples:
        return None
    refuse_two(table.parent for table in tables)
    found.passed["picture that no list names"] = [path for path in pictures if path not in used]
    found.base = next(iter(used.values())).parts[:-2]
    return found


def _listed(line: str, table: Path, split: str, pictures: dict[Path, Picture]) -> Picture | None:
    name = line.rpartition(" ")[0].strip() or line
    places = [table.parent / folder / name for folder in _FOLDERS[split]] + [table.parent / name]
    return next((pictures[path] for path in places if path in pictures), None)


def _wrong(line: str, table: Path, picture: Picture | None) -> tuple[str, Path, str]:
    if picture is None:
        return "missing file", table, f"{line}: no such picture; left out"
    return "name does not parse", picture.path, "expected PPPP_NNN_CC_...; left out"
