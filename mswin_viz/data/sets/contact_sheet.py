"""One picture of many samples: people in columns, modalities in rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mswin_viz.data.images.image_source import MODALITIES, open_image
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.errors import DataError

SHEET_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".pdf")
"""Of the files that a sheet is saved as."""
_TILE = (64, 128)  # width and height of one picture


def contact_sheet(samples: Sequence[Sample], *, columns: int = 16) -> Image.Image:
    """Samples side by side, ``columns`` in a row, each with its modalities one below the other; missing ones are white.

    Raises
    ------
    DataError
        If there is no sample.
    ImageFileError
        If a picture cannot be read.
    """
    if not samples:
        raise DataError("a contact sheet needs at least one sample: got none; see mswin_viz.samples()")
    pictures = [
        [open_image(sample.images[one]) if one in sample.images else None for one in MODALITIES]
        for sample in samples
    ]
    return sheet_of_columns(pictures, size=_TILE, beside=columns)


def sheet_of_columns(
    columns: Sequence[Sequence[Image.Image | None]], *, size: tuple[int, int], beside: int = 16
) -> Image.Image:
    """Columns of pictures, ``beside`` of them in a line, each picture fitted to ``size`` (width, height); None is white."""
    (width, height), high = size, max(map(len, columns))
    lines = -(-len(columns) // beside) * high
    sheet = Image.new("RGB", (min(beside, len(columns)) * width, lines * height), "white")
    for number, pictures in enumerate(columns):
        line, column = divmod(number, beside)
        for offset, picture in enumerate(pictures):
            if picture is not None:
                fitted = picture.resize(size, Image.Resampling.LANCZOS)
                sheet.paste(fitted, (column * width, (line * high + offset) * height))
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> Path:
    """Write a sheet whole or not at all, in the format of its ending, one of ``SHEET_ENDINGS``."""
    file = io.BytesIO()
    sheet.save(file, format=Image.registered_extensions()[path.suffix.lower()])
    return write_bytes(path, file.getvalue())
