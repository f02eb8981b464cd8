"""MSVR310 (vehicles): ``{bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}``; Zheng et al., Inf. Fusion 2023.

Retrieval leaves out gallery images of the query's identity and *scene*, so the scene is kept beside the camera.
"""

from __future__ import annotations

import re

from mswin_viz.data.sets.modalities import Contents, Shot
from mswin_viz.data.sets.reading import Layout, NameParts, ReaderResult, name_parts, read_shots
from mswin_viz.data.sets.splits import split_level

_NAME = re.compile(r"(?P<pid>\d{4})..(?P<scene>\d{3})..(?P<cam>\d)")
_SPLITS = {"bounding_box_train", "query3", "bounding_box_test"}


def _read(contents: Contents) -> ReaderResult | None:
    """Samples; names of another form, or of another identity than their folder, are reported."""
    folders = {name.lower() for shot in contents.shots for name in shot.place}
    splits = _SPLITS | ({"query"} if folders & {"bounding_box_train", "bounding_box_test"} else set())
    return read_shots(contents.shots, lambda shot: _parts(shot, splits), "PPPP_sSSS_vC...")


def _parts(shot: Shot, splits: set[str]) -> NameParts | str | None:
    level, _ = split_level(shot.place)
    parts = name_parts(_NAME, shot.stem)
    if parts is None or level == len(shot.place) or shot.place[level].lower() not in splits:
        return None
    folder = shot.place[-1]
    if folder.isdecimal() and int(folder) != parts.pid:
        return f"the folder says identity {folder}"
    return parts


LAYOUT = Layout(
    name="msvr310",
    shape="sub-folders {bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}",
    read=_read,
    published={"train": (155, 1032), "query": (52, 591), "gallery": (155, 1055)},
)
