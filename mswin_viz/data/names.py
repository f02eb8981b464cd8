"""What identifies a sample, wherever its data set lies: its path relative to the data set's root."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from mswin_viz.data.images.image_source import MODALITIES, Crop
from mswin_viz.data.images.picture_files import regular_file
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import DataError

_MOST_NAMED = 5  # candidates in a message
_MOST_OF_A_NAME = 200  # characters in a message
Parts = tuple[str, ...]


class FoundSample(NamedTuple):
    """Position of the sample that a name stands for, and what the user should know about it, if anything."""

    position: int
    note: str = ""


def relative_names(samples: Sequence[Sample]) -> list[str]:
    """The path of each sample's first image (of RGB, NI, TI), relative to the folder that holds all of their images.

    Separators are ``/`` on every system; a part of a file keeps its ``#xywh=``; invalid text is escaped.
    """
    every = [[_parts(source) for source in _sources(sample)] for sample in samples]
    shared = os.path.commonprefix([parts[:-1] for paths in every for parts in paths])  # noqa: RUF071 (of tuples it compares whole names)
    return ["/".join(paths[0][len(shared) :]) for paths in every]


def content_digest(sample: Sample) -> str | None:
    """Sixteen hexadecimal digits of what the sample's first file holds; None where it cannot be read."""
    return file_digest(_file(_sources(sample)[0]))


def found_sample(samples: Sequence[Sample], name: object, digest: str | None = None) -> FoundSample:
    """The one sample that a name from :func:`relative_names` stands for, wherever the data set lies now.

    ``name`` may also be a file name without folder and ending, as in old states. ``digest``, of the file's content at
    that time, decides between paths that fit equally well, and whether a file of that name is still the same.

    Raises
    ------
    DataError
        If no sample fits, or several do.
    """
    fits, shown = _fitting(samples, name), short_text(name, _MOST_OF_A_NAME)
    if not fits:
        raise DataError(
            f"a view is rebuilt from the samples it was made from: none of {len(samples)} is named {shown!r}"
            f"{_alike(samples, name)}; pass samples that include it"
        )
    same = [at for at, source in fits.items() if digest is not None and file_digest(_file(source)) == digest]
    if len(same) == 1:
        return FoundSample(same[0])
    if len(fits) > 1:
        raise DataError(
            f"a saved path must belong to one sample only: {shown!r} may be {_named(samples, list(fits))}; pass only "
            "the samples of its folder, or copy the state again from all of them"
        )
    ((at, source),) = fits.items()
    if digest is None or file_digest(_file(source)) in (None, digest):
        return FoundSample(at)
    if "/" not in str(name).replace("\\", "/"):
        raise DataError(
            f"a view is rebuilt from the samples it was made from: {_named(samples, [at])} is also named {shown!r}, but "
            "its file holds another picture; pass samples that include the original"
        )
    return FoundSample(
        at, f"{name} is no longer the file that this state was copied from: its content has changed."
    )


def _fitting(samples: Sequence[Sample], name: object) -> dict[int, Path | Crop]:
    """Position and image of the samples whose path ends in a relative path, or whose name is the given one."""
    if not isinstance(name, str) or not name:
        return {}
    for text in dict.fromkeys((name, name.replace("\\", "/"))):
        wanted = tuple(unicodedata.normalize("NFC", part) for part in text.split("/"))
        fits = {
            at: source
            for at, sample in enumerate(samples)
            for source in reversed(_sources(sample))
            if _parts(source)[-len(wanted) :] == wanted
        }
        fits = fits or {at: _sources(s)[0] for at, s in enumerate(samples) if s.name == text}
        if fits:
            return fits
    return {}


def _alike(samples: Sequence[Sample], name: object) -> str:
    """The samples whose files have the same name, in other folders."""
    last = str(name).replace("\\", "/").split("/")[-1]
    alike = [at for at, s in enumerate(samples) if last in [_parts(source)[-1] for source in _sources(s)]]
    return f" (with the same file name: {_named(samples, alike)})" if alike else ""


def _named(samples: Sequence[Sample], positions: Sequence[int]) -> str:
    names = relative_names(samples)
    words = ", ".join(names[at] for at in positions[:_MOST_NAMED])
    return words if len(positions) <= _MOST_NAMED else f"{words} and {len(positions) - _MOST_NAMED} more"


def _sources(sample: Sample) -> list[Path | Crop]:
    """The sample's images, RGB, NI and TI first, whatever their order."""
    known = [name for name in MODALITIES if name in sample.images]
    return [sample.images[name] for name in (*known, *sorted(set(sample.images) - {*MODALITIES}))]


def _file(source: Path | Crop) -> Path:
    return source.path if isinstance(source, Crop) else source


def _parts(source: Path | Crop) -> Parts:
    path: PurePath = _file(source)
    fragment = str(source)[len(str(path)) :]
    path = path if isinstance(path, PurePath) and not isinstance(path, Path) else Path(os.path.abspath(path))
    *folders, last = (unicodedata.normalize("NFC", shown_text(part)) for part in path.parts)
    return (*folders, last + fragment)


def file_digest(path: Path) -> str | None:
    """Sixteen hexadecimal digits of a file's content; None where it cannot be read."""
    try:
        with regular_file(path, str(path)) as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    except OSError:
        return None
