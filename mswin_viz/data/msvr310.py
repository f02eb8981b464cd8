"""MSVR310 (vehicles): ``{bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}``; Zheng et al., Inf. Fusion 2023.

Retrieval leaves out gallery images of the query's identity and *scene*, so the scene is kept beside the camera.
"""

from __future__ import annotations

import re
from pathlib import Path

from mswin_viz.data.files import aligned, levels, missing_modalities
from mswin_viz.data.sample import Problem, Sample

__all__ = ["PUBLISHED", "scan", "splits"]

PUBLISHED = {"train": (155, 1032), "query": (52, 591), "gallery": (155, 1055)}
"""Split -> identities and samples."""
_NAME = re.compile(r"(?P<pid>\d{4})..(?P<scene>\d{3})..(?P<cam>\d)")
_SPLITS = {"bounding_box_train": "train", "query3": "query", "bounding_box_test": "gallery"}
_FOLDERS = {"RGB": "vis", "NI": "ni", "TI": "th"}


def splits(folder: Path) -> list[Path]:
    """Split folders in which some identity has a folder of visible or infrared images."""
    return [level for level in levels(folder) if level.name in _SPLITS and _identities(level)]


def scan(found: list[Path]) -> tuple[list[Sample], list[Problem]]:
    """Samples of split folders; files whose names say nothing, or another identity, are left out and reported."""
    samples, problems = [], []
    for split in found:
        for identity in _identities(split):
            folders = {modality: identity / name for modality, name in _FOLDERS.items()}
            for name, files in aligned(folders).items():
                wrong = _what_is_wrong(name, identity.name)
                if wrong:
                    problems += [Problem("name does not parse", path, wrong) for path in files.values()]
                    continue
                matched = _NAME.match(name)
                pid, scene, camid = (int(matched[part]) for part in ("pid", "scene", "cam"))
                samples.append(Sample(pid, camid, files, scene=scene, split=_SPLITS[split.name]))
                problems += missing_modalities(files, folders, name)
    return samples, problems


def _identities(split: Path) -> list[Path]:
    folders = sorted(child for child in split.iterdir() if child.is_dir())
    return [child for child in folders if any((child / name).is_dir() for name in _FOLDERS.values())]


def _what_is_wrong(name: str, folder: str) -> str:
    matched = _NAME.match(name)
    if matched is None:
        return "expected PPPP_sSSS_vC...; left out"
    if folder.isdigit() and int(folder) != int(matched["pid"]):
        return f"the folder says identity {folder}; left out"
    return ""
