"""Lists what lies below a folder: pictures in natural order, other files, and what was left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image, features

from mswin_viz.data.images.picture_files import picture_formats
from mswin_viz.data.sample import Problem
from mswin_viz.data.storage.file_writing import is_unfinished
from mswin_viz.data.tags.tag_file import TAG_FILE

_LIBRARIES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}  # formats that Pillow may lack
_PICTURE_ENDINGS = {
    ".3fr", ".arw", ".avif", ".avifs", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".heic", ".heif", ".j2k", ".jp2",
    ".jxl", ".jxr", ".nef", ".orf", ".pef", ".raf", ".raw", ".rw2", ".svg", ".webp", ".xcf",
}  # fmt: skip
_JUNK = {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "#recycle"}
_DIGITS = re.compile(r"\d+")
_Place = tuple[Path, tuple[str, ...]]  # a folder, and the names of those down to it
_Identity = tuple[int, int]
_WIDTH = 24  # digits that numbers are filled up to where names are compared


@dataclass(frozen=True)
class Picture:
    """A file whose ending says that it is a picture.

    ``parts`` are the names of the folders from the root of the search down to the file's own; they begin further up if
    the search began inside a split or modality folder.
    """

    path: Path
    parts: tuple[str, ...]


@dataclass
class Tree:
    """Everything below a folder."""

    root: Path
    pictures: list[Picture] = field(default_factory=list)  # in natural order (2 before 10), folder by folder
    others: list[Path] = field(default_factory=list)  # files with other endings
    problems: list[Problem] = field(default_factory=list)  # what cannot be read
    left_out: Counter[str] = field(
        default_factory=Counter
    )  # what is no fault, such as hidden files -> how often


@cache
def image_suffixes() -> frozenset[str]:
    """Endings, in lower case with their dot, of the picture formats that the installed Pillow can open."""
    known = {*features.modules, *features.codecs, *features.features}  # Pillow before 11.3 knows no AVIF
    lacking = {
        name for name, library in _LIBRARIES.items() if library not in known or not features.check(library)
    }
    kinds = {*picture_formats(), "MPO"} - lacking  # what opens JPEG opens MPO
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in kinds)


def natural_key(name: str) -> tuple[str, str]:
    """A sort key by which ``frame_2`` comes before ``frame_10``."""
    return _DIGITS.sub(lambda digits: digits[0].zfill(_WIDTH), name.lower()), name


def read_tree(root: Path, names: tuple[str, ...] | None = None) -> Tree:
    """List a folder and everything below it; no file is opened.

    Links to folders are followed, but each folder is read once, so that there are no loops or copies; links to a folder
    around the root are left out. The parts of every picture begin with ``names``, by default the folder's own.
    """
    tree, seen = Tree(root), {_identity(root)}
    above = {_identity(folder) for folder in root.resolve().parents} - {None}
    folders, links = [(root, names or (root.resolve().name,))], []
    while folders or links:
        if not folders:  # links come last, so that none hides the folder that it leads to
            folders += _unseen(links, tree, seen, above)
            links = []
            continue
        path, parts = folders.pop()
        inside: list[_Place] = []
        for entry in _sorted_in(path, parts, tree):
            (links if entry.is_symlink() else inside).append((Path(entry.path), (*parts, entry.name)))
        folders += _unseen(inside, tree, seen, above)
    folder_key = cache(lambda parts: [natural_key(name) for name in parts])
    tree.pictures.sort(key=lambda one: (folder_key(one.parts), natural_key(one.path.name)))
    tree.others.sort()
    tree.problems.sort(key=lambda problem: (problem.kind, problem.path))
    return tree


def _unseen(
    folders: list[_Place], tree: Tree, seen: set[_Identity | None], above: set[_Identity | None]
) -> list[_Place]:
    """The folders that are met for the first time and are not around the root; the others are counted."""
    fresh = []
    for path, parts in folders:
        identity = _identity(path)
        if identity in above:  # it would bring in everything beside the root
            tree.left_out["link to a folder around this one"] += 1
        elif identity is not None and identity in seen:
            tree.left_out["link to a folder that is read already"] += 1
        else:
            seen.add(identity)
            fresh.append((path, parts))
    return fresh


def _sorted_in(folder: Path, parts: tuple[str, ...], tree: Tree) -> list[os.DirEntry[str]]:
    """Sort a folder's files into the tree, and return the folders in it."""
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_unfinished(entry.name) or entry.name == TAG_FILE:  # ours, not the user's
                    continue
                if entry.name.startswith(".") or entry.name.lower() in _JUNK:
                    tree.left_out["hidden or system file or folder"] += 1
                elif _sort_entry(entry, parts, tree):
                    folders.append(entry)
    except OSError as problem:
        why = problem.strerror or str(problem)
        tree.problems.append(Problem("folder cannot be read", folder, f"{why}; left out"))
    return folders


def _sort_entry(entry: os.DirEntry[str], parts: tuple[str, ...], tree: Tree) -> bool:
    """Sort a file into the tree, or say that it is a folder; one that cannot be read is reported."""
    try:
        if entry.is_dir():
            return True
        _sort_file(entry, parts, tree)
    except OSError as problem:  # a link to itself, or into a folder without permission
        kind = "broken link" if entry.is_symlink() else "file cannot be read"
        why = problem.strerror or str(problem)
        tree.problems.append(Problem(kind, Path(entry.path), f"{why}; left out"))
    return False


def _sort_file(entry: os.DirEntry[str], parts: tuple[str, ...], tree: Tree) -> None:
    path, ending = Path(entry.path), os.path.splitext(entry.name)[1].lower()
    is_file, is_picture = entry.is_file(), ending in image_suffixes()
    if is_file and is_picture:
        tree.pictures.append(Picture(path, parts))
    elif is_file and ending not in _PICTURE_ENDINGS:
        tree.others.append(path)
    elif is_file:
        detail = f"{ending} cannot be read here; convert it to PNG or JPEG; left out"
        tree.problems.append(Problem("format cannot be read", path, detail))
    elif entry.is_symlink() and not os.path.exists(path):
        tree.problems.append(Problem("broken link", path, "points to nothing; left out"))
    elif is_picture:
        tree.problems.append(Problem("not a regular file", path, "a pipe, a socket or a device; left out"))
    else:
        tree.left_out["neither file nor folder"] += 1


def _identity(folder: Path) -> _Identity | None:
    """Device and number of a folder; the same for every link to it."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
