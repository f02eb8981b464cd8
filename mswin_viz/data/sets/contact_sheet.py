"""One picture of many samples: people in columns, modalities in rows."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mswin_viz.data.images.image_source import MODALITIES, open_image
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError

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
    width, height = _TILE
    rows = -(-len(samples) // columns) * len(MODALITIES)
    sheet = Image.new("RGB", (min(columns, len(samples)) * width, rows * height), "white")
    for number, sample in enumerate(samples):
        row, column = divmod(number, columns)
        for offset, modality in enumerate(MODALITIES):
            if modality in sample.images:
                picture = open_image(sample.images[modality]).resize(_TILE, Image.Resampling.LANCZOS)
                sheet.paste(picture, (column * width, (row * len(MODALITIES) + offset) * height))
    return sheet
