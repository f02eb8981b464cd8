"""Pictures opened and resized in other processes, so that the tower never waits for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.data.images.image_source import Crop, opened_together, source_name
from mswin_viz.data.images.picture_facts import PictureFacts
from mswin_viz.data.images.picture_files import regular_file
from mswin_viz.data.storage.shared_blocks import Block, HandedOver
from mswin_viz.errors import MswinVizError
from mswin_viz.model.encoder.preprocessing import FittingRule, fitted_picture

if TYPE_CHECKING:
    from jaxtyping import UInt8


class DecodingJob(NamedTuple):
    """Files to open for one pass of the tower, how pictures are brought to its input, and where to put them, if not in the result."""

    sources: tuple[Path | Crop, ...]
    rule: FittingRule
    block: Block | None = None


@dataclass(frozen=True, eq=False)
class DecodedBatch:
    """What became of the files of a job.

    Attributes
    ----------
    pixels
        Pictures that could be read, ``[k, 3, H, W]``, 0..255, in the order of the files; or where they lie, if the job had
        a block for them.
    places
        Which files these are of.
    facts
        What is known of each of these pictures.
    hashes
        Of each file, 32 hexadecimal digits of what it holds; None where it could not be read at all.
    problems
        Place of each other file -> why it has no picture.
    """

    pixels: UInt8[np.ndarray, "picture 3 height width"] | HandedOver
    places: list[int]
    facts: list[PictureFacts]
    hashes: list[str | None]
    problems: dict[int, str]


def decoded(job: DecodingJob) -> DecodedBatch:
    """Open the files of a job; a file that holds several of its pictures is decoded once."""
    hashes = _hashes(job.sources)
    places, shown, facts, problems = [], [], [], {}
    for place, picture in enumerate(opened_together(job.sources, deep_range=job.rule.deep_range)):
        if isinstance(picture, MswinVizError):
            problems[place] = str(picture)
            continue
        image = fitted_picture(job.rule, picture, source_name(job.sources[place]))
        places.append(place)
        shown.append(np.asarray(image.shown).transpose(2, 0, 1))
        facts.append(image.facts)
    height, width = job.rule.image_size
    pixels = np.stack(shown) if shown else np.zeros((0, 3, height, width), np.uint8)
    handed = pixels if job.block is None else job.block.hand_over(pixels)
    return DecodedBatch(handed, places, facts, hashes, problems)


def _hashes(sources: Iterable[Path | Crop]) -> list[str | None]:
    by_file: dict[Path, str | None] = {}
    hashes = []
    for source in sources:
        file = source.path if isinstance(source, Crop) else source
        if file not in by_file:
            by_file[file] = _hash(file)
        hashes.append(by_file[file])
    return hashes


def _hash(file: Path) -> str | None:
    try:
        with regular_file(file, source_name(file)) as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except (MswinVizError, OSError):
        return None
