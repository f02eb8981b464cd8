"""Names of files as text that every file format and browser takes."""

from __future__ import annotations

import unicodedata

__all__ = ["shown_text"]

_ESCAPED = {"Cc", "Cs", "Cn", "Zl", "Zp"}
"""Unicode categories: control characters, surrogates, unassigned characters, line and paragraph separators."""


def shown_text(value: object, *, keep: str = "") -> str:
    r"""A path, name or message as it is shown and written: whatever is not valid text is escaped, as in ``caf\udce9``.

    A file name need not be valid UTF-8 (Python then has surrogates in it), and may hold line breaks; CSV, Parquet, JSON,
    SVG and the browser refuse the first and are broken by the second.

    Parameters
    ----------
    value
        Anything with a text form.
    keep
        Characters that stay as they are, such as a line break between lines.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(_shown(character) if character not in keep else character for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED:
        return character
    return character.encode("unicode_escape").decode("ascii")
