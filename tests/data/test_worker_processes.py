"""Processes at work end with the program that began them, whether it is interrupted, killed, or loses one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from mswin_viz.data.storage.worker_processes import by_processes
from mswin_viz.errors import WorkerError

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are listed in /proc")


def doubled(value: int) -> int:
    return 2 * value


def ended(value: int) -> int:
    if value == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def refused(value: int) -> int:
    raise ValueError(f"refused {value}")


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(by_processes(doubled, range(40), workers=2)) == [2 * value for value in range(40)]


def test_no_more_jobs_are_taken_than_a_few_ahead_of_the_results() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for value in range(1000):
            taken.append(value)
            yield value

    with closing(by_processes(doubled, jobs(), workers=1)) as results:
        assert next(results) == 0
    assert len(taken) < 10


def test_a_process_that_is_killed_is_an_error_and_not_waited_for() -> None:
    with pytest.raises(WorkerError, match=r"one of 2 worker processes was killed.*use fewer workers"):
        list(by_processes(ended, range(10), workers=2))


def test_an_error_of_the_work_comes_out_as_it_is() -> None:
    with pytest.raises(ValueError, match="refused 0"):
        list(by_processes(refused, range(10), workers=2))


PROGRAM = """
import sys, time
sys.path[:0] = {folders!r}
from mswin_viz.data.storage.worker_processes import by_processes
if __name__ == "__main__":
    print("began", flush=True)
    for value in by_processes(time.sleep, [0.01] * 100_000, workers=3):
        print("one", flush=True)
"""


def children(pid: int) -> set[int]:
    return {
        int(one)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for one in (task / "children").read_text().split()
    }


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(is_so, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def ended_program(
    folder: Path, number: int, lines: int, delay: float, *, group: bool
) -> tuple[bool, set[int]]:
    """Whether a program ends that is sent a signal after so many lines and seconds; which of its processes stay."""
    script = folder / "program.py"
    script.write_text(PROGRAM.format(folders=[str(Path(__file__).resolve().parents[2])]))
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(delay)
        begun = children(process.pid)
        os.killpg(process.pid, number) if group else process.send_signal(number)
        process.stdout.close()
        has_ended = wait_until(lambda: process.poll() is not None)
        wait_until(lambda: not any(map(is_running, begun)))
        left = {pid for pid in begun if is_running(pid)}
        for pid in left | ({process.pid} - ({process.pid} if has_ended else set())):
            os.kill(pid, signal.SIGKILL)
    return has_ended, left


SIGNALS = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}
FEW, MANY = (0.0, 0.2), [0.03 * at for at in range(30)]


@needs_proc
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize(
    "delays", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.torture)]
)
def test_a_program_that_is_ended_ends_and_leaves_no_process(tmp_path: Path, name: str, delays) -> None:
    for at, delay in enumerate(delays):
        has_ended, left = ended_program(tmp_path, SIGNALS[name], 1 + at % 2, delay, group=name == "interrupt")
        assert has_ended, (name, delay)
        assert not left, (name, delay)


def test_an_interrupt_does_not_reach_a_process_that_is_still_importing() -> None:
    blocked = partial(signal.pthread_sigmask, signal.SIG_BLOCK)
    assert signal.SIGINT in next(by_processes(blocked, [[]], workers=1))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_script_that_would_start_itself_again_is_told_how_to_begin(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        f"import sys\nsys.path[:0] = [{str(Path(__file__).resolve().parents[2])!r}]\n"
        "from mswin_viz.data.storage.worker_processes import by_processes\n"
        "list(by_processes(abs, [1], workers=1))\n"
    )
    said = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=60
    ).stderr
    assert "WorkerError: one of 1 worker processes" in said
    assert "put the call below if __name__ == '__main__':" in said
