"""Files that can be read to their end: a pipe would be waited for, and a device may never end."""

from __future__ import annotations

import stat
from pathlib import Path


def regular_size(file: Path) -> int:
    """The size of a regular file in bytes; an OSError for anything else, and where there is nothing."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    return status.st_size
