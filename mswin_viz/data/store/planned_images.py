"""Which images a store holds, in which order, and which of them make a shard: the same on every machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from mswin_viz.data.images.image_source import MODALITIES, Crop, source_name
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, OptionError


class PlannedImage(NamedTuple):
    """An image that gets a row: its number in the list, its sample's, the sample, and which of its modalities."""

    id: int
    sample_number: int
    sample: Sample
    modality: str

    @property
    def source(self) -> Path | Crop:
        """The file, or the part of a file."""
        return self.sample.images[self.modality]


@dataclass(frozen=True)
class Shard:
    """Consecutive samples, every image of theirs in order: the unit of work."""

    number: int
    first_id: int  # the number, in the whole list, of its first image
    first_sample: int
    n_samples: int
    images: tuple[PlannedImage, ...]

    def plan(self, root: Path | None, *, n_samples: int | None = None) -> str:
        """A hash of its images in order, or of those of its first samples: which file, of whom, by which camera, in which modality."""
        content, last = hashlib.blake2b(digest_size=16), self.first_sample + (n_samples or self.n_samples)
        for image in self.images:
            if image.sample_number < last:
                sample = image.sample
                about = (
                    part_of(image.source),
                    image.modality,
                    sample.pid,
                    sample.camid,
                    sample.scene,
                    sample.split,
                    sample.caption,
                )
                content.update(os.fsencode(path_below(image.source, root)) + repr(about).encode())
        return content.hexdigest()

    def batches(self, n_images: int) -> list[tuple[PlannedImage, ...]]:
        """Its images in batches of at most so many, at least one batch; a sample's stay together, as they may be parts of one file."""
        batches: list[list[PlannedImage]] = [[]]
        for place in range(self.first_sample, self.first_sample + self.n_samples):
            own = self._by_sample[place - self.first_sample]
            if batches[-1] and len(batches[-1]) + len(own) > n_images:
                batches.append([])
            batches[-1] += own
        return [tuple(batch) for batch in batches]

    @cached_property
    def _by_sample(self) -> list[list[PlannedImage]]:
        grouped: list[list[PlannedImage]] = [[] for _ in range(self.n_samples)]
        for image in self.images:
            grouped[image.sample_number - self.first_sample].append(image)
        return grouped


@dataclass(frozen=True)
class StorePlan:
    """The images of some samples in some modalities, sample by sample, cut into shards of ``shard_samples`` samples."""

    samples: Sequence[Sample]
    modalities: tuple[str, ...]
    shard_samples: int

    def __post_init__(self) -> None:
        if not self.modalities or any(name not in MODALITIES for name in self.modalities):
            raise OptionError(f"modalities are some of {', '.join(MODALITIES)}: got {self.modalities}")
        for sample in self.samples:
            for source in sample.images.values():
                if not isinstance(source, Path | Crop):
                    raise DataError(
                        f"a store is made of image files: got {source_name(source)} in memory; save it to a file first"
                    )
        if not self.n_images:
            raise DataError(
                f"extraction needs at least one {' or '.join(self.modalities)} image: got none in {counted(len(self.samples), 'samples')}"
            )

    @property
    def n_images(self) -> int:
        """Of all samples together."""
        return self._ends[-1] if self._ends else 0

    @property
    def n_shards(self) -> int:
        """How many shards the samples make."""
        return -(-len(self.samples) // self.shard_samples)

    def shard(self, number: int) -> Shard:
        """The images of a shard, counted from 0."""
        first = number * self.shard_samples
        chosen = self.samples[first : first + self.shard_samples]
        first_id = self._ends[first - 1] if first else 0
        named = ((place, s, name) for place, s in enumerate(chosen, start=first) for name in self._of(s))
        images = tuple(PlannedImage(id_, *each) for id_, each in enumerate(named, start=first_id))
        return Shard(number, first_id, first, len(chosen), images)

    def _of(self, sample: Sample) -> list[str]:
        return [name for name in sample.images if name in self.modalities]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(self._of(sample)) for sample in self.samples))


def path_below(source: Path | Crop, root: Path | None) -> str:
    """The file of a source relative to a folder, with ``/``; its whole path where it lies outside."""
    name = os.path.abspath(source.path if isinstance(source, Crop) else source)
    if root is None:
        return name
    below = os.path.relpath(name, root)
    return name if below.split(os.sep)[0] == os.pardir else below.replace(os.sep, "/")


def part_of(source: Path | Crop) -> str | None:
    """Which rectangle of its file a source is, ``#xywh=X,Y,WIDTH,HEIGHT``; None for a whole file."""
    return str(source)[len(str(source.path)) :] if isinstance(source, Crop) else None
