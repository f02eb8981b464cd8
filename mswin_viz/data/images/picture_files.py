"""The one place that opens picture files: regular files, in picture formats, with no more pixels than the limit."""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from mswin_viz.data.images import jpeg_headers
from mswin_viz.data.images.decoder_messages import caught_messages
from mswin_viz.data.images.decoder_words import decoder_words
from mswin_viz.data.images.file_kinds import kind_in_words
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import ImageError, ImageFileError, MswinVizError, OptionError

FORMATS = (
    "JPEG", "MPO", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "DIB", "JPEG2000", "PPM", "PSD", "QOI", "SGI", "SUN",
    "PCX", "TGA",
)  # fmt: skip
"""Pillow's names of the formats that are read: not those that another program runs (EPS), that are drawn from commands
(PDF, WMF), or decoded before their size is known (icons)."""
BYTES = (bytes, bytearray, memoryview)
LIMIT = "MSWIN_VIZ_MAX_PIXELS"
"""Environment variable with the most pixels that are decoded from one file."""
_MOST_PIXELS = 100_000_000
_START = 512  # bytes from which an unknown file is named
_MAGIC = 16  # bytes by which Pillow recognises formats
_UNMARKED = {"TGA": (".tga", ".icb", ".vda", ".vst")}
"""Format without a mark, so that nearly any file could be one -> the endings that it has."""
_WITHOUT_TILES = ("WEBP", "AVIF")  # Pillow decodes these at once, and does not say whether it has done so
_LONGEST_REASON = 300
_LARGEST_JPEG = 2**29  # bytes
logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # where no program listens, Python would print its errors


def picture_formats() -> list[str]:
    """Those of `FORMATS` that the installed Pillow knows, and those that the user added to Pillow."""
    Image.init()
    return list(_formats(tuple(Image.OPEN)))


@cache
def _formats(registered: tuple[str, ...]) -> tuple[str, ...]:
    added = (kind for kind, (opens, _) in Image.OPEN.items() if not opens.__module__.startswith("PIL."))
    return (*(kind for kind in FORMATS if kind in registered), *added)


def most_pixels() -> int:
    """The most pixels that are decoded from one file: 100 million, or the environment variable `LIMIT`."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return _MOST_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise OptionError(
            f"{LIMIT} must be a whole number of pixels, at least 1: got {short_text(text, 40)!r}; set it to "
            f"{_MOST_PIXELS}, for example, or leave it out"
        )
    return int(text)


@contextmanager
def opened_file(source: Any, name: str) -> Iterator[Image.Image]:
    """A picture whose pixels are not decoded yet, from a path, a file's content as bytes, or a binary file object.

    Raises
    ------
    ImageFileError
        If it is missing, no regular file, in a format that is not read, or has too many pixels.
    ImageError
        If the source is something else.
    """
    with _binary(source, name) as file, _identified(file, name) as image:
        try:
            check_size(image, name)
        except MswinVizError:
            raise
        except Exception as problem:  # tags of other types
            raise unreadable(name, problem) from problem
        yield image


def loaded(image: Image.Image) -> list[str]:
    """Decode every pixel; what the decoder complained about. Pillow may raise any error; the complaints are its notes."""
    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    if "libtiff" not in codecs:
        image.load()
        return []
    try:
        with caught_messages() as messages:
            image.load()
    except Exception as problem:
        for message in messages:
            problem.add_note(message)
        raise
    return messages


def check_size(image: Image.Image, name: str) -> None:
    """Refuse a picture without pixels, or one that is not decoded yet and has more than :func:`most_pixels`."""
    if min(image.size) < 1:
        raise unreadable(name, f"it is {image.width} wide and {image.height} high")
    if not (getattr(image, "tile", ()) or image.format in _WITHOUT_TILES):  # in memory already
        return
    most, sizes = most_pixels(), {"picture": image.size}
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        sizes["tile"] = (int(tags.get(322, 0)), int(tags.get(323, 0)))
    for what, (width, height) in sizes.items():
        if width * height > most:
            raise ImageFileError(
                f"an image file may have at most {most:,} pixels: {name} has a {what} {width:,} wide and "
                f"{height:,} high; make it smaller, leave it out, or set the environment variable {LIMIT}"
            )


def unreadable(name: str, problem: object) -> ImageFileError:
    """The error for a file that cannot be read, with a reason in words or what Pillow raised."""
    reason = decoder_words(problem) if isinstance(problem, Exception) else problem
    return ImageFileError(
        f"an image file must exist and be whole: {name} cannot be read ({short_text(reason, _LONGEST_REASON)}); "
        "replace it or leave it out"
    )


@contextmanager
def _binary(source: Any, name: str) -> Iterator[BinaryIO]:
    if isinstance(source, BYTES):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        with regular_file(source, name) as file:
            yield file
    else:
        yield _from_its_start(source, name)


def regular_file(path: str | os.PathLike, name: str) -> io.BufferedReader:
    """A regular file, opened without waiting for another program; an `ImageFileError` for an empty file, pipe or device."""
    try:
        _check_regular(os.stat(path), name)
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    except (OSError, ValueError) as problem:  # ValueError: a NUL, or a surrogate where names are not UTF-8
        raise problem if isinstance(problem, ImageFileError) else unreadable(name, problem) from problem
    try:
        _check_regular(os.fstat(file.fileno()), name)  # it may be another one by now
    except ImageFileError:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise unreadable(name, f"it is {_what(status.st_mode)}, not a regular file")
    if status.st_size == 0:
        raise unreadable(name, "it is empty")


def _what(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kinds |= {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return kinds.get(stat.S_IFMT(mode), "something else")


def _from_its_start(source: Any, name: str) -> BinaryIO:
    """A file object at its beginning; one that cannot go back is read whole."""
    if not hasattr(source, "read"):
        is_sample = hasattr(source, "images")
        advice = "pass sample.images[...] of one modality" if is_sample else "convert it to one of them"
        raise ImageError(
            "an image must be a path, a file's content, a PIL image, an array or a tensor: got "
            f"{type(source).__name__}; {advice}"
        )
    is_closed = getattr(source, "closed", False)
    if is_closed or isinstance(source.read(0), str):
        state = "a closed one" if is_closed else "one of text"
        raise ImageError(
            f'a file object must be open and binary: got {state} ({name}); pass its path, or open(path, "rb")'
        )
    try:
        source.seek(0)
    except (AttributeError, OSError):
        return io.BytesIO(source.read())
    return source


def _identified(file: BinaryIO, name: str) -> Image.Image:
    """The picture by the first format that can read its header.

    `Image.open` would do the same, but warns by a pixel limit of its own, which the whole process shares, before ours
    can be checked; and it maps files into memory, where one that is cut short meanwhile ends Python.
    """
    start = file.read(_START)
    if not start:
        raise unreadable(name, "it is empty")
    problems = []
    for kind in _kinds(name):
        opens, accepts = Image.OPEN[kind]
        try:
            is_of_kind = accepts is None or accepts(start[:_MAGIC])
            if is_of_kind is True:
                return _opened_as(opens, file, start)
            if isinstance(is_of_kind, str):  # the library that would read it is missing
                problems.append(is_of_kind)
        except Exception as problem:
            if accepts is not None:
                problems.append(f"damaged {kind} header: {decoder_words(problem)}")
    raise unreadable(name, problems[0] if problems else kind_in_words(start))


def _opened_as(opens: Callable[..., Image.Image], file: BinaryIO, start: bytes) -> Image.Image:
    """The picture, read by one of Pillow's formats; a JPEG file without its headers."""
    if not start.startswith(jpeg_headers.MARK) or file.seek(0, os.SEEK_END) > _LARGEST_JPEG:
        file.seek(0)
        return opens(file, "")
    file.seek(0)
    content, headers = jpeg_headers.apart(file.read())
    image = opens(io.BytesIO(content), "")
    image.info |= headers
    return image


def _kinds(name: str) -> list[str]:
    """Formats to try, in order."""
    ending = Path(name).suffix.lower()
    return [kind for kind in picture_formats() if not ending or ending in _UNMARKED.get(kind, (ending,))]
