"""What commands print: on any terminal, and where nobody reads it."""

from __future__ import annotations

import io
import sys

__all__ = ["echo", "take_any_character"]


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output, or on standard error; nothing where that is closed."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        print(text, file=stream, flush=True)


def take_any_character() -> None:
    r"""Escape what the terminal's encoding lacks, as in ``\u2013``, where Python would raise an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
