"""Decodes a picture that Pillow has opened: upright, on white, or as counts of more than 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mswin_viz.data.images.orientation import HeaderError, turned
from mswin_viz.data.images.picture_files import loaded
from mswin_viz.data.shown_text import short_text

_LONGEST_REMARK = 300
_BAND = 2**22  # pixels


@dataclass(frozen=True)
class Pixels:
    """One decoded picture, and what is wrong with its file although it could be read."""

    values: Image.Image | np.ndarray  # mode RGB; or the picture's own values where it has more than 8 bits
    is_deep_colour: bool = False  # whether Pillow dropped the lower bits of its colours
    remarks: tuple[str, ...] = ()


def decoded(image: Image.Image, *, is_ours: bool) -> Pixels:
    """The pixels of an open picture, upright; ``is_ours`` says whether this package opened it."""
    stored = [_storage(tile) for tile in getattr(image, "tile", ())]
    complaints = loaded(image)
    remarks = [f"its decoder complains ({'; '.join(complaints)}): look at it"] if complaints else []
    try:
        image = turned(image, is_ours=is_ours)
    except HeaderError as problem:
        remarks.append(f"{problem}: it is shown as stored, which may not be upright")
    short = tuple(short_text(remark, _LONGEST_REMARK) for remark in remarks)
    if image.mode == "I" and stored and stored[0][0].startswith("ppm"):
        largest = stored[0][2]  # count that the header allows, which Pillow stretched to 65535
        return Pixels(np.round(np.asarray(image) * (largest / 65535)).astype(np.int32), remarks=short)
    if image.mode[0] in "FI":
        return Pixels(np.asarray(image), remarks=short)
    dropped = any(";16" in mode and not mode.startswith("BGR;") for _, mode, _ in stored)
    return Pixels(rgb(image), dropped, short)


def rgb(image: Image.Image) -> Image.Image:
    """The picture on white where it is transparent, and without its file's notes, by which it would be turned again."""
    shown = _on_white(image)
    shown.info.clear()
    return shown


def area(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Exactly what ``crop`` returns, without Pillow's own limit of pixels."""
    left, top, right, bottom = box
    return image.resize((right - left, bottom - top), Image.Resampling.NEAREST, box=box)


def _storage(tile: tuple[Any, ...]) -> tuple[str, str, Any]:
    """Pillow's names of a file's codec and of how its pixels are stored (``"RGB;16B"``), and the argument after them."""
    codec, args = tile[0], tile[3] if len(tile) > 3 else ()
    args = args if isinstance(args, tuple) else (args,)
    mode, following = (*args, "", None)[:2]
    return codec, mode if isinstance(mode, str) else "", following


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # Pillow converts premultiplied grey to nothing else
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown = Image.new("RGB", image.size)
    n_rows = max(1, _BAND // image.width)
    for top in range(0, image.height, n_rows):  # in bands, or a large picture would be in memory five times
        layered = area(image, (0, top, image.width, min(top + n_rows, image.height))).convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        shown.paste(Image.alpha_composite(white, layered).convert("RGB"), (0, top))
    return shown
