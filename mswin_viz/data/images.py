"""Files, bytes, PIL images, arrays and tensors -> upright 8-bit RGB pictures; what cannot be read is named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from mswin_viz.data.deep_images import DeepRange, Levels, eight_bit, levels_of_colour
from mswin_viz.data.image_arrays import is_array, pixels_of
from mswin_viz.data.orientation import HeaderError, turned
from mswin_viz.data.picture_files import BYTES, check_size, loaded, opened_file, unreadable
from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import ImageError, ImageFileError, MswinVizError

if TYPE_CHECKING:
    from jaxtyping import Num

__all__ = [
    "MODALITIES",
    "Crop",
    "ImageSource",
    "Opened",
    "deep_values",
    "open_image",
    "opened",
    "readable",
    "source_file",
    "source_name",
]

MODALITIES = ("RGB", "NI", "TI")
"""Names of the three modalities, as RGBNT201 names its folders: visible, near and thermal infrared."""

_PART = re.compile(
    r"(?P<file>.+)#xywh=(?P<box>[0-9]{1,9}(?:,[0-9]{1,9}){3})(?:&of=(?P<size>[0-9]{1,9},[0-9]{1,9}))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image file, for files that hold several pictures.

    Not a path on purpose: what opens files without knowing crops must fail, not show the whole file. Its text
    form, ``FILE#xywh=X,Y,WIDTH,HEIGHT`` (W3C Media Fragments), can be stored in tables; `open_image` reads it.

    Attributes
    ----------
    path
        The file.
    box
        ``(left, top, right, bottom)``, pixels.
    size
        Width and height the whole file must have; None for any that holds the box.
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
_LONGEST_REMARK = 300
_BAND = 2**22  # pixels
_Pixels = tuple[Image.Image | np.ndarray, bool, tuple[str, ...]]


class Opened(NamedTuple):
    """A picture, and what became of values of more than 8 bits.

    Attributes
    ----------
    image
        Upright, mode RGB.
    levels
        None where the source has 8 bits.
    remarks
        What is wrong with a file whose picture could be read all the same.
    """

    image: Image.Image
    levels: Levels | None
    remarks: tuple[str, ...] = ()


def open_image(source: ImageSource, *, deep_range: DeepRange | None = None) -> Image.Image:
    """One picture as mode RGB.

    EXIF rotation is applied; grey is repeated; transparency is laid on white; of several frames the first is
    taken. Images of more than 8 bits are mapped linearly to 0..255 and clipped: from ``deep_range``, or else from
    their own 1st to 99th percentile (a part of a file from its own). Of *colour* files of 16 bits Pillow reads the
    upper 8 bits, and no range applies.

    Parameters
    ----------
    source
        A file, a part of one, a file's content as bytes, a binary file object, a PIL image, or an array: uint8 or
        float of 0..1, ``[H, W]``, ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]`` (RGBA); uint16 of one or three
        channels. Of a torch tensor the channels may come first, where the shape leaves no doubt.
    deep_range
        Values of more than 8 bits that become 0 and 255; then floating-point and 32-bit images of one channel are
        taken too.

    Raises
    ------
    ImageFileError
        If a file is missing, truncated, not an image, or of more pixels than are decoded (100 million, or what the
        environment variable MSWIN_VIZ_MAX_PIXELS says), or a part lies outside of it.
    ImageError
        If an array's shape or values can be read in two ways or in none, or an image holds floating-point or
        32-bit values and there is no range.
    """
    return opened(source, deep_range=deep_range).image


def opened(source: ImageSource, *, deep_range: DeepRange | None = None) -> Opened:
    """:func:`open_image`, with what became of values of more than 8 bits and what is wrong with the file.

    The one judge of what is usable: whatever reads pictures goes through it.
    """
    pixels, is_deep_colour, remarks = _pixels(source, has_range=deep_range is not None)
    if isinstance(pixels, np.ndarray):
        shown, levels = eight_bit(pixels, source_name(source), deep_range)
        return Opened(Image.fromarray(shown).convert("RGB"), levels, remarks)
    return Opened(pixels, levels_of_colour(np.asarray(pixels)) if is_deep_colour else None, remarks)


def deep_values(source: ImageSource) -> Num[np.ndarray, "rows cols *channels"] | None:
    """An image's own values where it has more than 8 bits, upright; None where it has 8.

    Raises
    ------
    ImageFileError, ImageError
        As :func:`open_image`.
    """
    pixels, _, _ = _pixels(source, has_range=True)
    return pixels if isinstance(pixels, np.ndarray) else None


def readable(sources: Iterable[ImageSource]) -> tuple[list[ImageSource], list[str]]:
    """The sources that can be read, in order, and one message for each that cannot."""
    good, problems = [], []
    for source in sources:
        try:
            open_image(source)
        except (ImageFileError, ImageError) as problem:
            problems.append(str(problem))
        else:
            good.append(source)
    return good, problems


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
    """The file that a source is, or is a part of; None for a picture in memory."""
    part = _part(source)
    if part is not None:
        return Path(part.path)
    return Path(os.fsdecode(source)) if isinstance(source, str | os.PathLike) else None


def _pixels(source: ImageSource, *, has_range: bool) -> _Pixels:
    """RGB, or the values of a picture of more than 8 bits; whether Pillow dropped the lower bits of its colours; remarks."""
    if is_array(source):
        pixels = pixels_of(source, has_range=has_range)
        is_8_bit = pixels.dtype == np.uint8
        return (_rgb(Image.fromarray(np.ascontiguousarray(pixels))) if is_8_bit else pixels), False, ()
    part = _part(source)
    whole = part.path if part else source
    name = source_name(whole)
    try:
        if isinstance(whole, Image.Image):
            check_size(whole, name)
            pixels, is_deep_colour, remarks = _decoded(whole, is_ours=False)
        else:
            with opened_file(whole, name) as image:
                pixels, is_deep_colour, remarks = _decoded(image, is_ours=True)
    except MswinVizError:
        raise
    except Exception as problem:  # Pillow's readers raise errors of any kind
        raise unreadable(name, problem) from problem
    return (_cut(pixels, part) if part else pixels), is_deep_colour, remarks


def _part(source: object) -> Crop | None:
    """The rectangle a source names, as a record or in its text form; None for a whole file."""
    if isinstance(source, Crop):
        box = source.box if isinstance(source.box, tuple | list | np.ndarray) else ()
        if len(box) != 4 or not all(isinstance(edge, Integral) for edge in box):
            raise ImageError(
                f"a part is four whole numbers of pixels, left, top, right, bottom: got {source.box!r:.80} of "
                f"{source_name(source.path)}"
            )
        return source
    text = os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
    found = _PART.fullmatch(text)
    if found is None or os.path.exists(text):
        return None
    x, y, width, height = map(int, found["box"].split(","))
    size = tuple(map(int, found["size"].split(","))) if found["size"] else None
    return Crop(Path(found["file"]), (x, y, x + width, y + height), size)


def _cut(pixels: Image.Image | np.ndarray, part: Crop) -> Image.Image | np.ndarray:
    left, top, right, bottom = part.box
    is_image, name = isinstance(pixels, Image.Image), source_name(part.path)
    width, height = pixels.size if is_image else pixels.shape[1::-1]
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
    return _area(pixels, part.box) if is_image else pixels[top:bottom, left:right]


def _area(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Exactly what ``crop`` gives, without its check of Pillow's own limit of pixels."""
    left, top, right, bottom = box
    return image.resize((right - left, bottom - top), Image.Resampling.NEAREST, box=box)


def _decoded(image: Image.Image, *, is_ours: bool) -> _Pixels:
    """Every pixel, upright: RGB, or more than 8 bits; whether Pillow dropped lower bits; what is wrong with the file."""
    stored = [_storage(tile) for tile in getattr(image, "tile", ())]
    complaints = loaded(image)
    remarks = [f"its decoder complains ({'; '.join(complaints)}): look at it"] if complaints else []
    try:
        image = turned(image, is_ours=is_ours)
    except HeaderError as problem:
        remarks.append(f"{problem}: it is shown as it is stored, which may not be upright")
    found = tuple(short_text(remark, _LONGEST_REMARK) for remark in remarks)
    if image.mode == "I" and stored and stored[0][0].startswith("ppm"):
        return _counts_of_pgm(image, stored[0][2]), False, found
    if image.mode[0] in "FI":
        return np.asarray(image), False, found
    dropped = any(";16" in mode and not mode.startswith("BGR;") for _, mode, _ in stored)
    return _rgb(image), dropped, found


def _storage(tile: tuple[Any, ...]) -> tuple[str, str, Any]:
    """PIL's names of a file's codec and of how its pixels are stored, such as ``"RGB;16B"``; and what comes next."""
    codec, args = tile[0], tile[3] if len(tile) > 3 else ()
    args = args if isinstance(args, tuple) else (args,)
    mode, following = (*args, "", None)[:2]
    return codec, mode if isinstance(mode, str) else "", following


def _counts_of_pgm(image: Image.Image, largest: int) -> np.ndarray:
    """The counts in a PGM file, which PIL stretches so that the largest count its header allows is 65535."""
    return np.round(np.asarray(image) * (largest / 65535)).astype(np.int32)


def _rgb(image: Image.Image) -> Image.Image:
    """On white where it is transparent; without the notes of its file, or it would be turned again when it is read again."""
    shown = _on_white(image)
    shown.info.clear()
    return shown


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # PIL goes from premultiplied grey to nothing else
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = Image.new("RGB", image.size)
    n_rows = max(1, _BAND // image.width)
    for top in range(0, image.height, n_rows):  # a large picture need not be held five times
        layered = _area(image, (0, top, image.width, min(top + n_rows, image.height))).convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        shown.paste(Image.alpha_composite(white, layered).convert("RGB"), (0, top))
    return shown
