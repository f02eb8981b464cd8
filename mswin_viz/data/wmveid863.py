"""WMVEID863, also called MSVWild863 (vehicles): ``{train,query,test}/<id>/{vis,ni,th}``; Zheng et al.'s
flare-aware enhancement network.

The test folder, in some copies called ``gallery``, is the gallery. Names hold ``vC`` for the camera and ``sSSS``
for the scene, where there is one. Copies without identity folders name their files ``PPPPPP_camC_...``.
"""

from __future__ import annotations

import re

from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import Found, Named, read_shots
from mswin_viz.data.splits import split_level, splits_of

__all__ = ["SHAPE", "read"]

SHAPE = "sub-folders {train,query,test}/<id>/{vis,ni,th} and names vC..., or PPPPPP_camC_... without <id>"
_CAMERA = re.compile(r"(?<![a-z])v(\d)(?!\d)", re.IGNORECASE)
_SCENE = re.compile(r"(?<![a-z])s(\d{3})(?!\d)", re.IGNORECASE)
_FLAT = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d)", re.IGNORECASE)
_SPELLED = {"vis", "th"}
_SPLITS = {"train", "query", "test", "gallery"}


def read(contents: Contents) -> Found | None:
    """Samples; the identity is the number of the folder, or stands in the name where there is no such folder."""
    found = read_shots(contents.shots, _named, "vC... for the camera")
    return _flat(contents) if found is None else found


def _flat(contents: Contents) -> Found | None:
    """Samples of a copy without identity folders, told from RGBNT201 by its query and the names of its folders."""
    own = [
        shot
        for shot in contents.shots
        if {path.parent.name.lower() for path in shot.files.values()} & _SPELLED
    ]
    if "query" not in {split for _, split in splits_of({shot.place for shot in own}).values()}:
        return None
    return read_shots(own, _named_flat, "PPPPPP_camC_...")


def _named(shot: Shot, split: str | None) -> Named | None:
    at, _ = split_level(shot.place)
    below = shot.place[at + 1 :]
    camera, scene = _CAMERA.search(shot.stem), _SCENE.search(shot.stem)
    if len(below) != 1 or not below[0].isdecimal() or shot.place[at].lower() not in _SPLITS or camera is None:
        return None
    return Named(int(below[0]), int(camera[1]), int(scene[1]) if scene else None)


def _named_flat(shot: Shot, split: str | None) -> Named | None:
    matched = _FLAT.match(shot.stem)
    return matched and Named(int(matched["pid"]), int(matched["cam"]))
