"""WMVEID863, also called MSVWild863 (vehicles): ``{train,query,test}/<id>/{vis,ni,th}``; Zheng et al.'s
flare-aware enhancement network.

The test folder, in some copies called ``gallery``, is the gallery. Names hold ``vC`` for the camera and ``sSSS``
for the scene, if there is one. Copies without identity folders name their files ``PPPPPP_camC_...``.
"""

from __future__ import annotations

import re

from mswin_viz.data.sets.modalities import Contents, Shot
from mswin_viz.data.sets.reading import Layout, NameParts, ReaderResult, name_parts, read_shots
from mswin_viz.data.sets.splits import split_level, splits_of

_CAMERA = re.compile(r"(?<![a-z])v(\d)(?!\d)", re.IGNORECASE)
_SCENE = re.compile(r"(?<![a-z])s(\d{3})(?!\d)", re.IGNORECASE)
_FLAT = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d)", re.IGNORECASE)
_SPELLED = {"vis", "th"}
_SPLITS = {"train", "query", "test", "gallery"}


def _read(contents: Contents) -> ReaderResult | None:
    """Samples; the identity is the number of the folder, or in the file name if there is no such folder."""
    result = read_shots(contents.shots, _parts, "vC... for the camera")
    return _flat(contents) if result is None else result


def _flat(contents: Contents) -> ReaderResult | None:
    """Samples of a copy without identity folders, which its query and folder names tell from RGBNT201."""
    shots = [s for s in contents.shots if {path.parent.name.lower() for path in s.files.values()} & _SPELLED]
    if "query" not in {split for _, split in splits_of({shot.place for shot in shots}).values()}:
        return None
    return read_shots(shots, lambda shot: name_parts(_FLAT, shot.stem), "PPPPPP_camC_...")


def _parts(shot: Shot) -> NameParts | None:
    level, _ = split_level(shot.place)
    below = shot.place[level + 1 :]
    camera, scene = _CAMERA.search(shot.stem), _SCENE.search(shot.stem)
    in_identity = len(below) == 1 and below[0].isdecimal() and shot.place[level].lower() in _SPLITS
    if not in_identity or camera is None:
        return None
    return NameParts(int(below[0]), int(camera[1]), int(scene[1]) if scene else None)


LAYOUT = Layout(
    name="wmveid863",
    shape="sub-folders {train,query,test}/<id>/{vis,ni,th} and names vC..., or PPPPPP_camC_... without <id>",
    read=_read,
)
