"""Files, bytes, PIL images, arrays and tensors -> upright 8-bit RGB pictures; what cannot be read is named."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mswin_viz.data.deep_images import DeepRange, Levels, eight_bit, levels_of_colour
from mswin_viz.data.image_arrays import is_array, pixels_of
from mswin_viz.errors import ImageError, ImageFileError

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
    "source_name",
]

MODALITIES = ("RGB", "NI", "TI")
"""Names of the three modalities, as RGBNT201 names its folders: visible, near and thermal infrared."""

_PART = re.compile(r"(?P<file>.+)#xywh=(?P<box>\d+,\d+,\d+,\d+)(?:&of=(?P<size>\d+,\d+))?")


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
_BYTES = (bytes, bytearray, memoryview)
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class Opened(NamedTuple):
    """A picture, and what became of values of more than 8 bits.

    Attributes
    ----------
    image
        Upright, mode RGB.
    levels
        None where the source has 8 bits.
    """

    image: Image.Image
    levels: Levels | None


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
        If a file is missing, truncated or not an image, or a part lies outside of it.
    ImageError
        If an array's shape or values can be read in two ways or in none, or an image holds floating-point or
        32-bit values and there is no range.
    """
    return opened(source, deep_range=deep_range).image


def opened(source: ImageSource, *, deep_range: DeepRange | None = None) -> Opened:
    """:func:`open_image`, with what became of values of more than 8 bits."""
    raw, is_deep_colour = _raw(source, has_range=deep_range is not None)
    if isinstance(raw, np.ndarray):
        shown, levels = eight_bit(raw, source_name(source), deep_range)
        return Opened(Image.fromarray(shown).convert("RGB"), levels)
    image = _as_rgb(raw)
    return Opened(image, levels_of_colour(np.asarray(image)) if is_deep_colour else None)


def deep_values(source: ImageSource) -> Num[np.ndarray, "rows cols *channels"] | None:
    """An image's own values where it has more than 8 bits, upright; None where it has 8.

    Raises
    ------
    ImageFileError, ImageError
        As :func:`open_image`.
    """
    raw, _ = _raw(source, has_range=True)
    return raw if isinstance(raw, np.ndarray) else None


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
        return str(source)
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, _BYTES):
        return "the bytes given"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "the PIL image")
    name = getattr(source, "name", "")
    return name if isinstance(name, str) and name else f"the {type(source).__name__} given"


def _raw(source: ImageSource, *, has_range: bool) -> tuple[Image.Image | np.ndarray, bool]:
    """A picture of 8 bits, or the values of one of more; and whether Pillow dropped the lower bits of its colours."""
    if is_array(source):
        pixels = pixels_of(source, has_range=has_range)
        is_8_bit = pixels.dtype == np.uint8
        return (Image.fromarray(np.ascontiguousarray(pixels)) if is_8_bit else pixels), False
    part = _part(source)
    upright, is_deep_colour = _upright(part.path if part else source)
    image = _cut(upright, part) if part else upright
    return (np.asarray(image) if image.mode[0] in "FI" else image), is_deep_colour


def _part(source: object) -> Crop | None:
    """The rectangle a source names, as a record or in its text form; None for a whole file."""
    if isinstance(source, Crop):
        return source
    text = os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
    found = _PART.fullmatch(text)
    if found is None or Path(text).exists():
        return None
    x, y, width, height = map(int, found["box"].split(","))
    size = tuple(map(int, found["size"].split(","))) if found["size"] else None
    return Crop(Path(found["file"]), (x, y, x + width, y + height), size)


def _cut(image: Image.Image, part: Crop) -> Image.Image:
    left, top, right, bottom = part.box
    if part.size not in (None, image.size):
        raise ImageFileError(
            f"{part.path} must be {part.size[0]} wide and {part.size[1]} high to be cut into pictures: it is "
            f"{image.width} wide and {image.height} high; replace it or leave it out"
        )
    if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
        raise ImageFileError(
            f"a part must lie inside its file: {part.path} is {image.width} wide and {image.height} high, the part "
            f"is {part.box} (left, top, right, bottom); correct it"
        )
    return image.crop(part.box)


def _upright(source: Any) -> tuple[Image.Image, bool]:
    """Every pixel read (PIL opens lazily), the EXIF rotation applied; and whether Pillow dropped lower bits of it."""
    if isinstance(source, Image.Image):
        return _loaded(source, source_name(source))
    try:
        with Image.open(_to_open(source)) as image:
            return _loaded(image, source_name(source))
    except _UNREADABLE as problem:
        raise _file_error(source_name(source), problem) from problem


def _to_open(source: Any) -> Any:
    """What PIL can open: a path or a binary file object."""
    if isinstance(source, _BYTES):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        return source
    if not hasattr(source, "read"):
        raise ImageError(
            "an image is a path, a file's content, a PIL image, an array or a tensor: got "
            f"{type(source).__name__}; "
            + (
                "pass sample.images[...] of one modality"
                if hasattr(source, "images")
                else "convert it to one of them"
            )
        )
    is_closed = getattr(source, "closed", False)
    if is_closed or isinstance(source.read(0), str):
        state = "a closed one" if is_closed else "one of text"
        raise ImageError(
            f"a file object must be open and binary: got {state} ({source_name(source)}); pass its path, or "
            'open(path, "rb")'
        )
    return source


def _loaded(image: Image.Image, name: str) -> tuple[Image.Image, bool]:
    try:
        stored = [_storage(tile) for tile in getattr(image, "tile", ())]
        image.load()
        upright = ImageOps.exif_transpose(image)
    except _UNREADABLE as problem:
        raise _file_error(name, problem) from problem
    if upright.mode == "I" and stored and stored[0][0].startswith("ppm"):
        return _counts_of_pgm(upright, stored[0][2]), False
    return upright, upright.mode[0] not in "FI" and any(
        ";16" in mode and not mode.startswith("BGR;") for _, mode, _ in stored
    )


def _storage(tile: tuple[Any, ...]) -> tuple[str, str, Any]:
    """PIL's names of a file's codec and of how its pixels are stored, such as ``"RGB;16B"``; and what comes next."""
    codec, args = tile[0], tile[3] if len(tile) > 3 else ()
    args = args if isinstance(args, tuple) else (args,)
    mode, following = (*args, "", None)[:2]
    return codec, mode if isinstance(mode, str) else "", following


def _counts_of_pgm(image: Image.Image, largest: int) -> Image.Image:
    """The counts in a PGM file, which PIL stretches so that the largest count its header allows is 65535."""
    return Image.fromarray(np.round(np.asarray(image) * (largest / 65535)).astype(np.int32))


def _file_error(name: str, problem: Exception) -> Exception:
    if isinstance(problem, ImageFileError | ImageError):
        return problem
    unknown = isinstance(problem, UnidentifiedImageError)
    reason = "it is in no image format that Pillow knows" if unknown else problem
    return ImageFileError(
        f"an image file must exist and be whole: {name} cannot be read ({reason}); replace it or leave it out"
    )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # PIL goes from premultiplied grey to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")
