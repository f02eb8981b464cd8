"""RGBNT201 (persons): ``{train_171,test}/{RGB,NI,TI}/PPPPPP_camC_...jpg``; Zheng et al., AAAI 2021."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from mswin_viz.data.files import aligned, levels, missing_modalities
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.sample import Problem, Sample

__all__ = ["PUBLISHED", "modality_folders", "scan", "splits"]

PUBLISHED = {"train": (171, 3951), "test": (30, 836)}
"""Split -> identities and samples."""
_NAME = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d+)_")
_SPLITS = {"train_171": "train", "train": "train", "test": "test"}


def modality_folders(folder: Path) -> list[Path]:
    """Folders that hold an RGB folder with a sibling modality; ``folder`` may be any level above."""
    return [
        level
        for level in levels(folder)
        if (level / "RGB").is_dir() and any((level / name).is_dir() for name in MODALITIES[1:])
    ]


def splits(folder: Path) -> list[Path]:
    """The folders among them in which a file name says who is shown."""
    return [
        level
        for level in modality_folders(folder)
        if any(_NAME.match(name) for name in aligned(_modalities(level)))
    ]


def scan(found: list[Path]) -> tuple[list[Sample], list[Problem]]:
    """Samples of split folders; files whose names say nothing are left out and reported."""
    samples, problems = [], []
    for split in found:
        captions, folders = _captions(split.parent / "attributes.csv"), _modalities(split)
        for name, files in aligned(folders).items():
            matched = _NAME.match(name)
            if matched is None:
                detail = "expected PPPPPP_camC_...; left out"
                problems += [Problem("name does not parse", path, detail) for path in files.values()]
                continue
            pid, camid = int(matched["pid"]), int(matched["cam"])
            samples.append(
                Sample(pid, camid, files, captions.get(pid), split=_SPLITS.get(split.name.lower()))
            )
            problems += missing_modalities(files, folders, name)
    return samples, problems


def _modalities(split: Path) -> dict[str, Path]:
    return {name: split / name for name in MODALITIES}


def _captions(table: Path) -> dict[int, str]:
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        return {int(row["pid"]): row["caption"] for row in csv.DictReader(lines) if row.get("caption")}
