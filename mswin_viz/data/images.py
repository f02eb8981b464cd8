"""Image files, PIL images and arrays -> upright 8-bit RGB pictures; what cannot be read is said by name."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mswin_viz.errors import ImageError, ImageFileError

__all__ = ["MODALITIES", "Crop", "ImageSource", "check_orientation", "open_image", "readable"]

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


ImageSource = str | Path | Crop | Image.Image | np.ndarray
_DARK = 1 / 16  # of the 16-bit range
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


def open_image(source: ImageSource) -> Image.Image:
    """One picture as mode RGB.

    EXIF rotation is applied; grey is repeated; transparency is laid on white; 16-bit values are scaled
    linearly from 0..65535 to 0..255 (with a warning if nothing in them is brighter than a sixteenth of that).

    Parameters
    ----------
    source
        A file, a part of one, a PIL image, or a uint8 array ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]``.

    Raises
    ------
    ImageFileError
        If a file is missing, truncated or not an image, or a part lies outside of it.
    ImageError
        If an array is neither uint8 nor of one of these shapes, or an image holds floating-point or 32-bit
        values.
    """
    if isinstance(source, np.ndarray):
        return _as_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        return _as_rgb(_upright(source, getattr(source, "filename", "") or "the PIL image"))
    part = _part(source)
    if part is not None:
        return _cut(open_image(part.path), part)
    if not isinstance(source, str | Path):
        raise ImageError(
            f"an image is a path, a PIL image or a uint8 array: got {type(source).__name__}; convert it to "
            "one of them"
        )
    try:
        with Image.open(source) as image:
            upright = _upright(image, source)
    except _UNREADABLE as problem:
        raise _file_error(source, problem) from problem
    return _as_rgb(upright)


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


def check_orientation(image: Image.Image, image_size: tuple[int, int]) -> None:
    """Refuse a picture that lies where the model's input stands, or the other way round.

    Parameters
    ----------
    image_size
        The model's input, ``(height, width)``; a square one takes every picture.

    Raises
    ------
    ImageError
        If the picture is transposed against the input.
    """
    height, width = image_size
    if (height - width) * (image.height - image.width) < 0:
        raise ImageError(
            f"a model of {height}x{width} (height x width) needs images of that orientation: got one "
            f"{image.height} high and {image.width} wide; rotate or crop it, or load the model with "
            f"image_size=({width}, {height})"
        )


def _part(source: object) -> Crop | None:
    """The rectangle a source speaks of, as a record or in its text form; None for a whole file."""
    if isinstance(source, Crop):
        return source
    found = _PART.fullmatch(str(source)) if isinstance(source, str | Path) else None
    if found is None or Path(source).exists():
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


def _upright(image: Image.Image, name: str | Path) -> Image.Image:
    """Every pixel read (PIL opens lazily), then the EXIF rotation applied."""
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except _UNREADABLE as problem:
        raise _file_error(name, problem) from problem


def _file_error(name: str | Path, problem: Exception) -> ImageFileError:
    if isinstance(problem, ImageFileError):
        return problem
    return ImageFileError(
        f"an image file must exist and be whole: {name} cannot be read ({problem}); replace it or leave it "
        "out"
    )


def _from_array(array: np.ndarray) -> Image.Image:
    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (grey or colour) or 0 in array.shape:
        raise ImageError(
            "an image array is uint8 [H, W], [H, W, 3] or [H, W, 4]: got "
            f"{array.dtype} {array.shape}; scale to 0..255 and move channels last"
        )
    return Image.fromarray(array)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError(
            "an image holds whole numbers of 8 or 16 bits: got floating-point values, whose range is not "
            "known; scale them to 0..255 and save as 8 bits"
        )
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"a deep image must hold 0..65535: got {values.min():g}..{values.max():g}; rescale it to 8 or "
            "16 bits"
        )
    if values.max() < _DARK * 65535:
        warnings.warn(
            f"a 16-bit image is scaled from 0..65535, and this one reaches only {values.max():g}: it will "
            "look almost black; to stretch it, multiply its values by "
            f"{65535 / max(values.max(), 1):.3g} first",
            stacklevel=3,
        )
    return Image.fromarray(np.round(values / 257).astype(np.uint8)).convert("RGB")
