"""One image or several, in any form -> a list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeVar

from PIL import Image

from mswin_viz.data.images.image_arrays import is_array
from mswin_viz.data.images.image_source import Crop, ImageSource
from mswin_viz.errors import ImageError

Images = ImageSource | Iterable[ImageSource]
"""One image, or several: any iterable, or an array or tensor of four axes."""
Opened = TypeVar("Opened")
"""What a layer above made of an image, and takes in its place."""
_ONE = (str, os.PathLike, bytes, bytearray, memoryview, Crop, Image.Image)


def listed_images(images: Images | Iterable[Opened]) -> list[ImageSource | Opened]:
    """The images as a list; an `ImageError` if there are none, or they come as a dictionary, table or set."""
    sources: list[ImageSource | Opened] = [*(_from_array if is_array(images) else _from_others)(images)]
    if not sources:
        raise ImageError("at least one image is needed: got an empty list")
    return sources


def _from_array(images: Any) -> list[ImageSource]:
    if images.ndim == 4:
        return list(images)
    kind = getattr(images.dtype, "kind", "")
    if kind in ("O", "U", "T") and images.ndim < 2:  # paths or pictures, also in a pandas Series
        return images.tolist() if images.ndim else [images.item()]
    return [images]


def _from_others(images: Any) -> list[ImageSource]:
    if isinstance(images, _ONE) or hasattr(images, "read") or not isinstance(images, Iterable):
        return [images]
    advice = ""
    if isinstance(images, Mapping):
        advice = "one image, or list(images.values())"
    elif hasattr(images, "columns"):
        advice = "one of its columns"
    elif isinstance(images, Set) and not hasattr(images, "mapping"):  # views of dictionaries keep their order
        advice = "sorted(images)"
    if advice:
        kind = type(images).__name__
        raise ImageError(f"images must come in a definite order: got a {kind}; pass {advice}")
    return list(images)
