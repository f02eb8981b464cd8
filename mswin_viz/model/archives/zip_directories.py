"""Whether Python's zip reader, which checks an archive, and torch's, which loads it, find the same members."""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from typing import IO

from mswin_viz.data.shown_text import short_text

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_PLACE_64 = struct.Struct("<4sIQI")
_EXTRA = struct.Struct("<HH")
_SIZES_64, _OTHER_NAME = 1, 0x7075
_IS_FOLDER = 0x10  # of MS-DOS: torch leaves the memory of such a member as it was


def ambiguity(stream: IO[bytes], infos: Sequence[zipfile.ZipInfo]) -> str:
    """Why two readers could see different members in an archive with these ``infos``; empty where they cannot."""
    spelled = Counter(info.orig_filename.lower() for info in infos)  # torch finds A/DATA.PKL as a/data.pkl
    if twice := [name for name, count in spelled.items() if count > 1]:
        return f"has two members whose names differ in upper and lower case ({short_text(twice[0], 60)})"
    for info in infos:
        if "\0" in info.orig_filename:
            return f"has a name with a zero byte in it ({short_text(info.orig_filename, 60)})"
        if info.external_attr & _IS_FOLDER and not info.is_dir():
            return f"has a file marked as a folder ({short_text(info.orig_filename, 60)})"
        kinds = Counter(_kinds_of_extra(info.extra))
        if kinds[_OTHER_NAME] or kinds[_SIZES_64] > 1:
            return f"gives a name or size twice ({short_text(info.orig_filename, 60)})"
    return "" if _ends_once(stream, len(infos)) else "does not end with a single list of members"


def _kinds_of_extra(extra: bytes) -> list[int]:
    kinds, offset = [], 0
    while offset + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, offset)
        kinds.append(kind)
        offset += _EXTRA.size + length
    return kinds


def _ends_once(stream: IO[bytes], n_members: int) -> bool:
    """Whether there is one directory, complete, where the archive says, and nothing after it."""
    n_bytes = stream.seek(0, 2)
    end_at = n_bytes - _END.size
    mark, *disks, n_here, n_all, size, start, n_comment = _END.unpack(_piece(stream, end_at, _END.size))
    if mark != b"PK\5\6" or n_comment:
        return False
    place = _piece(stream, end_at - _PLACE_64.size, _PLACE_64.size) if end_at >= _PLACE_64.size else b""
    if place.startswith(b"PK\6\7"):
        _, disk, place_64, n_disks = _PLACE_64.unpack(place)
        end_at -= _PLACE_64.size + _END_64.size
        if place_64 != end_at or n_disks > 1:
            return False
        end = _piece(stream, end_at, _END_64.size)
        mark, length, _, _, *disks, n_here, n_all, size, start = _END_64.unpack(end)
        if mark != b"PK\6\6" or length != _END_64.size - 12 or disk:
            return False
    return not any(disks) and n_here == n_all == n_members and start + size == end_at


def _piece(stream: IO[bytes], offset: int, n_bytes: int) -> bytes:
    stream.seek(offset)
    return stream.read(n_bytes)
