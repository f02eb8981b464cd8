"""Reads a file of tags, from its beginning or from where it was read last; damaged lines are counted and named."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.regular_files import regular_size
from mswin_viz.data.tags.tag_events import MOST_OF_A_LINE, TagEvent, event_of
from mswin_viz.errors import DataError

TAG_FILE = "tags.jsonl"
"""Name of the file of tags in the folder of a data set."""
MOST_BYTES = 2**28
"""The longest file that is read."""
_MOST_NAMED = 3  # damaged lines in a warning


@dataclass
class ReadTags:
    """What has been read of a file so far.

    Attributes
    ----------
    events
        In the order of the file.
    n_bytes, n_lines
        How much of it.
    identity
        Device and number of the file, and 0 of none, so that one in its place is read from its beginning.
    """

    events: list[TagEvent] = field(default_factory=list)
    n_bytes: int = 0
    n_lines: int = 0
    identity: tuple[int, int] = (0, 0)


def read_more(file: Path, read: ReadTags) -> bool:
    """Add what stands in a file behind what was read of it; whether it has to be taken from its beginning instead.

    A warning names lines that are no events, and they are skipped. A last line without its end is read again the next
    time, unless it is whole.

    Raises
    ------
    DataError
        If it is no regular file, cannot be read, or is too long.
    """
    try:
        if not os.path.lexists(file):
            return read.n_bytes > 0
        if regular_size(file) > MOST_BYTES:
            raise DataError(
                f"a file of tags may have at most {MOST_BYTES:,} bytes: {shown_text(file)} has "
                f"{regular_size(file):,}; split it"
            )
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            identity = status.st_dev, status.st_ino
            if read.n_bytes and (identity != read.identity or status.st_size < read.n_bytes):
                return True
            read.identity = identity
            stream.seek(read.n_bytes)
            _warn(file, _read_lines(stream, read))
    except OSError as problem:
        if isinstance(problem, DataError):
            raise
        raise DataError(
            f"a file of tags must be a readable file: {shown_text(file)} is not ({problem.strerror or problem}); name "
            "another"
        ) from problem
    return False


def _read_lines(stream: BinaryIO, read: ReadTags) -> list[str]:
    """Read to the end; what is wrong with the lines that are skipped."""
    problems: list[str] = []
    while line := stream.readline(MOST_OF_A_LINE + 1):
        length, is_whole = len(line), line.endswith(b"\n")
        is_too_long = length > MOST_OF_A_LINE
        while is_too_long and not is_whole and (rest := stream.readline(2**20)):
            length, is_whole = length + len(rest), rest.endswith(b"\n")
        name = f"line {read.n_lines + 1}"
        try:
            if is_too_long:
                raise DataError(f"{name} must have at most {MOST_OF_A_LINE:,} bytes: it has {length:,}")
            if line.strip():
                read.events.append(event_of(line, what=name))
        except DataError as problem:
            if not is_whole:
                problems.append(f"{name} was cut off")
                break
            problems.append(str(problem).removesuffix("; it is skipped"))
        read.n_bytes, read.n_lines = read.n_bytes + length, read.n_lines + is_whole
    return problems


def _warn(file: Path, problems: list[str]) -> None:
    if not problems:
        return
    named = "; ".join(problems[:_MOST_NAMED])
    more = f"; and {len(problems) - _MOST_NAMED:,} more" if len(problems) > _MOST_NAMED else ""
    lines = counted(len(problems), "lines were", "line was")
    warnings.warn(
        f"{lines} skipped in the tags {shown_text(file)}: {named}{more}; the others are used", stacklevel=5
    )
