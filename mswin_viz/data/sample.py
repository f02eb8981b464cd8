"""The record of one shot, and of a problem with a file of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mswin_viz.data.images.image_source import Crop, source_name
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import DataError, OptionError

SPLITS = ("train", "test", "query", "gallery")
"""Names a split may have; in ``"test"`` every image is both query and gallery, as in RGBNT201."""


class StoredSample(NamedTuple):
    """Which sample of a store one is: the store's folder, and the number in its list."""

    folder: Path
    number: int


@dataclass(frozen=True)
class Sample:
    """One shot of one person or vehicle, in up to three aligned modalities.

    Attributes
    ----------
    pid, camid
        Identity and camera number as the file name gives them; -1 where the layout knows none.
    images
        Modality name (``"RGB"``, ``"NI"``, ``"TI"``) to file, or to the part of a file that holds it.
    caption
        A sentence about the sample, where one is known.
    scene
        Scene number, where the layout has scenes (MSVR310, whose retrieval leaves out the query's own scene).
    split
        ``"train"``, ``"test"``, ``"query"`` or ``"gallery"``; None where the layout knows none.
    root
        Folder of the data set, for names relative to it; None if the sample was not read from one.
    stored
        The store whose sample it is, so that its features are not computed again; None if it was not read from one.

    Examples
    --------
    >>> sample = samples[0]
    >>> sample.pid, sample.camid, sample.name, sample.label
    (1, 1, '000001_cam1_0_00', 'id 1, camera 1')
    >>> thermal = mv.Sample(pid=7, camid=2, images={"TI": "photos/anna.png"})  # of files of yours
    >>> thermal.label, thermal.split
    ('id 7, camera 2', None)
    """

    pid: int
    camid: int
    images: Mapping[str, Path | Crop]
    caption: str | None = None
    scene: int | None = None
    split: str | None = None
    root: Path | None = field(default=None, compare=False, repr=False)
    stored: StoredSample | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """File name of the first modality, without its ending; whatever is not valid text is escaped."""
        first = next(iter(self.images.values()))
        return shown_text(first.stem) if isinstance(first, Path | Crop) else source_name(first)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold its images, each once."""
        sources = self.images.values()
        return tuple(dict.fromkeys(one.path if isinstance(one, Crop) else one for one in sources))

    @property
    def label(self) -> str:
        """Identity, camera and scene, where known; the file's name if the identity is unknown."""
        return label_of(self.pid, self.camid, self.scene) or self.name


def label_of(pid: int, camid: int = -1, scene: int | None = None) -> str:
    """The known ones of identity, camera and scene in words; empty if the identity is unknown."""
    if pid < 0:
        return ""
    known = (("id", pid), ("camera", camid), ("scene", -1 if scene is None else scene))
    return ", ".join(f"{word} {number}" for word, number in known if number >= 0)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one file, or one row of a table.

    Attributes
    ----------
    kind
        Of a file: ``"name does not parse"``, ``"missing modality"``, ``"missing file"``, ``"duplicate"``,
        ``"same name twice"``, ``"corrupt image"``, ``"damaged image"`` (kept), ``"format cannot be read"``,
        ``"file cannot be read"``, ``"broken link"``, ``"not a regular file"``. Of a folder:
        ``"folder cannot be read"``, ``"modality not known"``, ``"modality not used"``, ``"modalities not paired"``,
        ``"identities not read"``, ``"outside the layout"``. Of a table: ``"row does not parse"``,
        ``"row too long"``, ``"row too short"``, ``"captions not read"``.
    path
        The file or folder; for a missing file, where it should be.
    detail
        What was found, and what became of it.
    """

    kind: str
    path: Path
    detail: str


def listed_samples(samples: Iterable[Sample]) -> list[Sample]:
    """The samples as a new list; an `OptionError` if they are anything but samples."""
    is_list = isinstance(samples, Iterable) and not isinstance(samples, str | bytes | Mapping)
    listed: list[Any] = list(samples) if is_list else []
    strange = [sample for sample in listed if not isinstance(sample, Sample)] if is_list else [samples]
    if strange:
        raise OptionError(
            f"samples must be a list of Sample records: got {short_text(repr(strange[0]), 80)}; mswin_viz.samples(folder) "
            "reads them, [sample] is a list of one"
        )
    return listed


def at_least_one(samples: Iterable[Sample]) -> list[Sample]:
    """:func:`listed_samples`; a `DataError` too if there are none."""
    listed = listed_samples(samples)
    if not listed:
        raise DataError("an explorer needs at least one sample: got none; see mswin_viz.samples()")
    return listed
