"""Turns a stored picture upright, as its EXIF header or its XMP text says."""

from __future__ import annotations

import re
import struct

from PIL import Image

from mswin_viz.data.shown_text import counted

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Value of the EXIF tag -> what shows the picture upright."""
_TAG = 0x0112
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "L"}  # TIFF's types BYTE, SHORT, LONG
_ENTRY = 12  # bytes
_IN_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([^\"'<]{0,20})")
_LINES_BEFORE_HEX = 3  # in the text in which ImageMagick keeps an EXIF header


class HeaderError(ValueError):
    """An EXIF header cannot be read; caught where pictures are decoded."""


def turned(image: Image.Image, *, is_ours: bool) -> Image.Image:
    """A loaded picture, upright; a `HeaderError` if its header is damaged.

    Pillow's own ``exif_transpose`` writes the whole header again, so it fails if any tag is damaged; only one tag is
    needed here. A picture that is not ``is_ours``, opened by this package, may have had it set in memory.
    """
    if is_ours and image.format == "TIFF":  # Pillow turns these while it loads them
        return image
    try:
        turn = _stored(image) if is_ours else image.getexif().get(_TAG, 1)
    except Exception as problem:
        raise HeaderError(f"its EXIF header is damaged ({type(problem).__name__}: {problem})") from problem
    if turn in (0, 1):
        return image
    if not isinstance(turn, int) or turn not in _TURNS:
        raise HeaderError(f"its EXIF header asks for the rotation {turn!r:.20}, which is not one of 1..8")
    return image.transpose(_TURNS[turn])


def _stored(image: Image.Image) -> int:
    exif = image.info.get("exif", b"")
    if not exif and "Raw profile type exif" in image.info:
        exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[_LINES_BEFORE_HEX:]))
    turn = _in_exif(exif) if exif else None
    return _in_xmp(image.info) if turn is None else turn


def _in_exif(exif: bytes) -> int | None:
    """The tag in a header's first directory; None if it has no such tag."""
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    if not exif:
        return None
    if exif[:4] not in _BYTE_ORDERS:
        raise ValueError(f"it begins with {exif[:4]!r}, not with the mark of a TIFF header")
    order = _BYTE_ORDERS[exif[:4]]
    (start,) = struct.unpack_from(f"{order}L", exif, 4)
    (n_entries,) = struct.unpack_from(f"{order}H", exif, start)
    for entry in range(start + 2, start + 2 + _ENTRY * n_entries, _ENTRY):
        tag, kind, count = struct.unpack_from(f"{order}HHL", exif, entry)
        if tag == _TAG:
            if count != 1 or kind not in _WHOLE_NUMBERS:
                raise ValueError(f"its rotation is {counted(count, 'values')} of type {kind}")
            return struct.unpack_from(f"{order}{_WHOLE_NUMBERS[kind]}", exif, entry + 8)[0]
    return None


def _in_xmp(info: dict) -> int:
    text = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    matched = _IN_XMP.search(text.encode() if isinstance(text, str) else bytes(text))
    return int(matched[1]) if matched else 1
