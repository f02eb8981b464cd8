"""What tags know images by: the path relative to the data set's folder, and the part of the file where it is one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mswin_viz.data.images.image_source import Crop, crop_of
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import DataError, OptionError

Key = tuple[str, tuple[int, int, int, int] | None]
"""Relative path with ``/``, and the box of a part of a file."""
_PART = "#xywh="


class ImageKeys:
    """Keys of images below a folder; each of their folders is looked up once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, str] = {}

    def of_source(self, source: Path | Crop) -> Key:
        """The key of an image, which need not exist."""
        path, box = (source.path, source.box) if isinstance(source, Crop) else (source, None)
        folder, name = os.path.split(os.fspath(path))
        if folder not in self._folders:
            self._folders[folder] = self._below_root(folder)
        left_top_right_bottom = None if box is None else (int(box[0]), int(box[1]), int(box[2]), int(box[3]))
        return self._folders[folder] + name, left_top_right_bottom

    def of_sample(self, sample: Sample) -> list[Key]:
        """The keys of a sample's images."""
        return [self.of_source(source) for source in sample.images.values()]

    def of_any(self, images: object) -> list[Key]:
        """The keys of a sample, an image or several of them, each once; errors as in :meth:`Tags.add`."""
        return list(dict.fromkeys(self._keys(images)))

    def _keys(self, images: object) -> Iterator[Key]:
        if isinstance(images, Sample):
            yield from self.of_sample(images)
        elif isinstance(images, Crop):
            yield self.of_source(images)
        elif isinstance(images, str | os.PathLike):
            yield self.of_source(self._typed(os.fsdecode(images)))
        elif isinstance(images, Iterable) and not isinstance(images, bytes | Mapping):
            each: Any
            for each in images:
                if not isinstance(each, Sample | Crop | str | os.PathLike):
                    raise _no_images(each)
                yield from self._keys(each)
        else:
            raise _no_images(images)

    def _typed(self, text: str) -> Path | Crop:
        """The image that a path names, from the current folder or the data set's; a DataError if there is no such image."""
        for path in (text, os.path.join(self._root, text)):
            if os.path.isfile(path):
                return Path(path)
            file, mark, box = path.rpartition(_PART)
            if mark and os.path.isfile(file):
                return crop_of(Path(file), mark + box)
        why = "it is a folder: name its images" if os.path.isdir(text) else "there is no such file"
        raise DataError(
            f"a tag is given to images that exist: got {short_text(text, 160)} ({why}); paths begin at the current "
            f"folder, or at {short_text(self._root, 160)}"
        )

    def _below_root(self, folder: str) -> str:
        """A folder relative to the data set's, with ``/`` at its end; as links have it, and, outside, as it really lies."""
        pairs = [(os.path.abspath(folder), os.path.abspath(self._root))]
        pairs.append((os.path.realpath(folder), os.path.realpath(self._root)))
        for own, root in pairs:
            if own == root:
                return ""
            if own.startswith(os.path.join(root, "")):
                return Path(os.path.relpath(own, root)).as_posix() + "/"
        try:
            return Path(os.path.relpath(*pairs[1])).as_posix() + "/"
        except ValueError:  # another drive of Windows
            return Path(pairs[1][0]).as_posix() + "/"


def folded(key: Key) -> Key:
    """What stays of a key on any system: ``/`` for Windows' separators, and letters with their marks composed."""
    return unicodedata.normalize("NFC", key[0]).replace("\\", "/").removeprefix("./"), key[1]


def _no_images(value: object) -> OptionError:
    return OptionError(
        f"tags belong to samples, paths of images, or several of them: got {value_words(value)}; "
        "mswin_viz.samples(folder) reads samples"
    )
