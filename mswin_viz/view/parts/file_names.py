"""Names for files that are written of many images into one folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from mswin_viz.data.names import relative_names
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text

_LONGEST_PLAIN = 60  # characters of a file's name in another one
_LONGEST = 100  # characters of a name, of at most four bytes each


def file_stems(samples: Sequence[Sample]) -> list[str]:
    """A name for each sample without an ending, no two alike: its path below the folder that holds them all, in one piece."""
    stems: list[str] = []
    used: set[str] = set()
    for name in relative_names(samples):
        folders, _, file = name.rpartition("/")
        words = "_".join([*folders.split("/"), file.rpartition(".")[0] or file]).strip("_")[-_LONGEST:]
        tries = itertools.chain((words,), (f"{words}_{n}" for n in itertools.count(2)))
        stem = next(one for one in tries if one.casefold() not in used)  # some file systems ignore case
        used.add(stem.casefold())
        stems.append(stem)
    return stems


def plain_stem(name: str) -> str:
    """Letters, digits, dots and dashes of a name, which any file system takes; empty if it has none."""
    return re.sub(r"[^\w.-]+", "_", shown_text(name), flags=re.ASCII).strip("._")[-_LONGEST_PLAIN:]
