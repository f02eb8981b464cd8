"""RGBNT100 (vehicles): strips of three pictures in ``rgbir/{bounding_box_train,query,bounding_box_test}``.

Every file is 768 wide and 128 high and holds RGB, near and thermal infrared side by side; Li et al., AAAI 2020.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES, Crop
from mswin_viz.data.images.picture_files import opened_file
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import Contents
from mswin_viz.data.sets.reading import Layout, ReaderResult, name_parts, read_shots, single_shots
from mswin_viz.data.sets.splits import split_level
from mswin_viz.errors import ImageFileError

STRIP = (768, 128)
"""Width and height of a published file."""
_NAME = re.compile(r"(?P<pid>\d+)_c(?P<cam>\d+)", re.IGNORECASE)
_TRIED = 5  # headers read until one can be


def _read(contents: Contents) -> ReaderResult | None:
    """Samples of split folders that hold strips; one file header in each is read to tell them from other pictures."""
    folders: dict[tuple[str, ...], list[Picture]] = defaultdict(list)
    for picture in contents.plain:
        level, split = split_level(picture.parts)
        if split is not None and len(picture.parts) <= level + 2:  # at most an identity's folder between
            folders[picture.parts].append(picture)
    sizes = {parts: _strip_size(pictures) for parts, pictures in folders.items()}
    strips = {one.path: size for parts, size in sizes.items() if size is not None for one in folders[parts]}
    pictures = [picture for picture in contents.plain if picture.path in strips]
    result = read_shots(single_shots(pictures), lambda shot: name_parts(_NAME, shot.stem), "PID_cCAMERA...")
    if result is not None:
        result.samples = [
            replace(sample, images=_parts(file, strips[file]))
            for sample in result.samples
            for file in sample.files
        ]
    return result


def _parts(file: Path, size: tuple[int, int]) -> dict[str, Crop]:
    """The three pictures of a strip."""
    (width, height), n_parts = size, len(MODALITIES)
    edges = [number * (width // n_parts) for number in range(n_parts + 1)]
    return {
        name: Crop(file, (left, 0, right, height), size)
        for name, left, right in zip(MODALITIES, edges, edges[1:], strict=False)
    }


def _strip_size(pictures: list[Picture]) -> tuple[int, int] | None:
    """Width and height of a folder's strips, if its pictures have the proportions of `STRIP`; else None."""
    named = [picture.path for picture in pictures if _NAME.match(picture.path.name)]
    for path in named[:_TRIED]:
        try:
            with opened_file(path, str(path)) as image:
                return image.size if image.width * STRIP[1] == image.height * STRIP[0] else None
        except ImageFileError:
            continue  # reported later
    return None


LAYOUT = Layout(
    name="rgbnt100",
    shape="strips of 768x128 (width x height) in {bounding_box_train,query,bounding_box_test}",
    read=_read,
    published={"train": (50, 8675), "query": (50, 1715), "gallery": (50, 8575)},
)
