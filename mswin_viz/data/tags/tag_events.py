"""One line of a file of tags: an image was given a tag, or the tag was taken away; and what a tag may be called."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.stored_records import json_value, value_words
from mswin_viz.errors import DataError, OptionError

MOST_OF_A_TAG = 60
"""The longest tag, in characters."""
MOST_OF_A_NOTE = 1000
"""The longest note or author, in characters."""
MOST_OF_A_LINE = 64 * 2**10
"""The longest line that is read, in bytes."""
_MOST_OF_A_PATH = 8192  # characters
_KNOWN = ("path", "box", "tag", "set", "time", "note", "author")
_Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class TagEvent:
    """One event of a file of tags.

    Attributes
    ----------
    path
        Of the image, relative to the folder of the data set, with ``/`` on every system. Whatever of it is not valid
        text stands as Python has it in names of files.
    tag
        The tag.
    is_set
        Whether the image was given the tag; False where it was taken away.
    time
        When, as ``2026-11-28T09:30:00Z``, in UTC.
    box
        ``(left, top, right, bottom)`` in pixels, of an image that is a part of the file; None for the whole file.
    note, author
        Words and name that were given along; None without.
    more
        Fields that this version does not know.
    """

    path: str
    tag: str
    is_set: bool
    time: str
    box: _Box | None = None
    note: str | None = None
    author: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, _Box | None]:
        """Which image it is about."""
        return self.path, self.box


def tag_name(text: object) -> str:
    """A tag as it is stored: without blanks around it; an `OptionError` for what cannot be one."""
    name = unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else ""
    if not name or len(name) > MOST_OF_A_TAG or not name.isprintable() or "," in name:
        raise OptionError(
            f"a tag is 1 to {MOST_OF_A_TAG} printable characters without a comma, such as 'half hidden': got "
            f"{value_words(text)}; choose another"
        )
    return name


def checked_words(text: object, name: str) -> str | None:
    """A note or an author as it is stored, None for an empty one; an `OptionError` for what cannot be one."""
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > MOST_OF_A_NOTE:
        raise OptionError(
            f"{name} must be text of at most {MOST_OF_A_NOTE:,} characters: got {value_words(text)}; shorten it"
        )
    return text.strip() or None


def line_of(event: TagEvent) -> bytes:
    """An event as a line of a file: JSON in ASCII, where invalid text of a path keeps its escapes."""
    about: dict[str, Any] = {"path": event.path}
    if event.box is not None:
        about["box"] = list(event.box)
    about |= {"tag": event.tag, "set": event.is_set, "time": event.time}
    about |= {name: value for name in ("note", "author") if (value := getattr(event, name)) is not None}
    return json.dumps(about).encode("ascii")


def event_of(line: bytes, *, what: str) -> TagEvent:
    """The event of a line; a `DataError` says what is wrong with ``what``."""
    value = json_value(line, what=what, remedy="it is skipped", error=DataError, most_bytes=MOST_OF_A_LINE)
    try:
        return _event(value)
    except (OptionError, ValueError) as problem:
        raise DataError(
            f"{what} is no event of a tag: {short_text(problem, 160)}; it is skipped"
        ) from problem


def _event(value: Any) -> TagEvent:
    if not isinstance(value, dict):
        raise ValueError(f"it must be an object with path, tag, set and time: got {value_words(value)}")
    missing = [name for name in ("path", "tag", "set", "time") if name not in value]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be there")
    path, is_set, time = value["path"], value["set"], value["time"]
    if not isinstance(path, str) or not 0 < len(path) <= _MOST_OF_A_PATH or "\0" in path:
        raise ValueError(f"path must be the relative path of an image: got {value_words(path)}")
    if not isinstance(is_set, bool):
        raise ValueError(f"set must be true or false: got {value_words(is_set)}")
    if not isinstance(time, str) or len(time) > 40:
        raise ValueError(f"time must be text such as 2026-11-28T09:30:00Z: got {value_words(time)}")
    words = {name: checked_words(value.get(name), name) for name in ("note", "author")}
    more = {name: each for name, each in value.items() if name not in _KNOWN}
    return TagEvent(path, tag_name(value["tag"]), is_set, time, _box(value.get("box")), **words, more=more)


def _box(value: Any) -> _Box | None:
    if value is None:
        return None
    is_box = isinstance(value, list) and len(value) == 4 and all(type(edge) is int for edge in value)
    if not is_box or not (0 <= value[0] < value[2] < 2**31 and 0 <= value[1] < value[3] < 2**31):
        raise ValueError(
            f"box must be four whole numbers of pixels, left, top, right and bottom: got {value_words(value)}"
        )
    return value[0], value[1], value[2], value[3]
