"""Data sets of tiny pictures, laid out as other people do."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import Sample

_FORMATS = {".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF", ".webp": "WEBP", ".jp2": "JPEG2000"}
NAMED = {"RGB": "vis", "NI": "ni", "TI": "th"}


@cache
def content(ending: str, seed: int) -> bytes:
    """A picture five wide and nine high, another one for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, size=(9, 5, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, _FORMATS.get(ending.lower(), "JPEG"))
    return buffer.getvalue()


def grow(root: Path, *names: str) -> Path:
    """Pictures of those names below a folder, no two alike; names of other kinds hold a line of text."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.suffix in (".txt", ".mat", ".md", ".json", ".xml", "") or path.name == "Thumbs.db"
        path.write_bytes(b"12" if text else content(path.suffix, seed))
    return root


def each(folders: tuple[str, ...], *patterns: str) -> list[str]:
    """Every pattern with ``{m}`` replaced by each of the folders."""
    return [pattern.replace("{m}", folder) for pattern in patterns for folder in folders]


def said(sample: Sample) -> tuple[int, int, str | None]:
    """Identity, camera and split."""
    return sample.pid, sample.camid, sample.split


def places(sample: Sample, root: Path) -> dict[str, str]:
    """Modality -> file below a folder."""
    files = {name: one.path if isinstance(one, Crop) else one for name, one in sample.images.items()}
    return {name: file.relative_to(root).as_posix() for name, file in files.items()}
