"""Members of a zip archive of weights: their sizes are checked against the file's, and none is unpacked to disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.zip_directories import ambiguity

_MOST_DIRECTORY = 8 * 2**20  # bytes; 1,000 members need 0.1 MiB
_MOST_INFLATED = 64 * 2**20  # bytes, beyond what the whole file has eight times
_MOST_TIMES = 8
_PIECE = 2**20
_NAME_LENGTHS = 26  # bytes before them in a member's own header
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error)


@dataclass(frozen=True, eq=False)
class Members:
    """What the zip archive ``path`` holds; names are without the folder that torch puts all members in."""

    path: Path
    sizes: MappingProxyType[str, int]  # name -> bytes when read
    _folder: str
    _archive: zipfile.ZipFile
    _file: io.FileIO

    def content(self, name: str, *, most: int) -> bytes:
        """The bytes of a small member; WeightsError if it has more than ``most``, or is damaged."""
        if self.sizes[name] > most:
            raise WeightsError(
                f"{name} in an archive of weights has at most {most:,} bytes: that of {shown_text(self.path)} has "
                f"{self.sizes[name]:,}; save the state_dict() alone, torch.save(model.state_dict(), path)"
            )
        content = bytearray(self.sizes[name])
        self.read_into(name, memoryview(content))
        return bytes(content)

    def read_into(self, name: str, room: memoryview) -> None:
        """Fill ``room``, which has the size of the member, and compare the member's checksum."""
        with self._opened(name) as (info, stream):
            is_plain = info.compress_type == zipfile.ZIP_STORED
            n_read = self._read_plain(info, room) if is_plain else _inflate(stream, room)
        if n_read != len(room):
            raise _damaged(self.path, f"its {short_text(name, 60)} ends early")

    def check(self, name: str) -> None:
        """Read a member of any size in pieces, for its checksum alone."""
        with self._opened(name) as (info, stream):
            while info.CRC and stream.read(_PIECE):  # zipfile compares at the end
                pass

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
        """A member and its bytes; opening it checks its own header."""
        info = self._archive.getinfo(self._folder + name)
        try:
            with self._archive.open(info) as stream:
                yield info, stream
        except _DAMAGE as problem:
            what = f"its {short_text(name, 60)} has other bytes than were written"
            raise _damaged(self.path, what) from problem

    def _read_plain(self, info: zipfile.ZipInfo, room: memoryview) -> int:
        """Read a member that is not compressed straight to its place: twice as fast as zipfile's pieces."""
        file, n_read = self._file, 0
        file.seek(info.header_offset + _NAME_LENGTHS)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
        file.seek(name_length + extra_length, io.SEEK_CUR)
        while n_read < len(room) and (n_more := file.readinto(room[n_read:])):
            n_read += n_more
        if info.CRC not in (0, zlib.crc32(room)):  # 0: torch was told to write none (set_crc32_options)
            raise zipfile.BadZipFile("wrong checksum")
        return n_read


def _inflate(stream: IO[bytes], room: memoryview) -> int:
    n_read = 0
    while piece := stream.read(_PIECE):
        room[n_read : n_read + len(piece)] = piece
        n_read += len(piece)
    return n_read


@contextmanager
def opened_members(path: Path) -> Iterator[Members]:
    """The members of a zip archive, checked before any is read.

    WeightsError if the directory is damaged or too large, can be read in two ways, names a member twice or a path that
    leads out of the archive, or claims more bytes than the file can hold.
    """
    with _ShortReads(path) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except _DAMAGE as problem:
            raise _damaged(path, "its list of members cannot be read") from problem
        with archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check(path, infos)
            if other := ambiguity(stream, archive.infolist()):
                raise _strange(path, other)
            folder = _folder([info.filename for info in infos])
            sizes = {info.filename.removeprefix(folder): info.file_size for info in infos}
            yield Members(path, MappingProxyType(sizes), _folder=folder, _archive=archive, _file=stream)


class _ShortReads(io.FileIO):
    """A file that refuses to read more than a directory's bytes at once: zipfile reads the directory in one piece."""

    def read(self, size: int | None = -1) -> Any:
        size = -1 if size is None else size
        if size > _MOST_DIRECTORY:
            raise zipfile.BadZipFile("the directory is too large")
        return super().read(size if size >= 0 else _MOST_DIRECTORY)


def _check(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    names = Counter(info.filename for info in infos)
    if twice := [name for name, count in names.items() if count > 1]:
        raise _strange(path, f"has {_shown(twice)} more than once")
    outside = [n for n in names if n.startswith("/") or "\\" in n or "\0" in n or ".." in n.split("/")]
    if outside:
        raise _strange(path, f"has names that lead out of it ({_shown(outside)})")
    if any(info.flag_bits & 1 for info in infos):
        raise _strange(path, "is encrypted")
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise _strange(path, "is compressed in a way that torch does not read")
    n_bytes = path.stat().st_size
    stored = sum(info.compress_size for info in infos)
    plain = [info for info in infos if info.compress_type == zipfile.ZIP_STORED]
    if stored > n_bytes or any(info.file_size != info.compress_size for info in plain):
        raise _damaged(path, f"its members claim {stored:,} bytes of a file of {n_bytes:,}")
    inflated = sum(info.file_size for info in infos)
    if inflated > _MOST_INFLATED + _MOST_TIMES * n_bytes:
        raise _strange(path, f"would grow from {n_bytes:,} to {inflated:,} bytes when unpacked")


def _folder(names: list[str]) -> str:
    """The folder that all members lie in, with its slash; empty where there is none."""
    firsts = {name.partition("/")[0] if "/" in name else "" for name in names}
    return f"{firsts.pop()}/" if len(firsts) == 1 and firsts != {""} else ""


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(short_text(name, 60) for name in names[:3]) + more


def _damaged(path: Path, what: str) -> WeightsError:
    return WeightsError(f"a weight file must be whole: {shown_text(path)} is damaged: {what}; copy it again")


def _strange(path: Path, what: str) -> WeightsError:
    return WeightsError(
        f"an archive of weights is as torch.save and torch.jit.save write it: {shown_text(path)} {what}; save the "
        "state_dict() again where it was made, torch.save(model.state_dict(), path)"
    )
