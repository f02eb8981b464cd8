"""How alike two pictures are, whatever their brightness, contrast and encoding, and if one is cut a little.

Features propose pairs, pictures decide: a network may put a brightened or cropped copy farther away than another shot of
the same person, while the pictures themselves hardly differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mswin_viz.data.images.image_source import Crop, open_image
from mswin_viz.data.progress import StepCounter
from mswin_viz.errors import MswinVizError, StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SMALL = (12, 24)  # width and height of an upright small picture, and the other way round
_CUTS = (0.0, 0.04, 0.08)  # of each side
_AT_ONCE = 4096  # pairs
_FLAT = 1e-3  # grey levels of contrast


def small_pictures(
    items: Sequence[Mapping[str, Path | Crop]], steps: StepCounter
) -> Float[np.ndarray, "item cut pixel"]:
    """Each item's pictures, small and grey, of mean 0 and norm 1, for each cut; float16, NaN where one cannot be read.

    Raises StoppedError if ``steps`` is told to stop.
    """
    n_pixels = _SMALL[0] * _SMALL[1] * max((len(files) for files in items), default=0)
    small = np.full((len(items), len(_CUTS), n_pixels), np.nan, np.float16)
    for at, files in enumerate(items):
        if steps.stopping():
            raise StoppedError(f"comparing pictures was stopped after {at} of {len(items)}")
        try:
            each = [_small(open_image(source)) for source in files.values()]
            small[at] = np.concatenate(each, axis=1) / np.sqrt(len(each))
        except MswinVizError:
            pass
        steps.passed(1)
    return small


def unlikeness(
    small: Float[np.ndarray, "item cut pixel"], one: Int[np.ndarray, " pair"], other: Int[np.ndarray, " pair"]
) -> Float[np.ndarray, " pair"]:
    """Distance of pairs of pictures, 0..2, the smallest over the cuts of either; NaN where one could not be read."""
    found = np.empty(len(one))
    for start in range(0, len(one), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first, second = (small[items[part]].astype(np.float32) for items in (one, other))
        whole_second = np.einsum("pcx,px->pc", first, second[:, 0])
        whole_first = np.einsum("pcx,px->pc", second, first[:, 0])
        best = np.maximum(whole_second.max(axis=1), whole_first.max(axis=1))
        found[part] = np.sqrt(np.maximum(2 - 2 * best, 0))
    return found


def _small(image: Image.Image) -> Float[np.ndarray, "cut pixel"]:
    size = _SMALL if image.height >= image.width else (_SMALL[1], _SMALL[0])
    width, height = 4 * size[0], 4 * size[1]
    image = image.convert("L").resize((width, height), Image.Resampling.BOX)
    boxes = [(cut * width, cut * height, (1 - cut) * width, (1 - cut) * height) for cut in _CUTS]
    each = [
        np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box), np.float64).ravel()
        for box in boxes
    ]
    rows = np.stack(each)
    rows -= rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norms > _FLAT * np.sqrt(rows.shape[1]), rows / np.maximum(norms, _FLAT), 0.0)
