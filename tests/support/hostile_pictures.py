"""Files in folders of pictures as cameras, accidents and attackers leave them; all are made from a seed."""

from __future__ import annotations

import random
import struct
import warnings
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, PngImagePlugin

from support.picture_kinds import files, picture, saved, turned_by

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
KINDS = {
    "JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp", "JPEG2000": ".jp2", "AVIF": ".avif",
    "TGA": ".tga", "PPM": ".ppm", "PCX": ".pcx", "SGI": ".sgi", "DIB": ".dib", "QOI": ".qoi",
}  # fmt: skip
"""Pillow's name of a format that it also writes -> its usual ending."""
OPTIONS: dict[str, tuple[dict[str, object], ...]] = {
    "JPEG": ({"progressive": True}, {"quality": 1}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"comment": b"<script>\0" * 99}),
    "PNG": ({"interlace": 1}, {"bits": 1}, {"compress_level": 0}, {"dpi": (1e9, 1e-9)}),
    "TIFF": ({"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "tiff_adobe_deflate"}, {"big_tiff": True},
             {"compression": "group4"}, {"strip_size": 1}),
    "WEBP": ({"lossless": True}, {"exact": True}),
    "GIF": ({"interlace": 0}, {"transparency": 0}),
    "JPEG2000": ({"tile_size": (8, 8)}, {"irreversible": True}, {"no_jp2": True}),
    "TGA": ({"compression": "tga_rle"},),
}  # fmt: skip
ENCODED: dict[object, tuple[str, ...]] = {"group4": ("1",), "jpeg": ("L", "RGB")}
"""Of compressions that take few modes; in others, libtiff's encoder fails and may end the program later."""
NO_PICTURES: tuple[bytes, ...] = (
    b"", b"\0", b"\0" * 5000, b"\xff" * 300, b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
    b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"P6\n", b"P6 " + b"9" * 5000, b"P7\n", b"8BPS\0\1", b"qoif", b"\0\0\0\x0cjP  \r\n\x87\n", b"\x0a\x05\x01\x08",
    b"<!doctype html><html><script>1</script></html>", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"%PDF-1.4\n1 0 obj", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage", b"push graphic-context\nfill 'url(|touch x)'",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", b"PK\x03\x04" + bytes(99), b"\x1f\x8b\x08" + bytes(99),
    b"\0\0\1\0\1\0" + bytes(40), b"icns" + bytes(40), b"DDS |" + bytes(128), b"SIMPLE  =                    T" + b" " * 2900,
    b"\x89HDF\r\n\x1a\n" + bytes(99), b"\xef\xbb\xbf\xff\xd8\xff\xe0", b"This file was removed.\n" * 9, b"#!/bin/sh\ntouch x\n",
)  # fmt: skip


def hostile_file(seed: int) -> tuple[str, bytes]:
    """The name and content of one file; of twenty seeds one in ten or so is a whole picture."""
    rng = random.Random(f"picture {seed}")
    how = list(WAYS)[seed % len(WAYS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what it writes
        ending, content = WAYS[how](rng)
    if rng.random() < 0.1:
        ending = rng.choice([*KINDS.values(), ".jpeg", ".JPG", ".tiff"])
    return f"{seed:04d} {how}{ending}", content


@cache
def _any_mode(mode: str) -> Image.Image:
    if mode in ("I", "F"):
        values = np.linspace(-5, 70_000, 40 * 24).reshape(40, 24)
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
    if mode == "I;16":
        return Image.fromarray(np.arange(960, dtype=np.uint16).reshape(40, 24) * 60)
    if mode == "PA":
        return picture().convert("P").convert("PA")
    return picture().convert("L" if mode == "LA" else "RGB").convert(mode)


@cache
def whole_files() -> dict[str, tuple[str, bytes]]:
    """Every format in every mode and with every option that Pillow writes it in."""
    found = {}
    for kind, ending in KINDS.items():
        for mode in MODES:
            for options in ({}, *OPTIONS.get(kind, ())):
                if mode not in ENCODED.get(options.get("compression"), (mode,)):
                    continue
                try:
                    found[f"{kind} {mode} {options}"] = (ending, saved(_any_mode(mode), kind, **options))
                except (OSError, ValueError, KeyError, TypeError, RuntimeError, struct.error, SystemError):
                    continue  # Pillow does not write it so
    more = {"tiff": ".tif", "psd": ".psd", "sun": ".ras", "mpo": ".mpo"}
    return found | {
        name: (more.get(name.split(",")[0], ".img"), content) for name, content in files().items()
    }


def _one(rng: random.Random) -> tuple[str, bytes]:
    whole = whole_files()
    return whole[rng.choice(sorted(whole))]


def _cut(rng: random.Random) -> tuple[str, bytes]:
    ending, content = _one(rng)
    at = rng.choice(
        (
            rng.randrange(40),
            rng.randrange(len(content)),
            len(content) - 1,
            len(content) // 2,
            len(content) - rng.randrange(9),
        )
    )
    return ending, content[: max(at, 0)]  # fmt: skip


def _flipped(rng: random.Random) -> tuple[str, bytes]:
    ending, content = _one(rng)
    broken = bytearray(content)
    reach = rng.choice((32, 400, len(broken)))
    for _ in range(rng.choice((1, 3, 40))):
        broken[rng.randrange(min(reach, len(broken)))] ^= 1 << rng.randrange(8)
    return ending, bytes(broken)


def _overwritten(rng: random.Random) -> tuple[str, bytes]:
    ending, content = _one(rng)
    at, n = rng.randrange(len(content)), rng.choice((2, 4, 60))
    return ending, content[:at] + rng.choice((bytes(n), b"\xff" * n, rng.randbytes(n))) + content[at + n :]


def _followed(rng: random.Random) -> tuple[str, bytes]:
    (ending, content), (_, other) = _one(rng), _one(rng)
    return ending, rng.choice((content + other, content + rng.randbytes(999), b"\xef\xbb\xbf" + content, content[:99] + other, content * 2))  # fmt: skip


def _misnamed(rng: random.Random) -> tuple[str, bytes]:
    return rng.choice(list(KINDS.values())), _one(rng)[1]


def _no_picture(rng: random.Random) -> tuple[str, bytes]:
    return rng.choice(list(KINDS.values())), rng.choice(NO_PICTURES)


def _moving(rng: random.Random) -> tuple[str, bytes]:
    """Several pictures in one file, some of other sizes, modes and times."""
    kind = rng.choice(("GIF", "WEBP", "TIFF", "PNG", "MPO", "AVIF"))
    frames = [
        _any_mode(rng.choice(("RGB", "P", "L", "RGBA"))).resize((24, 40)) for _ in range(rng.choice((2, 40)))
    ]
    frames = [frame.convert("RGB") if kind in ("MPO", "AVIF", "WEBP", "PNG") else frame for frame in frames]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    return KINDS.get(kind, ".jpg"), content[: rng.choice((len(content), len(content) * 2 // 3))]


def _turned(rng: random.Random) -> tuple[str, bytes]:
    """EXIF, colour profiles, resolutions and words that are strange, broken or endless."""
    kind = rng.choice(("JPEG", "PNG", "WEBP", "TIFF"))
    exif = turned_by(rng.choice((0, 1, 3, 6, 8, 9, 255))).tobytes()
    exif = rng.choice(
        (
            exif,
            exif[: rng.randrange(1, len(exif))],
            exif + rng.randbytes(60_000 - len(exif)),
            _loop(),
            b"Exif\0\0" + rng.randbytes(50),
        )
    )
    profile = rng.choice((b"", b"x" * 300, rng.randbytes(60_000), bytes(128) + b"acsp"))
    try:
        return KINDS[kind], saved(picture(), kind, exif=exif, icc_profile=profile)
    except (
        OSError,
        ValueError,
        SyntaxError,
        struct.error,
        KeyError,
        TypeError,
    ):  # Pillow reads a TIFF's itself
        return KINDS[kind], saved(picture(), kind, exif=turned_by(9))  # fmt: skip


def _loop() -> bytes:
    """A directory of EXIF whose next one is itself."""
    entry = struct.pack("<HHLL", 0x8769, 4, 1, 8)
    return b"Exif\0\0II*\0" + struct.pack("<LH", 8, 1) + entry + struct.pack("<L", 8)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def png(
    size: tuple[int, int],
    *chunks: tuple[bytes, bytes],
    depth: int = 8,
    colour: int = 2,
    data: bytes | None = None,
) -> bytes:
    """A PNG with its checksums right, whatever it claims."""
    start = struct.pack(">LLBBBBB", *size, depth, colour, 0, 0, 0)
    pixels = zlib.compress(bytes((3 * 24 + 1) * 40)) if data is None else data
    parts = [(b"IHDR", start), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return PngImagePlugin._MAGIC + b"".join(_chunk(*part) for part in parts)


@cache
def _packed(n_bytes: int) -> bytes:
    return zlib.compress(bytes(n_bytes), 9)


def _bomb(rng: random.Random) -> tuple[str, bytes]:
    """Small files that claim, or unpack to, very much."""
    huge = rng.choice((2**31 - 1, 2**16 - 1, 12_000, 10**8, 0, 2**32 - 1))
    side = rng.choice((1, 24, huge))
    much = _packed(200_000_000)
    bombs: dict[str, Callable[[], tuple[str, bytes]]] = {
        "size": lambda: (".png", png((huge, side))),
        "rows": lambda: (".png", png((24, 40), data=much)),
        "words": lambda: (".png", png((24, 40), (b"zTXt", b"k\0\0" + much))),
        "many words": lambda: (".png", png((24, 40), *[(b"zTXt", b"k%d\0\0" % n + _packed(900_000)) for n in range(200)])),
        "colours": lambda: (".png", png((24, 40), (b"iCCP", b"k\0\0" + much))),
        "many chunks": lambda: (".png", png((24, 40), *[(b"tEXt", b"k\0v")] * 60_000)),
        "a depth": lambda: (".png", png((24, 40), depth=rng.randrange(255), colour=rng.randrange(8))),
        "no palette": lambda: (".png", png((24, 40), colour=3)),
        "bmp": lambda: (".bmp", files()["bmp"][:18] + struct.pack("<ll", *rng.choice(((huge % 2**31, side % 2**31), (-24, 40), (24, -(2**31))))) + files()["bmp"][26:]),
        "gif": lambda: (".gif", files()["gif"][:6] + struct.pack("<HH", huge % 2**16, side % 2**16) + files()["gif"][10:]),
        "ppm": lambda: (".ppm", b"P%d %d %d %d\n" % (rng.randrange(1, 7), huge, side, rng.choice((0, 255, 65535, 10**9))) + bytes(999)),
        "tga": lambda: (".tga", files()["tga"][:12] + struct.pack("<HH", huge % 2**16, side % 2**16) + files()["tga"][16:]),
        "pcx": lambda: (".pcx", files()["pcx"][:8] + struct.pack("<HH", 2**16 - 1, 2**16 - 1) + files()["pcx"][12:]),
        "sgi": lambda: (".sgi", files()["sgi"][:6] + struct.pack(">HHH", 2**16 - 1, 2**16 - 1, rng.randrange(9)) + files()["sgi"][12:]),
        "tiff": lambda: (".tif", _tiff(rng, huge)),
        "jpeg": lambda: (".jpg", _jpeg_of(65_500, rng.choice((1, 40, 65_500)))),
        "webp": lambda: (".webp", b"RIFF" + struct.pack("<L", 30) + b"WEBPVP8X" + struct.pack("<L", 10) + bytes(4) + b"\xff" * 6),
        "qoi": lambda: (".qoi", b"qoif" + struct.pack(">LLBB", huge, side, 3, 0) + bytes(200)),
    }  # fmt: skip
    return bombs[rng.choice(sorted(bombs))]()


def _jpeg_of(wide: int, high: int) -> bytes:
    content = saved(picture(), "JPEG")
    at = content.index(b"\xff\xc0")
    return content[: at + 5] + struct.pack(">HH", high, wide) + content[at + 9 :]


def _tiff(rng: random.Random, huge: int) -> bytes:
    """A TIFF of a directory with claims that no file has, or that leads back to itself."""
    claims = {256: 24, 257: 40, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 40, 279: 960}
    for tag in rng.sample(sorted(claims), rng.choice((1, 3))):
        claims[tag] = rng.choice((0, huge, 2**32 - 1, 7, 34712))
    entries = b"".join(
        struct.pack("<HHLL", tag, 4, rng.choice((1, 1, 1, huge)), value) for tag, value in claims.items()
    )
    return b"II*\0" + struct.pack("<LH", 8, len(claims)) + entries + struct.pack("<L", rng.choice((0, 8))) + bytes(1200)  # fmt: skip


WAYS: dict[str, Callable[[random.Random], tuple[str, bytes]]] = {
    "whole": _one, "cut": _cut, "flipped": _flipped, "overwritten": _overwritten, "followed": _followed, "misnamed": _misnamed,
    "no picture": _no_picture, "moving": _moving, "turned": _turned, "bomb": _bomb,
}  # fmt: skip
"""How a file is hostile -> what makes one: its ending and content."""
