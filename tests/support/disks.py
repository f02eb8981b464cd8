"""Disks that are soon full, or that take nothing, for tests of what is written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk in memory, of a ``size`` such as ``"64k"``, mounted at a new folder; the test is skipped where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs to mount a small disk: this user or system cannot")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Give a mounted disk another size (``"size=1m"``), or let it take nothing (``"ro"``) or all again (``"rw"``)."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
