"""RGBNT100 (vehicles): strips of three pictures in ``rgbir/{bounding_box_train,query,bounding_box_test}``.

Every file is 768 wide and 128 high and holds RGB, near and thermal infrared side by side; Li et al., AAAI 2020.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from PIL import Image

from mswin_viz.data.files import Picture
from mswin_viz.data.images import MODALITIES, Crop
from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import Found, Named, alone, read_shots

__all__ = ["PUBLISHED", "SHAPE", "STRIP", "read"]

PUBLISHED = {"train": (50, 8675), "query": (50, 1715), "gallery": (50, 8575)}
"""Split -> identities and samples."""
SHAPE = "strips of 768x128 (width x height) in {bounding_box_train,query,bounding_box_test}"
STRIP = (768, 128)
"""Width and height of a file."""
_WIDE = STRIP[0] // len(MODALITIES)
_NAME = re.compile(r"(?P<pid>\d+)_c(?P<cam>\d+)", re.IGNORECASE)
_SPLITS = {"bounding_box_train", "query", "bounding_box_test"}
_TRIED = 5  # headers read until one can be


def read(contents: Contents) -> Found | None:
    """Samples of split folders that hold strips; one file header in each is read, to tell them from other pictures."""
    folders: dict[tuple[str, ...], list[Picture]] = defaultdict(list)
    for picture in contents.plain:
        if picture.parts[-1].lower() in _SPLITS:
            folders[picture.parts].append(picture)
    strips = [one for pictures in folders.values() if _are_strips(pictures) for one in pictures]
    found = read_shots(alone(strips), _named, "PID_cCAMERA...")
    if found is not None:
        found.samples = [replace(sample, images=_parts(sample.images["RGB"])) for sample in found.samples]
    return found


def _named(shot: Shot, split: str | None) -> Named | None:
    matched = _NAME.match(shot.stem)
    return matched and Named(int(matched["pid"]), int(matched["cam"]))


def _parts(file: Path) -> dict[str, Crop]:
    height = STRIP[1]
    return {
        name: Crop(file, (at * _WIDE, 0, (at + 1) * _WIDE, height), STRIP)
        for at, name in enumerate(MODALITIES)
    }


def _are_strips(pictures: list[Picture]) -> bool:
    named = [picture.path for picture in pictures if _NAME.match(picture.path.name)]
    for path in named[:_TRIED]:
        try:
            with Image.open(path) as image:
                return image.size == STRIP
        except (OSError, SyntaxError, ValueError):
            continue  # a broken file, which is reported later
    return False
