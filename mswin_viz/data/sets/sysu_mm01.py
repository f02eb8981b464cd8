"""SYSU-MM01 (persons): each picture in visible *or* near infrared light; Wu et al., ICCV 2017.

Folders ``cam1`` to ``cam6`` with one folder for each identity in them; cameras 3 and 6 see near infrared.
"""

from __future__ import annotations

import re

from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.modalities import Contents
from mswin_viz.data.sets.reading import Layout, ReaderResult, outermost, read_lines, refuse_two

_CAMERA = re.compile(r"cam([1-6])", re.IGNORECASE)
_CAMERAS = tuple(f"cam{number}" for number in range(1, 7))
_INFRARED = (3, 6)
_IDS = {"train_id.txt": "train", "val_id.txt": "train", "test_id.txt": "test"}
_NOTE = (
    "the infrared images of test identities are the queries, all visible ones are the gallery; the published protocol "
    "draws one visible image for each identity and camera, ten times, and leaves out camera 2 for queries from camera 3"
)
_NO_IDS = (
    "exp/train_id.txt, val_id.txt and test_id.txt are missing, so the splits are unknown; cameras 3 and 6 are read as "
    "near infrared"
)


def _read(contents: Contents) -> ReaderResult | None:
    """Samples of camera folders; ``exp/{train,val,test}_id.txt`` divide the identities into splits."""
    pictures = [
        (picture, camid)
        for picture in contents.tree.pictures
        if picture.parts[-1].isdecimal() and (camid := _camera(picture.parts[-2:-1]))
    ]
    if not pictures:
        return None
    tables = [path for path in contents.tree.others if path.name.lower() in _IDS]
    splits = {
        int(number): _IDS[path.name.lower()]
        for path in tables
        for line in read_lines(path)
        for number in re.findall(r"\d+", line)
    }
    result = ReaderResult(notes=[_NOTE if splits else _NO_IDS], tables=tables)
    result.base = outermost(picture.parts[:-2] for picture, _ in pictures)
    for camera in range(1, 7):
        refuse_two(picture.path.parents[2] for picture, camid in pictures if camid == camera)
    for picture, camid in pictures:
        pid, is_infrared = int(picture.parts[-1]), camid in _INFRARED
        split = splits.get(pid)
        if splits and split is None:
            result.passed["picture of an identity that no list names"].append(picture.path)
            continue
        if split == "test":
            split = "query" if is_infrared else "gallery"
        result.samples.append(Sample(pid, camid, {"NI" if is_infrared else "RGB": picture.path}, split=split))
    return result


def _camera(names: tuple[str, ...]) -> int:
    """Number of the camera that the last of these folders is named for, or 0."""
    matched = _CAMERA.fullmatch(names[-1]) if names else None
    return int(matched[1]) if matched else 0


def _is_certain(contents: Contents) -> bool:
    """Whether this is SYSU-MM01, by its lists, its name, or all six camera folders and no other."""
    if any(path.name.lower() in _IDS for path in contents.tree.others):
        return True
    above = {picture.parts[:-1] for picture in contents.tree.pictures if len(picture.parts) > 1}
    cameras = {parts[-1].lower() for parts in above if parts[-1].lower().startswith("cam")}
    return any("sysu" in name.lower() for parts in above for name in parts) or cameras == set(_CAMERAS)


def is_camera_of_sysu(names: tuple[str, ...]) -> bool:
    """Whether the last of these folders is a camera of a data set called SYSU."""
    return len(names) > 1 and "sysu" in names[-2].lower() and _camera(names) > 0


def is_infrared_of_sysu(names: tuple[str, ...]) -> bool:
    """Whether one of these folders is an infrared camera of a data set called SYSU."""
    above = [names[: level + 1] for level in range(len(names))]
    return any(is_camera_of_sysu(folders) and _camera(folders) in _INFRARED for folders in above)


LAYOUT = Layout(
    name="sysu_mm01",
    shape="sub-folders {cam1,...,cam6}/<id>",
    read=_read,
    # the training split with the validation part, the gallery with all visible images
    published={"train": (395, 34167), "query": (96, 3803), "gallery": (96, 6775)},
    paired=False,
    is_certain=_is_certain,
)
