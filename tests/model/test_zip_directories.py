"""Archives in which Python's reader and torch's could find different members are refused before torch reads them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from support.archive_writing import FLOATS, archive, pickled, tensor, text

from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.weight_files import read_state_dict

PICKLE = pickled(b"}" + text("w") + tensor() + b"s")
HELD = {"a/data.pkl": PICKLE, "a/data/0": FLOATS, "a/version": b"3\n"}
OTHER = {
    "a/data.pkl": pickled(b"}" + text("w") + tensor((1,), (1,)) + b"s"),
    "a/data/0": struct.pack("<6f", *[9.0] * 6),
    "a/version": b"3\n",
}
GOOD = archive(HELD)
END = GOOD.rindex(b"PK\5\6")
SIZE, START = struct.unpack("<II", GOOD[END + 12 : END + 20])


def moved(directory: bytes, by: int) -> bytes:
    """A directory whose members lie elsewhere."""
    found, at = bytearray(directory), 0
    while at < len(found):
        lengths = struct.unpack("<HHH", found[at + 28 : at + 34])
        (offset,) = struct.unpack("<I", found[at + 42 : at + 46])
        found[at + 42 : at + 46] = struct.pack("<I", offset + by)
        at += 46 + sum(lengths)
    return bytes(found)


def end(size: int, start: int, n: int = 3) -> bytes:
    return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, n, n, size, start, 0)


def two_directories() -> bytes:
    """Torch follows the offset, to the first; Python counts back from the end, to the second."""
    other = archive(OTHER)
    at = other.rindex(b"PK\5\6")
    size, start = struct.unpack("<II", other[at + 12 : at + 20])
    members = GOOD[:START] + other[:start]
    second = moved(other[start : start + size], START - SIZE)
    return members + GOOD[START:END] + second + end(size, len(members))


def end_64(*, at: int = END, length: int = 44, n: int = 3, disk: int = 0) -> bytes:
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", length, 45, 45, 0, disk, n, n, SIZE, START)
    place = b"PK\6\7" + struct.pack("<IQI", 0, at, 1)
    return GOOD[:END] + record + place + end(2**32 - 1, 2**32 - 1, 65535)


def field(member: int, at: int, kind: str, value: int, content: bytes = GOOD) -> bytes:
    """The archive with one field of a member's entry in the directory changed."""
    found, place = bytearray(content), -1
    for _ in range(member + 1):
        place = found.index(b"PK\1\2", place + 1)
    found[place + at : place + at + struct.calcsize(kind)] = struct.pack(kind, value)
    return bytes(found)


def with_extra(name: str, extra: bytes, held: Mapping[str, bytes] = HELD) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packing:
        for each, content in held.items():
            info = zipfile.ZipInfo(each)
            info.extra = extra if each == name else b""
            packing.writestr(info, content)
    return stream.getvalue()


def sizes_64(*sizes: int) -> bytes:
    return struct.pack("<HH", 1, 8 * len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)


OTHER_NAME = struct.pack("<HHBI", 0x7075, 15, 1, zlib.crc32(b"a/version")) + b"a/data.pkl"
ONE_LIST = "does not end with a single list of members"
AMBIGUOUS = {
    "two directories": (ONE_LIST, two_directories),
    "a comment": (ONE_LIST, lambda: GOOD[:-2] + struct.pack("<H", 5) + b"hello"),
    "an archive as comment": (ONE_LIST, lambda: GOOD[:-2] + struct.pack("<H", len(GOOD)) + GOOD),
    "bytes behind it": (ONE_LIST, lambda: GOOD + bytes(100)),
    "another archive behind it": (ONE_LIST, lambda: GOOD + archive(OTHER)),
    "another archive before it": (ONE_LIST, lambda: archive(OTHER) + GOOD),
    "bytes before the end": ("its list of members cannot be read", lambda: GOOD[:END] + bytes(7) + GOOD[END:]),
    "fewer members than are listed": (ONE_LIST, lambda: GOOD[:END] + end(SIZE, START, 2)),
    "more members than are listed": (ONE_LIST, lambda: GOOD[:END] + end(SIZE, START, 4)),
    "two disks": (ONE_LIST, lambda: GOOD[: END + 4] + struct.pack("<HH", 1, 1) + GOOD[END + 8 :]),
    "a second end elsewhere": (ONE_LIST, lambda: end_64(at=0)),
    "a longer end": (ONE_LIST, lambda: end_64(length=52)),
    "another count of 64 bits": (ONE_LIST, lambda: end_64(n=2)),
    "another disk of 64 bits": (ONE_LIST, lambda: end_64(disk=1)),
    "names in upper and lower case": ("differ in upper and lower case (a/data.pkl)", lambda: archive(HELD | {"a/DATA.PKL": OTHER["a/data.pkl"]})),
    "a name that ends early": ("a name with a zero byte in it", lambda: archive(HELD | {"a/oddZx": b""}).replace(b"oddZx", b"odd\0x")),
    "a file that is a folder": ("a file marked as a folder (a/data/0)", lambda: field(1, 38, "<I", 0x10)),
    "a second name": ("gives a name or size twice (a/version)", lambda: with_extra("a/version", OTHER_NAME)),
    "a second size": ("gives a name or size twice (a/data/0)", lambda: with_extra("a/data/0", sizes_64(24, 24) + sizes_64(12, 12))),
}  # fmt: skip


@pytest.mark.parametrize("how", AMBIGUOUS)
def test_an_archive_that_could_be_read_as_another_is_refused(tmp_path, how):
    words, content = AMBIGUOUS[how]
    (tmp_path / "w.pth").write_bytes(content())
    with pytest.raises(WeightsError) as refusal:
        read_state_dict(tmp_path / "w.pth")
    assert words in str(refusal.value)


WIDE = field(1, 24, "<I", 2**32 - 1, field(1, 20, "<I", 2**32 - 1, with_extra("a/data/0", sizes_64(24, 24))))
PLAIN = {
    "as written": GOOD,
    "compressed": archive(HELD, compression=zipfile.ZIP_DEFLATED),
    "with an end of 64 bits": end_64(),
    "with sizes of 64 bits": WIDE,
    "with a padded entry": with_extra("a/data/0", struct.pack("<HH", 0x4246, 5) + bytes(5)),
    "with a folder": archive(HELD | {"a/": b""}),
    "with other rights": field(1, 38, "<I", 0o100600 << 16),
}


@pytest.mark.parametrize("how", PLAIN)
def test_an_archive_that_all_readers_read_alike_is_read(tmp_path, how):
    (tmp_path / "w.pth").write_bytes(PLAIN[how])
    assert torch.equal(read_state_dict(tmp_path / "w.pth")["w"], torch.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("name", ["модель", "ü é", "a.b.c", "a'b", "x" * 150, ".hidden", "%20"])
def test_archives_of_any_file_name_are_read(tmp_path: Path, name: str):
    path = tmp_path / f"{name}.pth"
    torch.save({"w": torch.arange(6.0)}, path)
    assert torch.equal(read_state_dict(path)["w"], torch.arange(6.0))
