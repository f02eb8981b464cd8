"""Small files of every format that is read, for tests that damage them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

WIDE, HIGH = 24, 40


def picture() -> Image.Image:
    """Blocks of colour, so that most codecs have something to pack."""
    blocks = np.random.default_rng(0).integers(0, 256, (5, 3, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))


def turned_by(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    return exif


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files() -> dict[str, bytes]:
    """Name -> content."""
    image, exif = picture(), turned_by(6)
    found = {
        "jpeg": saved(image, "JPEG", exif=exif, icc_profile=b"x" * 300),
        "mpo": saved(image, "MPO", save_all=True, append_images=[image]),
        "png": saved(image, "PNG", exif=exif),
        "png, 16 bits": saved(Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 200), "PNG"),
        "webp": saved(image, "WEBP", exif=exif),
        "gif": saved(image, "GIF"),
        "bmp": saved(image, "BMP"),
        "tga": saved(image, "TGA", compression="tga_rle"),
        "ppm": saved(image, "PPM"),
        "pcx": saved(image, "PCX"),
        "sgi": saved(image, "SGI"),
        "tiff, fax": saved(image.convert("1"), "TIFF", compression="group4"),
    }
    for codec in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        found[f"tiff, {codec}"] = saved(image, "TIFF", compression=codec, exif=exif)
    return found


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, most of them in the header; of one in seven the end cut off."""
    changed = bytearray(content)
    reach = min(len(changed), 400) if rng.integers(2) else len(changed)
    for at in rng.integers(0, reach, size=rng.integers(1, 5)):
        changed[at] = rng.integers(256)
    return bytes(changed[: rng.integers(len(changed))] if rng.integers(7) == 0 else changed)
