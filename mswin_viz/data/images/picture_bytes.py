"""Pictures as the bytes of image files, for the browser."""

from __future__ import annotations

import io

from PIL import Image


def png_file(image: Image.Image) -> bytes:
    """A picture as a PNG file, written quickly."""
    file = io.BytesIO()
    image.convert("RGB").save(file, format="PNG", compress_level=1)
    return file.getvalue()


def jpeg_file(image: Image.Image, *, quality: int = 80) -> bytes:
    """An RGB picture as a JPEG file."""
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return file.getvalue()
