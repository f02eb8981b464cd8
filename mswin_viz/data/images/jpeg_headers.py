"""Takes headers out of JPEG files, so that a damaged one never stops a picture from being read."""

from __future__ import annotations

MARK = b"\xff\xd8\xff"
"""What a JPEG file begins with."""
_START_OF_SCAN, _APP1, _APP2 = 0xDA, 0xE1, 0xE2
_ALONE = frozenset((0x01, *range(0xD0, 0xDA)))  # markers without a length
_KINDS = {"exif": b"Exif\0\0", "xmp": b"http://ns.adobe.com/xap/1.0/\0"}
"""Pillow's name -> how such a segment begins."""


def apart(content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The file without its segments APP1 and APP2, and the EXIF header and XMP text in them.

    While Pillow opens a file, damage in these segments (EXIF, XMP, colour profile, index of further pictures) makes it
    warn or raise; the pixels need none of them. After a marker that makes no sense, the file stays as it is.
    """
    kept, headers, offset = [content[:2]], {}, 2
    while offset + 4 <= len(content) and content[offset] == 0xFF:
        marker = content[offset + 1]
        if marker in (_START_OF_SCAN, 0):
            break
        if marker == 0xFF or marker in _ALONE:  # 0xFF: one of several that fill up
            length = 1 if marker == 0xFF else 2
        else:
            length = 2 + int.from_bytes(content[offset + 2 : offset + 4], "big")
        segment = content[offset : offset + length]
        if marker not in (_APP1, _APP2):
            kept.append(segment)
        for name, start in _KINDS.items():
            if marker == _APP1 and segment[4:].startswith(start):
                headers[name] = headers.get(name, b"") + segment[4 + len(start) :]
        offset += length
    return b"".join([*kept, content[offset:]]), headers
