"""RGBNT100 (vehicles): strips of three pictures in ``rgbir/{bounding_box_train,query,bounding_box_test}``.

Every file is 768 wide and 128 high and holds RGB, near and thermal infrared side by side; Li et al., AAAI 2020.
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from mswin_viz.data.files import image_names, levels
from mswin_viz.data.images import MODALITIES, Crop
from mswin_viz.data.sample import Problem, Sample

__all__ = ["PUBLISHED", "STRIP", "scan", "splits"]

PUBLISHED = {"train": (50, 8675), "query": (50, 1715), "gallery": (50, 8575)}
"""Split -> identities and samples."""
STRIP = (768, 128)
"""Width and height of a file."""
_WIDE = STRIP[0] // len(MODALITIES)
_NAME = re.compile(r"(?P<pid>\d+)_c(?P<cam>\d+)")
_SPLITS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
_TRIED = 5  # headers read until one can be


def splits(folder: Path) -> list[Path]:
    """Split folders that hold strips; one file header in each is read, to tell strips from other pictures."""
    seen = list(levels(folder))
    seen += [level / "rgbir" / name for level in seen for name in _SPLITS]  # one level deeper than others
    return [level for level in dict.fromkeys(seen) if level.name in _SPLITS and _holds_strips(level)]


def scan(found: list[Path]) -> tuple[list[Sample], list[Problem]]:
    """Samples of split folders; each modality is a part of the file."""
    samples, problems = [], []
    for split in found:
        for name in sorted(image_names(split)):
            matched = _NAME.match(name)
            if matched is None:
                problems.append(
                    Problem("name does not parse", split / name, "expected PID_cCAMERA...; left out")
                )
                continue
            pid, camid = int(matched["pid"]), int(matched["cam"])
            samples.append(Sample(pid, camid, _parts(split / name), split=_SPLITS[split.name]))
    return samples, problems


def _parts(file: Path) -> dict[str, Crop]:
    height = STRIP[1]
    return {
        name: Crop(file, (at * _WIDE, 0, (at + 1) * _WIDE, height), STRIP)
        for at, name in enumerate(MODALITIES)
    }


def _holds_strips(folder: Path) -> bool:
    named = sorted(name for name in image_names(folder) if _NAME.match(name))
    for name in named[:_TRIED]:
        try:
            with Image.open(folder / name) as image:
                return image.size == STRIP
        except (OSError, SyntaxError, ValueError):
            continue  # a broken file, which is reported later
    return False
