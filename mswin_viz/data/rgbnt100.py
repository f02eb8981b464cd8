"""RGBNT100 (vehicles): strips of three pictures in ``rgbir/{bounding_box_train,query,bounding_box_test}``.

Every file is 768 wide and 128 high and holds RGB, near and thermal infrared side by side; Li et al., AAAI 2020.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from mswin_viz.data.files import Picture
from mswin_viz.data.images import MODALITIES, Crop
from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.picture_files import opened_file
from mswin_viz.data.reading import Found, Named, alone, read_shots
from mswin_viz.data.sample import Sample
from mswin_viz.data.splits import split_level
from mswin_viz.errors import ImageFileError

__all__ = ["PUBLISHED", "SHAPE", "STRIP", "read"]

PUBLISHED = {"train": (50, 8675), "query": (50, 1715), "gallery": (50, 8575)}
"""Split -> identities and samples."""
SHAPE = "strips of 768x128 (width x height) in {bounding_box_train,query,bounding_box_test}"
STRIP = (768, 128)
"""Width and height of a published file."""
_NAME = re.compile(r"(?P<pid>\d+)_c(?P<cam>\d+)", re.IGNORECASE)
_TRIED = 5  # headers read until one can be


def read(contents: Contents) -> Found | None:
    """Samples of split folders that hold strips; one file header in each is read, to tell them from other pictures."""
    folders: dict[tuple[str, ...], list[Picture]] = defaultdict(list)
    for picture in contents.plain:
        at, split = split_level(picture.parts)
        if (
            split is not None and len(picture.parts) <= at + 2
        ):  # at most a folder for each identity in between
            folders[picture.parts].append(picture)
    sizes = {parts: _strip_size(pictures) for parts, pictures in folders.items()}
    strips = {
        one.path: sizes[parts] for parts, pictures in folders.items() if sizes[parts] for one in pictures
    }
    own = [picture for picture in contents.plain if picture.path in strips]
    found = read_shots(alone(own), _named, "PID_cCAMERA...")
    if found is not None:
        found.samples = [_cut(sample, strips[sample.images["RGB"]]) for sample in found.samples]
    return found


def _named(shot: Shot, split: str | None) -> Named | None:
    matched = _NAME.match(shot.stem)
    return matched and Named(int(matched["pid"]), int(matched["cam"]))


def _cut(sample: Sample, size: tuple[int, int]) -> Sample:
    file, (width, height) = sample.images["RGB"], size
    wide = width // len(MODALITIES)
    parts = {
        name: Crop(file, (at * wide, 0, (at + 1) * wide, height), size) for at, name in enumerate(MODALITIES)
    }
    return replace(sample, images=parts)


def _strip_size(pictures: list[Picture]) -> tuple[int, int] | None:
    """Width and height of the strips of a folder, 768x128 or of the same shape; None for other pictures."""
    named = [picture.path for picture in pictures if _NAME.match(picture.path.name)]
    for path in named[:_TRIED]:
        try:
            with opened_file(path, str(path)) as image:
                return image.size if image.width * STRIP[1] == image.height * STRIP[0] else None
        except ImageFileError:
            continue  # a broken file, which is reported later
    return None
