"""What decoders raise, in words that say something of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SAID = (
    (re.compile(r"\bunpack(_from)? requires a buffer|^(\w+ )*index out of range$"), "it ends too early"),
    (re.compile(r"^Decompressed data too large|^Too much memory used in text"), "its text is too long"),
)
"""How Python fails inside a decoder -> what that says of the file."""
_NO_WORDS = (
    (re.compile(r"^tempfile\.tif: "), ""),  # what libtiff is told to call every file
    (re.compile(r"""^b(['"])(.*)\1$"""), r"\2"),
    (re.compile(r"\bb(['\"])(.*?)\1"), r"\2"),
)
_PLAIN = (OSError, SyntaxError, ValueError, EOFError)
"""Errors whose message stands by itself, without its class."""
_KINDS = {"MemoryError": "it asks for more memory than there is"}


def decoder_words(problem: Exception) -> str:
    """The reason in an error of Pillow, or of Python inside it, and the notes that it carries."""
    words = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    kind = type(problem).__name__
    said = _in_words(words)
    if not words:
        said = f"{_KINDS.get(kind, 'it is damaged')} ({kind})"
    elif said == words and not isinstance(problem, _PLAIN):
        said = f"{kind}: {words}"
    return "; ".join([said, *_noted(getattr(problem, "__notes__", ()))])


def _noted(notes: Sequence[str]) -> list[str]:
    return [_in_words(note) for note in notes]


def _in_words(words: str) -> str:
    for pattern, said in _SAID:
        if pattern.search(words):
            return said
    for pattern, left in _NO_WORDS:
        words = pattern.sub(left, words)
    return words
