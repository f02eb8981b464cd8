"""Persons in visible *or* infrared light, each picture in one modality: SYSU-MM01 and RegDB.

SYSU-MM01 (Wu et al., ICCV 2017): ``cam1`` to ``cam6``, a folder for each identity; cameras 3 and 6 see near
infrared. RegDB (Nguyen et al., Sensors 2017): ``Visible`` and ``Thermal`` folders and ten random splits in ``idx``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from mswin_viz.data.files import Picture
from mswin_viz.data.lists import numbers, read_lines
from mswin_viz.data.modalities import Contents
from mswin_viz.data.reading import Found, common, refuse_two
from mswin_viz.data.sample import Problem, Sample

__all__ = [
    "REGDB_SHAPE",
    "SYSU_PUBLISHED",
    "SYSU_SHAPE",
    "is_camera_of_sysu",
    "is_infrared_of_sysu",
    "is_surely_sysu",
    "read_regdb",
    "read_sysu",
]

SYSU_SHAPE = "sub-folders {cam1,...,cam6}/<id>"
SYSU_PUBLISHED = {"train": (395, 34167), "query": (96, 3803), "gallery": (96, 6775)}
"""Split -> identities and samples; the training split with the validation part, the gallery with all visible images."""
REGDB_SHAPE = "lists idx/{train,test}_{visible,thermal}_N.txt beside the folders Visible and Thermal"
_CAMERA = re.compile(r"cam([1-6])", re.IGNORECASE)
_CAMERAS = tuple(f"cam{number}" for number in range(1, 7))
_INFRARED = (3, 6)
_IDS = {"train_id.txt": "train", "val_id.txt": "train", "test_id.txt": "test"}
_INDEX = re.compile(r"(?P<part>train|test)_(?P<kind>visible|thermal)_(?P<trial>\d+)\.txt", re.IGNORECASE)
_SYSU_NOTE = (
    "the infrared images of test identities are the queries, all visible ones are the gallery; the published protocol "
    "draws one visible image for each identity and camera, ten times, and leaves out camera 2 for queries of camera 3"
)
_NO_IDS = (
    "exp/train_id.txt, val_id.txt and test_id.txt are not there: the splits are not known; cameras 3 and 6 are taken "
    "as near infrared"
)


def read_sysu(contents: Contents) -> Found | None:
    """Samples of camera folders; identities are divided as ``exp/{train,val,test}_id.txt`` say."""
    own = [picture for picture in contents.tree.pictures if _is_sysu(picture)]
    if not own:
        return None
    tables = [path for path in contents.tree.others if path.name.lower() in _IDS]
    splits = {pid: _IDS[path.name.lower()] for path in tables for pid in numbers(path)}
    found = Found(notes=[_SYSU_NOTE if splits else _NO_IDS], tables=tables)
    found.base = common(picture.parts[:-2] for picture in own)
    for camera in _CAMERAS:
        refuse_two(one.path.parents[2] for one in own if one.parts[-2].lower() == camera)
    for picture in own:
        pid, camid = int(picture.parts[-1]), int(_CAMERA.fullmatch(picture.parts[-2])[1])
        infrared, split = camid in _INFRARED, splits.get(pid)
        if splits and split is None:
            found.passed["picture of an identity that no list names"].append(picture.path)
            continue
        if split == "test":
            split = "query" if infrared else "gallery"
        found.samples.append(Sample(pid, camid, {"NI" if infrared else "RGB": picture.path}, split=split))
    return found


def is_surely_sysu(contents: Contents) -> bool:
    """Whether camera folders are those of SYSU-MM01: by its lists, its name, or all six of them and no other."""
    if any(path.name.lower() in _IDS for path in contents.tree.others):
        return True
    above = {picture.parts[:-1] for picture in contents.tree.pictures if len(picture.parts) > 1}
    cameras = {parts[-1].lower() for parts in above if parts[-1].lower().startswith("cam")}
    return any("sysu" in name.lower() for parts in above for name in parts) or cameras == set(_CAMERAS)


def is_camera_of_sysu(names: tuple[str, ...]) -> bool:
    """Whether the last of these folders is a camera of a data set that is called so."""
    return len(names) > 1 and "sysu" in names[-2].lower() and _CAMERA.fullmatch(names[-1]) is not None


def is_infrared_of_sysu(names: tuple[str, ...]) -> bool:
    """Whether one of these folders is an infrared camera of a data set that is called so."""
    cameras = [names[at] for at in range(len(names)) if is_camera_of_sysu(names[: at + 1])]
    return any(int(_CAMERA.fullmatch(name)[1]) in _INFRARED for name in cameras)


def _is_sysu(picture: Picture) -> bool:
    return (
        len(picture.parts) > 1
        and picture.parts[-1].isdecimal()
        and _CAMERA.fullmatch(picture.parts[-2]) is not None
    )


def read_regdb(contents: Contents) -> Found | None:
    """Samples of the first of the random splits; visible images of the test part are the queries, thermal ones the gallery."""
    trials: dict[int, list[tuple[Path, str, str]]] = defaultdict(list)
    for path in contents.tree.others:
        matched = _INDEX.fullmatch(path.name)
        if matched:
            trials[int(matched["trial"])].append((path, matched["part"].lower(), matched["kind"].lower()))
    if not trials:
        return None
    trial = min(trials)
    pictures = {picture.path: picture for picture in contents.tree.pictures}
    found = Found(tables=[path for path, _, _ in trials[trial]], notes=[
        f"split {trial} of {len(trials)} in idx is used; visible test images are the queries, thermal ones the gallery"
    ])  # fmt: skip
    used = [
        picture
        for table, part, kind in sorted(
            trials[trial], key=lambda one: (one[1] == "test", one[2] == "thermal")
        )
        for picture in _indexed(table, part, kind, pictures, found)
    ]
    if not found.samples:
        return None
    refuse_two(path.parent for path, _, _ in trials[trial])
    taken = {picture.path for picture in used}
    found.passed["picture that no list names"] = [path for path in pictures if path not in taken]
    found.base = common(picture.parts[:-2] for picture in used)
    return found


def _indexed(table: Path, part: str, kind: str, pictures: dict[Path, Picture], found: Found) -> list[Picture]:
    """Pictures of one list, which become samples."""
    thermal, used = kind == "thermal", []
    split = "train" if part == "train" else "gallery" if thermal else "query"
    for line in read_lines(table):
        name, _, label = line.replace("\\", "/").rpartition(" ")
        picture = pictures.get(table.parent.parent / name.strip())
        pid = picture.parts[-1] if picture is not None else ""
        pid = pid if pid.isdecimal() else label
        if picture is None or not pid.isdecimal():
            found.problems.append(
                Problem("missing file", table, f"{line}: no such picture of an identity; left out")
            )
            continue
        images = {"TI" if thermal else "RGB": picture.path}
        found.samples.append(Sample(int(pid), 2 if thermal else 1, images, split=split))
        used.append(picture)
    return used
