"""Seconds and peak memory of one kind of work, each in a program of its own, so that its peak is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def answer_of(script: str, what: str, folder: Path) -> dict[str, float]:
    """What ``script --child what folder`` prints as JSON on its last line."""
    command = [sys.executable, script, "--child", what, str(folder)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def cost(work: Callable[[], float]) -> dict[str, float]:
    """The seconds that ``work`` says it took, and how far this program's peak memory rose meanwhile, in MiB."""
    before = _peak()
    seconds = work()
    return {"seconds": seconds, "MiB": _peak() - before}


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _peak() -> float:
    """The most memory this program has held, MiB. The system's other figure begins with what the parent held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, on a Mac
    return next(
        int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )
