"""A notebook's kernel that answers nothing until the test lets it go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.lab import Lab

HOLD = """import contextlib, pathlib, time
with {lock}:
    (_held := pathlib.Path({file!r})).touch()
    while _held.exists(): time.sleep(0.02)"""


@contextmanager
def kernel_held(lab: Lab, lock: str = "contextlib.nullcontext()") -> Iterator[None]:
    """Within, the kernel is busy and holds ``lock``, an expression in Python; what the page does, it does alone."""
    held, deadline = lab.root / "kernel.held", time.monotonic() + lab.timeout
    lab.execute(HOLD.format(lock=lock, file=str(held)))
    try:
        while not held.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the kernel did not take {lock} within {lab.timeout} s")
            lab.page.wait_for_timeout(20)
        yield
    finally:
        held.unlink(missing_ok=True)
