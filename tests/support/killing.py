"""Ends programs with SIGKILL at chosen moments: after so many operations on files, or after so many seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Attempts", "attempts", "needs_fork"]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="killing programs at a moment needs fork")

# Imports once, then forks for every attempt, so that an attempt takes milliseconds instead of the seconds that torch takes.
_PROGRAM = """
import json, os, signal, sys, time
names = {"__name__": "__main__"}
exec(json.loads(sys.stdin.readline()), names)
if "tqdm" in sys.modules:  # its lock is shared with every process forked from here: one that is killed would keep it
    import threading, tqdm
    tqdm.tqdm.set_lock(threading.RLock())
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        left = asked["events"]
        if left is not None:
            def count(event, args):
                global left
                if event == "open" or (event.startswith(("os.", "shutil.", "mmap.")) and event != "os.kill"):
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(count)
        try:
            exec(asked["code"], names)
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    print(child, flush=True)
    if asked["seconds"] is not None:
        time.sleep(asked["seconds"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
"""


class Attempts:
    """A program that stands ready to run a piece of code again and again, each time to be killed at another moment."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def run(self, code: str, *, events: int | None = None, seconds: float | None = None) -> bool:
        """Whether the code was killed before its end.

        Parameters
        ----------
        code
            Run in a copy of the program as it stands after its setup.
        events
            Operations on files (open, rename, remove, make a folder ...) that it is allowed; killed at the next one.
        seconds
            That it is given.
        """
        self.begin(code, events=events, seconds=seconds)
        return self.ended()

    def begin(self, code: str, *, events: int | None = None, seconds: float | None = None) -> int:
        """Start as :meth:`run` does, and give the number of the process, so that the test can kill it; :meth:`ended` waits for it."""
        asked = {"code": code, "events": events, "seconds": seconds}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def ended(self) -> bool:
        """Wait for what was begun: whether it was killed before its end."""
        status = json.loads(self._process.stdout.readline())
        assert status in (0, -9), f"the program must end, or be killed: it ended with status {status}"
        return status == -9


@contextmanager
def attempts(setup: str, *, cwd: Path | None = None) -> Iterator[Attempts]:
    """A program that has run ``setup`` (its imports), waiting for attempts; one thread, no accelerator."""
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=cwd, env=environment,
    ) as process:  # fmt: skip
        try:
            print(json.dumps(setup), file=process.stdin, flush=True)
            assert process.stdout.readline() == "ready\n", "the setup must run through and print nothing"
            yield Attempts(process)
        finally:
            process.kill()
