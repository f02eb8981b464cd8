"""MSMT17 (persons): folders of identities with lists of what belongs to which split; Wei et al., CVPR 2018.

Files lie in ``{train,test}/<id>`` (second version: ``mask_train_v2``, ``mask_test_v2``) and are named in
``list_{train,val,query,gallery}.txt``; some copies have the split folders of Market-1501 instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import Contents, Shot
from mswin_viz.data.sets.reading import (
    Layout,
    NameParts,
    ReaderResult,
    name_parts,
    read_listed,
    read_shots,
    single_shots,
)
from mswin_viz.data.sets.splits import split_level

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
    "identities are numbered from 0 in the training part and again in the test part, where the same number means "
    "another person"
)


def _read(contents: Contents) -> ReaderResult | None:
    """Samples by the lists, or by the split folders if there are no lists."""
    tables = [path for path in contents.tree.others if path.name.lower() in _LISTS]
    if tables:
        tables.sort(key=lambda path: list(_LISTS).index(path.name.lower()))
        return read_listed(contents, tables, _listed, note=_AGAIN)
    is_msmt = any("msmt" in part.lower() for picture in contents.plain for part in picture.parts)
    result = read_shots(
        single_shots(contents.plain),
        lambda shot: _parts(shot, with_c=is_msmt),
        "PPPP_NNN_CC_... or PPPP_cC_...",
    )
    if result is not None:
        result.notes.append(_AGAIN)
    return result


def _parts(shot: Shot, *, with_c: bool) -> NameParts | None:
    if split_level(shot.place)[1] is None:
        return None
    return name_parts(_NAME, shot.stem) or (name_parts(_C_NAME, shot.stem) if with_c else None)


def _listed(line: str, table: Path, pictures: Mapping[Path, Picture]) -> Sample | Problem:
    split = _LISTS[table.name.lower()]
    name = line.rpartition(" ")[0].strip() or line
    places = [table.parent / folder / name for folder in _FOLDERS[split]] + [table.parent / name]
    path = next((path for path in places if path in pictures), None)
    if path is None:
        return Problem("missing file", table, f"{line}: no such picture; left out")
    parts = name_parts(_NAME, path.name) or name_parts(_C_NAME, path.name)
    if parts is None:
        return Problem("name does not parse", path, "expected PPPP_NNN_CC_...; left out")
    return Sample(parts.pid, parts.camid, {"RGB": path}, split=split)


LAYOUT = Layout(
    name="msmt17",
    shape="list_{train,val,query,gallery}.txt beside {train,test}/<id>, and names PPPP_NNN_CC_... or PPPP_cC_...",
    read=_read,
    # the training split with the validation part that the authors set aside
    published={"train": (1041, 32621), "query": (3060, 11659), "gallery": (3060, 82161)},
)
