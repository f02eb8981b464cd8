"""Files, bytes, PIL images, arrays and tensors -> upright 8-bit RGB pictures; what cannot be read is named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np
from PIL import Image

from mswin_viz.data.images.decoded_pixels import Pixels, area, decoded, rgb
from mswin_viz.data.images.deep_images import DeepRange, Levels, eight_bit, levels_of_colour
from mswin_viz.data.images.image_arrays import is_array, pixels_of
from mswin_viz.data.images.picture_files import BYTES, check_size, opened_file, unreadable
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import ImageError, ImageFileError, MswinVizError

if TYPE_CHECKING:
    from jaxtyping import Num

MODALITIES = ("RGB", "NI", "TI")
"""Names of the three modalities, as RGBNT201 names its folders: visible, near and thermal infrared."""

_PART = re.compile(
    r"(?P<file>.+)#xywh=(?P<box>[0-9]{1,9}(?:,[0-9]{1,9}){3})(?:&of=(?P<size>[0-9]{1,9},[0-9]{1,9}))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image file, for files that hold several pictures.

    It is not a path on purpose: code that knows no crops must fail, not show the whole file. Its text form,
    ``FILE#xywh=X,Y,WIDTH,HEIGHT`` (W3C Media Fragments), can be stored in tables and is read like a path.

    Attributes
    ----------
    path
        The file.
    box
        ``(left, top, right, bottom)``, pixels.
    size
        Width and height that the whole file must have; None for any that contains the box.

    Examples
    --------
    >>> from PIL import Image
    >>> Image.new("RGB", (96, 64), "red").save("strip.png")  # several pictures side by side
    >>> left = mv.Crop("strip.png", box=(0, 0, 32, 64), size=(96, 64))
    >>> str(left)
    'strip.png#xywh=0,0,32,64&of=96,64'
    >>> tuple(model.encode(left).cls.shape)
    (1, 512)
    """

    path: Path
    box: tuple[int, int, int, int]
    size: tuple[int, int] | None = None

    def __str__(self) -> str:
        left, top, right, bottom = self.box
        whole = "" if self.size is None else f"&of={self.size[0]},{self.size[1]}"
        return f"{self.path}#xywh={left},{top},{right - left},{bottom - top}{whole}"

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def stem(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem


ImageSource = str | os.PathLike | Crop | Image.Image | np.ndarray | bytes | bytearray | memoryview | BinaryIO
"""Whatever holds one picture; torch tensors too, which this layer does not import."""


class Opened(NamedTuple):
    """An upright picture of mode RGB, and what is wrong with its file although it could be read."""

    image: Image.Image
    levels: Levels | None  # what is left of more than 8 bits; None where the source has 8
    remarks: tuple[str, ...] = ()


def open_image(source: ImageSource, *, deep_range: DeepRange | None = None) -> Image.Image:
    """One picture as mode RGB.

    EXIF rotation is applied, grey is repeated, transparency is laid on white, and only the first frame is read. Images
    of more than 8 bits are mapped linearly to 0..255 and clipped: from ``deep_range``, or from their own 1st to 99th
    percentile. Of *colour* files of 16 bits Pillow reads the upper 8 bits, and no range applies.

    Parameters
    ----------
    source
        A file or a part of one, a file's content, a binary file object, a PIL image, or an array: uint8 or float of
        0..1, ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]`` (RGBA); uint16 of one or three channels. A torch
        tensor may have its channels first, if the shape leaves no doubt.
    deep_range
        Values that become 0 and 255; with it, floating-point and 32-bit images of one channel can be read too.

    Raises
    ------
    ImageFileError
        If a file is missing, damaged, not an image, or has more pixels than are decoded (100 million, or the
        environment variable MSWIN_VIZ_MAX_PIXELS), or a part lies outside it.
    ImageError
        If an array can be read in two ways or in none, or floating-point or 32-bit values have no range.
    """
    return opened(source, deep_range=deep_range).image


def opened(source: ImageSource, *, deep_range: DeepRange | None = None) -> Opened:
    """:func:`open_image`, with what is left of more than 8 bits and what is wrong with the file."""
    return _shown(_pixels(source, has_range=deep_range is not None), source, deep_range)


def opened_together(
    sources: Sequence[Path | Crop], *, deep_range: DeepRange | None = None
) -> list[Opened | MswinVizError]:
    """:func:`opened` of each source, or its error; a file that holds several of them is decoded once."""
    whole: dict[Path, Pixels | MswinVizError] = {}
    pictures: list[Opened | MswinVizError] = []
    for source in sources:
        part = _part(source)
        file = Path(part.path if part else cast(Path, source))
        try:
            if file not in whole:
                whole[file] = _caught(file, has_range=deep_range is not None)
            pixels = whole[file]
            if isinstance(pixels, MswinVizError):
                raise pixels
            cut = replace(pixels, values=_cut(pixels.values, part)) if part else pixels
            pictures.append(_shown(cut, source, deep_range))
        except (ImageFileError, ImageError) as problem:
            pictures.append(problem)
    return pictures


def _caught(file: Path, *, has_range: bool) -> Pixels | MswinVizError:
    try:
        return _pixels(file, has_range=has_range)
    except (ImageFileError, ImageError) as problem:
        return problem


def _shown(pixels: Pixels, source: ImageSource, deep_range: DeepRange | None) -> Opened:
    if isinstance(pixels.values, np.ndarray):
        shown, levels = eight_bit(pixels.values, source_name(source), deep_range)
        return Opened(Image.fromarray(shown).convert("RGB"), levels, pixels.remarks)
    levels = levels_of_colour(np.asarray(pixels.values)) if pixels.is_deep_colour else None
    return Opened(pixels.values, levels, pixels.remarks)


def deep_values(source: ImageSource) -> Num[np.ndarray, "rows cols *channels"] | None:
    """An image's own values if it has more than 8 bits, upright; else None. Errors are those of :func:`open_image`."""
    values = _pixels(source, has_range=True).values
    return values if isinstance(values, np.ndarray) else None


def joined_name(modalities: Iterable[str]) -> str:
    """The name of several modalities taken together: ``RGB+NI+TI``."""
    return "+".join(modalities)


def source_name(source: ImageSource) -> str:
    """What messages call a source: its file, or what it is."""
    if isinstance(source, Crop):
        return shown_text(source)
    if isinstance(source, str | os.PathLike):
        return shown_text(os.fsdecode(source))
    if isinstance(source, BYTES):
        return "the bytes given"
    if isinstance(source, Image.Image):
        return shown_text(getattr(source, "filename", "") or "the PIL image")
    name = getattr(source, "name", "")
    return shown_text(name) if isinstance(name, str) and name else f"the {type(source).__name__} given"


def source_file(source: ImageSource) -> Path | None:
    """The file that a source is or is part of; None for a picture in memory."""
    part = _part(source)
    if part is not None:
        return Path(part.path)
    return Path(os.fsdecode(source)) if isinstance(source, str | os.PathLike) else None


def _pixels(source: ImageSource, *, has_range: bool) -> Pixels:
    if is_array(source):
        values = pixels_of(source, has_range=has_range)
        is_8_bit = values.dtype == np.uint8
        return Pixels(rgb(Image.fromarray(np.ascontiguousarray(values))) if is_8_bit else values)
    part = _part(source)
    whole = part.path if part else source
    name = source_name(whole)
    try:
        if isinstance(whole, Image.Image):
            check_size(whole, name)
            pixels = decoded(whole, is_ours=False)
        else:
            with opened_file(whole, name) as image:
                pixels = decoded(image, is_ours=True)
    except MswinVizError:
        raise
    except Exception as problem:  # Pillow's readers raise errors of any kind
        raise unreadable(name, problem) from problem
    return replace(pixels, values=_cut(pixels.values, part)) if part else pixels


def _part(source: object) -> Crop | None:
    """The rectangle that a source names, as a record or as text; None for a whole file."""
    if isinstance(source, Crop):
        box = source.box if isinstance(source.box, tuple | list | np.ndarray) else ()
        if len(box) != 4 or not all(isinstance(edge, Integral) for edge in box):
            raise ImageError(
                f"a part must be four whole numbers of pixels (left, top, right, bottom): got {source.box!r:.80} of "
                f"{source_name(source.path)}; correct it"
            )
        return source
    text = os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
    matched = _PART.fullmatch(text)
    return None if matched is None or os.path.exists(text) else _crop(matched)


def crop_of(path: Path, part: str) -> Crop:
    """The rectangle ``#xywh=X,Y,WIDTH,HEIGHT`` of a file, as the text form of a :class:`Crop` has it; ImageError for other text."""
    matched = _PART.fullmatch(f"f{part}")
    if matched is None:
        raise ImageError(
            f"a part of a file is #xywh=X,Y,WIDTH,HEIGHT: got {part!r:.60} of {source_name(path)}"
        )
    return replace(_crop(matched), path=path)


def _crop(matched: re.Match[str]) -> Crop:
    x, y, width, height = map(int, matched["box"].split(","))
    size = None
    if matched["size"]:
        whole_width, whole_height = map(int, matched["size"].split(","))
        size = whole_width, whole_height
    return Crop(Path(matched["file"]), (x, y, x + width, y + height), size)


def _cut(values: Image.Image | np.ndarray, part: Crop) -> Image.Image | np.ndarray:
    left, top, right, bottom = part.box
    name = source_name(part.path)
    width, height = values.size if isinstance(values, Image.Image) else (values.shape[1], values.shape[0])
    if part.size is not None and tuple(part.size) != (width, height):
        raise ImageFileError(
            f"{name} must be {part.size[0]} wide and {part.size[1]} high to be cut into pictures: it is "
            f"{width} wide and {height} high; replace it or leave it out"
        )
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ImageFileError(
            f"a part must lie inside its file: {name} is {width} wide and {height} high, the part "
            f"is {part.box} (left, top, right, bottom); correct it"
        )
    return area(values, part.box) if isinstance(values, Image.Image) else values[top:bottom, left:right]
