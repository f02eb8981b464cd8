"""What is said of a file that abuses its reader: by us, soon, in little memory, in one line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mswin_viz.errors import MswinVizError, WeightsError

SECONDS = 6  # of a processor; the slowest takes 2
MEBIBYTES = 700
OF_PYTHON = re.compile(
    r"requires a buffer|index out of range|values to unpack|has no attribute|not subscriptable|NoneType|codec can't|\bb['\"]|Traceback|<class |"
    r"\w+Plugin\b|tempfile\.|0x[0-9a-f]{9}|: \)|\s\(\)"
)
"""How Python and its libraries fail inside a reader, which says nothing of the file."""


def memory(field: str) -> float:
    """MiB of this process, now or at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def said_by(load: Callable[[], object], *, error: type[MswinVizError] = WeightsError) -> str:
    """The words in which something is refused."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far begins anew
    before, began = memory("VmRSS"), time.process_time()
    with pytest.raises(error) as caught:
        load()
    assert time.process_time() - began < SECONDS
    assert memory("VmHWM") - before < MEBIBYTES
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    return said
