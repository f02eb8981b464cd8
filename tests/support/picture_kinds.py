"""Small files of every format that is read, for tests that damage them."""

from __future__ import annotations

import io
import struct

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


def photoshop(*, packed: bool) -> bytes:
    """A PSD file, which Pillow does not write: three planes, each row as it is or as one run after another."""
    planes = np.asarray(picture()).transpose(2, 0, 1)
    header = b"8BPS" + struct.pack(">H6xHLLHH", 1, 3, HIGH, WIDE, 8, 3)
    words = b"8BIM" + struct.pack(">HHL", 0x0404, 0, 4) + b"abcd"  # a resource: number, no name, length
    start = header + struct.pack(">L", 0) + struct.pack(">L", len(words)) + words + struct.pack(">L", 0)
    if not packed:
        return start + struct.pack(">H", 0) + planes.tobytes()
    rows = [bytes([WIDE - 1]) + row.tobytes() for plane in planes for row in plane]
    lengths = struct.pack(f">{len(rows)}H", *map(len, rows))
    return start + struct.pack(">H", 1) + lengths + b"".join(rows)


def sun_raster(*, packed: bool) -> bytes:
    """A raster of Sun, which Pillow does not write: BGR, as it is or with its escape doubled."""
    pixels = np.asarray(picture())[..., ::-1].tobytes()
    data = pixels.replace(b"\x80", b"\x80\0") if packed else pixels
    return struct.pack(">8L", 0x59A66A95, WIDE, HIGH, 24, len(data), 2 if packed else 1, 0, 0) + data


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
        "psd": photoshop(packed=False),
        "psd, packed": photoshop(packed=True),
        "sun": sun_raster(packed=False),
        "sun, packed": sun_raster(packed=True),
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
