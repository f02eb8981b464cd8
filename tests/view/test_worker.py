"""Work behind a button: one run at a time, started, stopped, restarted, and how it ends."""

from __future__ import annotations

import threading

import pytest

from mswin_viz.data.progress import Progress
from mswin_viz.errors import ClosedError, StoppedError
from mswin_viz.view.parts.work_bar import WorkBar, _time_left


class Job:
    """Counts its runs; each lasts until it is told to stop or released."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Semaphore(0), threading.Event()
        self.n_begun = self.n_done = 0

    def __call__(self, _report, stop) -> None:
        self.n_begun += 1
        self.begun.release()
        while not self.released.wait(0.001):
            if stop():
                raise StoppedError("halfway")
        self.n_done += 1


def test_stop_ends_the_work_and_the_button_is_free_again() -> None:
    job = Job()
    bar = WorkBar(job, name="work")
    thread = bar.start()
    assert job.begun.acquire(timeout=5)
    assert (bar.run.disabled, bar.stop_button.disabled) == (True, False)
    assert bar.start() is thread  # a second press changes nothing
    bar.stop_button.click()
    thread.join(5)
    assert "stopped: halfway" in bar.status.value
    assert (bar.run.disabled, bar.stop_button.disabled) == (False, True)
    assert (job.n_begun, job.n_done) == (1, 0)


def test_a_start_during_work_that_restarts_does_it_again_in_the_same_thread() -> None:
    job = Job()
    bar = WorkBar(job, name="work", restarts=True)
    thread = bar.start()
    assert job.begun.acquire(timeout=5)
    assert bar.start() is thread
    assert job.begun.acquire(timeout=5)
    job.released.set()
    thread.join(5)
    assert (job.n_begun, job.n_done) == (2, 1)
    assert "done in" in bar.status.value


def test_a_stop_takes_back_a_restart() -> None:
    job = Job()
    bar = WorkBar(job, name="work", restarts=True)
    thread = bar.start()
    assert job.begun.acquire(timeout=5)
    with bar._worker._lock:  # so that the run cannot end between the two
        bar._worker._is_wanted_again = True
    bar.stop()
    thread.join(5)
    assert job.n_begun == 1


def test_work_that_is_stopped_before_it_begins_sees_the_stop() -> None:
    job = Job()
    bar = WorkBar(job, name="work")
    thread = bar.start()
    bar.stop()
    thread.join(5)
    assert job.n_done == 0
    assert "stopped" in bar.status.value


def test_the_last_report_is_shown_however_quickly_it_follows() -> None:
    bar = WorkBar(
        lambda report, _stop: [report(Progress(i, 9, f"{i}")) for i in range(10)] and "so", name="work"
    )
    bar.start().join(5)
    assert (bar.progress.value, bar.status.value) == (1, "so")


def test_a_failure_is_shown_and_the_work_can_be_started_again() -> None:
    problems = [SystemExit("now"), ValueError("wrong")]
    bar = WorkBar(lambda *_: (_ for _ in ()).throw(problems.pop()) if problems else None, name="work")
    for words in ("ValueError: wrong", "SystemExit: now"):
        bar.start().join(5)
        assert words in bar._message.value
        assert bar.status.value == "failed"
    bar.start().join(5)
    assert (bar._message.value, bar.run.disabled) == ("", False)


def test_a_closed_bar_does_not_start() -> None:
    bar = WorkBar(Job(), name="work")
    bar.close()
    with pytest.raises(ClosedError, match="make a new WorkBar"):
        bar.start()


@pytest.mark.parametrize(
    ("seconds", "fraction", "words"),
    [
        (1.9, 0.5, ""),
        (10, 0.03, ""),
        (10, 1.0, ""),
        (10, 0.1, " about 2 min left"),
        (10, 0.25, " about 30 s left"),
        (60, 0.1, " about 9 min left"),
    ],
)
def test_the_rest_of_the_time_is_said_once_it_is_no_guess(
    seconds: float, fraction: float, words: str
) -> None:
    found = _time_left(seconds, fraction)
    assert found == words
