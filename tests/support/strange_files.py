"""Files that no program should wait for or stop at: pipes, sockets, devices, links to nothing, folders named as files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["STRANGE", "make_strange", "strew"]


def _socket(path: Path) -> None:
    where = os.getcwd()
    os.chdir(path.parent)  # the path of a socket may be 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(where)


def _unreadable(path: Path) -> None:
    path.write_bytes(b"nothing that anyone may read")
    path.chmod(0)


_MAKE = {
    "pipe": os.mkfifo,
    "socket": _socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "link to the folder around": lambda path: path.symlink_to(".."),
    "folder": os.mkdir,
    "unreadable": _unreadable,  # root reads it, and finds that it is nothing
}
STRANGE = tuple(_MAKE)
"""What :func:`make_strange` makes."""
_TABLES = (
    "manifest.csv", "manifest.tsv", "attributes.csv", "list_train.txt", "list_query.txt", "train_id.txt", "test_id.txt",
    "train_visible_1.txt", "card.json", "RGB",
)  # fmt: skip


def make_strange(path: Path, kind: str) -> None:
    """Put something strange where a file is, or none."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    _MAKE[kind](path)


def strew(root: Path) -> None:
    """Something strange of every kind, named as a picture, in every folder of a data set; pipes named as its tables."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for kind in STRANGE:
            make_strange(folder / f"{kind}.png", kind)
        for name in _TABLES:
            if not (folder / name).exists():
                make_strange(folder / name, "pipe")
