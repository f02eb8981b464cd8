"""MSVR310 (vehicles): ``{bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}``; Zheng et al., Inf. Fusion 2023.

Retrieval leaves out gallery images of the query's identity and *scene*, so the scene is kept beside the camera.
"""

from __future__ import annotations

import re

from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import Found, Named, read_shots
from mswin_viz.data.splits import split_level

__all__ = ["PUBLISHED", "SHAPE", "read"]

PUBLISHED = {"train": (155, 1032), "query": (52, 591), "gallery": (155, 1055)}
"""Split -> identities and samples."""
SHAPE = "sub-folders {bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}"
_NAME = re.compile(r"(?P<pid>\d{4})..(?P<scene>\d{3})..(?P<cam>\d)")
_SPLITS = {"bounding_box_train", "query3", "bounding_box_test"}


def read(contents: Contents) -> Found | None:
    """Samples; names that say nothing, or another identity than their folder, are left out and reported."""
    folders = {name.lower() for shot in contents.shots for name in shot.place}
    splits = _SPLITS | ({"query"} if folders & {"bounding_box_train", "bounding_box_test"} else set())
    return read_shots(contents.shots, lambda shot, split: _named(shot, splits), "PPPP_sSSS_vC...")


def _named(shot: Shot, splits: set[str]) -> Named | str | None:
    at, _ = split_level(shot.place)
    matched = _NAME.match(shot.stem)
    if matched is None or at == len(shot.place) or shot.place[at].lower() not in splits:
        return None
    folder = shot.place[-1]
    if folder.isdecimal() and int(folder) != int(matched["pid"]):
        return f"the folder says identity {folder}"
    return Named(int(matched["pid"]), int(matched["cam"]), int(matched["scene"]))
