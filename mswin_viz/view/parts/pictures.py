"""Work ahead of time: tokens that will be needed, and thumbnails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data.images.image_source import Crop, open_image
from mswin_viz.data.images.picture_bytes import jpeg_file
from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.data.shown_text import n_of
from mswin_viz.errors import MswinVizError
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import MOST_AT_ONCE, TokenCache

_THUMBNAIL = (128, 64)
_SOON = 0.2  # seconds that a choice on screen, or a stop, may wait for a batch


def computed_ahead(
    cache: TokenCache, images: Sequence[tuple[Path | Crop, ImageTag]], *, report: Report, stop: Stop
) -> int:
    """Compute the tokens of the first images, as many as the cache keeps; how many could not be.

    They are computed in batches that take a moment, with a look at ``stop`` before each and a ``report`` after it.
    """
    ahead = images[: cache.n_most]
    n_bad, n_done, n_at_once = 0, 0, 1
    while n_done < len(ahead) and not stop():
        sources, tags = zip(*ahead[n_done : n_done + n_at_once], strict=True)
        started = time.monotonic()
        results = cache.pictures_or_problems(sources, tags)
        n_bad += sum(isinstance(result, MswinVizError) for result in results)  # shown when one is chosen
        n_done += len(results)
        is_fast = time.monotonic() - started < _SOON / 2
        n_at_once = min(2 * n_at_once, MOST_AT_ONCE) if is_fast else max(1, n_at_once // 2)
        report(Progress(n_done, len(ahead), f"computing tokens: {n_of(n_done, len(ahead), 'images')}"))
    return n_bad


def thumbnail(path: Path | Crop) -> bytes:
    """A JPEG file at most 128 wide and 64 high; empty where the file cannot be read."""
    try:
        image = open_image(path)
    except MswinVizError:
        return b""
    image.thumbnail(_THUMBNAIL)
    return jpeg_file(image)
