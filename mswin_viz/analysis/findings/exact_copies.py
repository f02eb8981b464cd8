"""Which files, pixels or features are the same: exact copies, told apart from what only looks alike."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.images.image_source import Crop, opened
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.errors import MswinVizError

SAME = ("same file", "same pixels", "same features")
"""How two items can be the same, the strictest first; anything else is near."""
_AT_ONCE = 2**20  # bytes of a file that are read at once


class ImageOf(NamedTuple):
    """One image of the table: its row, and its modality among the row's files."""

    row: int
    modality: str


def same_files(table: EmbeddingTable) -> list[list[ImageOf]]:
    """Images whose files have the same bytes, in any two modalities and samples; files that cannot be read are passed over.

    Files are read only where another one has the same size. Crops are the same if file and rectangle are.
    """
    by_size: dict[tuple[int, object], list[tuple[ImageOf, Path]]] = defaultdict(list)
    for image, source in _images(table):
        path, part = (source.path, source.box) if isinstance(source, Crop) else (source, None)
        try:
            by_size[regular_size(Path(path)), part].append((image, Path(path)))
        except (OSError, ValueError):
            continue
    groups: dict[tuple[object, bytes], list[ImageOf]] = defaultdict(list)
    for key, images in by_size.items():
        if len(images) > 1:
            for image, path in images:
                digest = _digest(path)
                if digest:
                    groups[key, digest].append(image)
    return [images for images in groups.values() if len(images) > 1]


def how_alike(
    one: Mapping[str, Path | Crop], other: Mapping[str, Path | Crop], *, has_same_features: bool
) -> str:
    """One of ``SAME`` for two items' files, modality by modality; empty where they are only near."""
    pairs = [(one[name], other[name]) for name in one if name in other]
    if pairs and len(pairs) == len(one) == len(other):
        if all(_is_same_file(*pair) for pair in pairs):
            return SAME[0]
        if all(_is_same_picture(*pair) for pair in pairs):
            return SAME[1]
    return SAME[2] if has_same_features else ""


def _images(table: EmbeddingTable) -> Iterator[tuple[ImageOf, Path | Crop]]:
    seen: set[tuple[int, str]] = set()
    for row, files in enumerate(table.files):
        for modality, source in files.items():
            if (int(table.sample[row]), modality) not in seen:  # joined tables name a file once in each row
                seen.add((int(table.sample[row]), modality))
                yield ImageOf(row, modality), source


def _is_same_file(one: Path | Crop, other: Path | Crop) -> bool:
    if isinstance(one, Crop) or isinstance(other, Crop):
        if not (isinstance(one, Crop) and isinstance(other, Crop)) or one.box != other.box:
            return False
        one, other = one.path, other.path
    try:
        if regular_size(Path(one)) != regular_size(Path(other)):
            return False
    except (OSError, ValueError):
        return False
    digest = _digest(Path(one))
    return bool(digest) and digest == _digest(Path(other))


def _is_same_picture(one: Path | Crop, other: Path | Crop) -> bool:
    try:
        first, second = (np.asarray(opened(source).image) for source in (one, other))
    except MswinVizError:
        return False
    return first.shape == second.shape and bool((first == second).all())


def _digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(_AT_ONCE):
                digest.update(part)
    except OSError:
        return b""
    return digest.digest()
