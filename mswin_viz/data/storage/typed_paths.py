"""Paths as people type and paste them, and why one cannot be opened."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.given_kinds import given_path
from mswin_viz.errors import DataError

_MOST_SHOWN = 200  # characters of a path in a message
_UNSEEN = "\ufeff\u200b\u200e\u200f\u2060"  # copied along with text from a page
_QUOTES = ("''", '""', "``", "\u2018\u2019", "\u201c\u201d", "\u00ab\u00bb")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(/|image/)")  # of "//" a Path keeps one slash
_NO_ADDRESSES = "addresses cannot be opened: use a file or folder on this computer"
_REASONS = {
    errno.ENOENT: "there is nothing at this path",
    errno.ENOTDIR: "part of it is a file, not a folder",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ELOOP: "its links form a loop",
    errno.ENAMETOOLONG: "it is longer than the file system allows",
}


def typed_path(text: str) -> Path:
    """The path that a user typed or pasted: without quotes around it, and from a ``file:`` address.

    An existing file of exactly this name comes first. An empty text or any other address is a `DataError`.
    """
    bare = text.strip().strip(_UNSEEN).strip()
    if os.path.lexists(text) or os.path.lexists(bare):
        return Path(text if os.path.lexists(text) else bare)
    while len(bare) > 1 and bare[0] + bare[-1] in _QUOTES:
        bare = bare[1:-1].strip()
    if bare.lower().startswith("file:"):
        bare = _path_of_address(bare)
    if not bare:
        raise DataError(f"a path must name a folder or file: got {short_text(text, _MOST_SHOWN)!r}; type one")
    if _ADDRESS.match(bare) and not os.path.lexists(bare):
        raise DataError(
            f"a path must name a folder or file: got {short_text(bare, _MOST_SHOWN)}; {_NO_ADDRESSES}"
        )
    unescaped = re.sub(r"\\(.)", r"\1", bare)  # as a terminal writes it: a\ b.png
    return Path(unescaped if os.sep == "/" and os.path.lexists(unescaped) else bare)


def existing_path(path: str | os.PathLike) -> Path:
    """An existing folder or regular file, with ``~`` as the home folder; else a `DataError` says what stands there."""
    expanded = os.path.expanduser(given_path(path))
    try:
        mode = os.stat(expanded).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            return Path(expanded)
        reason = "it is a pipe, a device or a socket"
    except OSError as problem:
        reason = _REASONS.get(problem.errno or 0, problem.strerror or type(problem).__name__)
    except ValueError:  # a NUL, or half of a surrogate pair
        reason = "it contains a character that file names cannot have"
    raise DataError(
        f"samples need an existing folder or image: got {short_text(os.fspath(path), _MOST_SHOWN)}; "
        f"{_better_reason(os.fspath(path), expanded) or reason}; check the path"
    )


def _path_of_address(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError as problem:
        raise DataError(
            f"{short_text(address, _MOST_SHOWN)} is not the address of a file ({problem})"
        ) from problem
    if parts.netloc not in ("", "localhost"):
        raise DataError(
            f"only files on this computer can be opened: got the address {short_text(address, _MOST_SHOWN)}, which is "
            f"on {short_text(parts.netloc, _MOST_SHOWN)}; copy the file here"
        )
    literal = re.sub(r"^//(localhost)?(?=/|$)", "", address[len("file:") :])
    return literal if os.path.lexists(literal) else unquote(parts.path, errors="surrogateescape")


def _better_reason(given: str, expanded: str) -> str:
    """Why a path cannot be one of this computer; empty if it can."""
    if given.startswith("~") and expanded == given:
        user = re.split(r"[/\\]", given)[0]
        return f"the home folder of {short_text(user, 40)} is not known here"
    if os.name != "nt" and _WINDOWS.match(given):
        return "it is a Windows path"
    if _ADDRESS.match(given):
        return _NO_ADDRESSES
    return ""
