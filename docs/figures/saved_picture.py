"""Writes a picture of the documents: what draws one gives it here as the bytes of a PNG."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent


def in_few_colours(picture: Image.Image) -> Image.Image:
    """The picture with a palette of 256 colours that covers all of its own, rare ones, too."""
    return picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4)


def save_picture(png: bytes, name: str, *, has_palette: bool = True) -> None:
    """Write a picture beside the documents; without a palette where two colour maps would share one."""
    with Image.open(io.BytesIO(png)) as picture:
        shown = in_few_colours(picture) if has_palette else picture.convert("RGB")
    shown.save(FOLDER / f"{name}.png", optimize=True)
