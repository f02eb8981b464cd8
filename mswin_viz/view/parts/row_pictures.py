"""The pictures of a table's row: one, or its modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from mswin_viz.data.images.image_source import ImageSource, open_image
from mswin_viz.data.images.picture_bytes import jpeg_file
from mswin_viz.data.sample import Sample
from mswin_viz.errors import MswinVizError

MISSING = (150, 150, 150)
"""Grey of a picture that cannot be read; a cross is drawn on it."""
_GAP = 2
_TRIED = 20  # files that are opened to learn which way they lie
_QUALITY = 82
_FIRST, _FIRST_HEIGHT = 12, 128


def read_or_blank(source: ImageSource, size: tuple[int, int]) -> Image.Image:
    """A picture of ``(width, height)``; a crossed grey one where the file cannot be read."""
    try:
        return open_image(source).resize(size, Image.Resampling.BILINEAR)
    except MswinVizError:
        blank = Image.new("RGB", size, MISSING)
        lines = ImageDraw.Draw(blank)
        lines.line((0, 0, *size), fill="white", width=2)
        lines.line((0, size[1], size[0], 0), fill="white", width=2)
        return blank


def joined(pictures: Sequence[Image.Image], *, gap: int = _GAP) -> Image.Image:
    """Pictures of one size as one, on white: upright ones beside each other, lying ones below each other."""
    width, height = pictures[0].size
    across, down = (width + gap, 0) if height >= width else (0, height + gap)
    n_more = len(pictures) - 1
    sheet = Image.new("RGB", (width + n_more * across, height + n_more * down), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number * across, number * down))
    return sheet


def picture_size(rows: Sequence[Mapping[str, ImageSource]], *, longer: int) -> tuple[int, int]:
    """Width and height for pictures of people (half as wide as high), or of vehicles if the first that opens lies."""
    for files in rows[:_TRIED]:
        try:
            image = open_image(next(iter(files.values())))
        except MswinVizError:
            continue
        return (longer, longer // 2) if image.width > image.height else (longer // 2, longer)
    return longer // 2, longer


def first_pictures(samples: Sequence[Sample]) -> Image.Image:
    """The first few samples side by side, each in its first modality."""
    rows = [sample.images for sample in samples[:_FIRST]]
    size = picture_size(rows, longer=_FIRST_HEIGHT)
    return joined([read_or_blank(next(iter(row.values())), size) for row in rows])


def row_thumbnail(files: Mapping[str, ImageSource], size: tuple[int, int]) -> bytes:
    """A JPEG file of a row's pictures, each of ``(width, height)``."""
    return jpeg_file(joined([read_or_blank(source, size) for source in files.values()]), quality=_QUALITY)
