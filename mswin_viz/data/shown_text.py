"""Names of files as text that every file format and browser takes."""

from __future__ import annotations

import os
import re
import unicodedata

_ESCAPED = {"Cc", "Cs", "Cn", "Zl", "Zp"}
"""Unicode categories: control characters, surrogates, unassigned characters, line and paragraph separators."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse the order in which the text after them is shown."""


def shown_text(value: object, *, keep: str = "") -> str:
    r"""A path, name or message as it is shown and written: invalid text is escaped, as in ``caf\udce9``, but for ``keep``.

    A file name may be invalid UTF-8 (Python then has surrogates in it), and may hold line breaks; CSV, Parquet, JSON,
    SVG and the browser refuse the first and are broken by the second.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(_shown(character) if character not in keep else character for character in text)


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text, and so files and the browser: not where it has one half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def short_text(value: object, most: int, *, keep: str = "") -> str:
    """:func:`shown_text` in at most ``most`` characters; the middle of a longer text is left out."""
    text = shown_text(value, keep=keep)
    if len(text) <= most:
        return text
    n_last = most // 2
    return f"{text[: most - 1 - n_last]}…{text[-n_last:]}"


def numbered(n: int) -> str:
    """The numbers of ``n`` things that are counted from 0, as messages say them."""
    return "0, the only one" if n == 1 else f"one of 0..{n - 1}"


def counted(n: int, things: str, one: str = "") -> str:
    """A number and what it counts: "1 image", "1,200 images".

    ``one`` is what a single one is called where that is not ``things`` without its ending, as with a verb: "images are", "image is".
    """
    return f"1 {one or _one_of(things)}" if n == 1 else f"{n:,} {things}"


def n_of(n: int, n_all: int, things: str) -> str:
    """So many of all of them: "3 of 24 images"; of a single one, "1 image"."""
    return counted(1, things) if n == n_all == 1 else f"{n:,} of {counted(n_all, things)}"


def without_home(text: str) -> str:
    """A text to pass on, with ``~`` for the user's home folder wherever it names a path in it."""
    home = os.path.expanduser("~")
    for folder in {home, os.path.realpath(home)} - {"~", os.sep}:
        text = re.sub(rf"(?<![\w./\\-]){re.escape(folder)}(?![\w.-])", "~", text)
    return text


def _one_of(things: str) -> str:
    if things.endswith("ies"):
        return f"{things[:-3]}y"
    return things[:-2] if things.endswith(("ches", "shes", "xes", "sses")) else things.removesuffix("s")


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED and character not in _TURNING:
        return character
    return character.encode("unicode_escape").decode("ascii")
