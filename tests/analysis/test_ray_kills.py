"""An extraction on Ray that is killed at any moment loses nothing, doubles nothing, and ends with the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.image_files import sample_files, shard_bytes
from support.killing import Attempts, attempts, needs_fork
from support.tiny import tiny_model
from support.whole_stores import assert_holds_what_was_committed, assert_whole

import mswin_viz as mv

pytest.importorskip("ray", reason="ray is not installed: pip install 'mswin-viz[ray]'")

N_SAMPLES, N_SHARDS, N_KILLS, N_ACTOR_KILLS, SEED = 60, 30, 20, 4, 17
HOW = {"shard_images": 6, "batch_size": 4, "tokens": "all", "progress": False, "workers": 0}
SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from pathlib import Path
import torch
torch.set_num_threads(1)
from support.image_files import sample_files
from support.tiny import tiny_model
import mswin_viz as mv
MODEL = tiny_model()

def extracted(store):
    mv.extract(SAMPLES, store, model=MODEL, engine="ray", **{HOW})
"""
PHASES = ("start",) * 6 + ("shards",) * 10 + ("end",) * 4  # of a run, and how often it is killed there
assert len(PHASES) == N_KILLS
LONGEST = 300.0  # seconds after which a run is given up


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a data set and an undisturbed store; and one for Ray's own files, whose sockets need a short path."""
    own = tempfile.mkdtemp(prefix="ray_", dir="/tmp")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_TMPDIR", own)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # or its workers wait for all others on a busy machine
    mv.extract(sample_files(tmp_path / "set", N_SAMPLES), tmp_path / "whole", model=tiny_model(), **HOW)
    yield tmp_path
    shutil.rmtree(own)


@pytest.fixture
def program(place: Path) -> Iterator[Attempts]:
    setup = SETUP + f"\nSAMPLES = sample_files(Path({str(place / 'set')!r}), {N_SAMPLES})\n"
    with attempts(setup) as started:
        yield started


def clusters() -> list[psutil.Process]:
    """Every process that keeps Ray's files where this test does, wherever it hangs by now: programs and their clusters."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("RAY_TMPDIR") == os.environ["RAY_TMPDIR"]:
                found.append(process)
    return found


def n_commits(store: Path) -> int:
    return len(list(store.glob("commits/part-*.json")))


def wait_for(is_there: Callable[[], bool], pid: int) -> bool:
    """Whether something came true before the program ended."""
    end = time.monotonic() + LONGEST
    while not is_there():
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE or time.monotonic() > end:
            return is_there()
        time.sleep(0.002)
    return True


def kill_at(pid: int, store: Path, phase: str, rng: random.Random, starting: float) -> str:
    """Kill a program at a random moment of a phase, alone or with its whole cluster; what was done, in words."""
    there = n_commits(store)
    if phase == "start":
        time.sleep(rng.uniform(0.0, starting))
    elif phase == "shards":
        wanted = rng.randint(there, min(N_SHARDS - 1, there + 12))
        wait_for(lambda: n_commits(store) > wanted, pid)
        time.sleep(rng.uniform(0.0, 0.03))
    else:
        wait_for(lambda: n_commits(store) == N_SHARDS, pid)
        time.sleep(rng.uniform(0.0, 1.5))
    who, now = rng.choice(["the program", "everything"]), n_commits(store)
    server = psutil.Process(pid).ppid()
    victims = [psutil.Process(pid)] if who == "the program" else [p for p in clusters() if p.pid != server]
    for process in victims:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return f"{phase}: {who} ({len(victims)} processes) with {now} of {N_SHARDS} shards done"


@needs_fork
@pytest.mark.torture
def test_a_run_killed_at_random_moments_loses_and_doubles_no_row(program, place) -> None:
    rng, wanted, began = random.Random(SEED), shard_bytes(place / "whole"), time.monotonic()
    pid = program.begin(f"extracted({str(place / 'timed')!r})")
    assert wait_for(lambda: n_commits(place / "timed") > 0, pid)
    starting = time.monotonic() - began
    assert not program.ended()
    assert_whole(place / "timed", N_SAMPLES, wanted)
    print(
        f"seed {SEED}; undisturbed: {time.monotonic() - began:.1f} s, the first shard after {starting:.1f} s"
    )
    phases, killed, n_runs, number = list(PHASES), 0, 1, 0
    rng.shuffle(phases)
    while killed < N_KILLS:
        store = place / f"store {number}"
        pid, n_runs = program.begin(f"extracted({str(store)!r})"), n_runs + 1
        began = time.monotonic()
        said = kill_at(pid, store, phases[killed], rng, starting)
        took = time.monotonic() - began
        if program.ended():  # a run that ended before its moment does not count
            killed += 1
            print(f"{killed:2d}: store {number}, {took:5.1f} s, {said}", flush=True)
        assert_holds_what_was_committed(store)
        if n_commits(store) == N_SHARDS:
            n_runs += finished(program, store, wanted)
            number += 1
    n_runs += finished(program, place / f"store {number}", wanted)
    print(f"Ray: {killed} killed in {n_runs} runs, {number + 1} stores")


def finished(program: Attempts, store: Path, wanted: dict[str, bytes]) -> int:
    """The same call, undisturbed; nothing is missing then, and nothing is left."""
    server = psutil.Process(program.begin(f"extracted({str(store)!r})")).parent()
    assert not program.ended()
    assert_whole(store, N_SAMPLES, wanted)
    assert_nothing_runs(server)
    return 1


def assert_nothing_runs(server: psutil.Process) -> None:
    end = time.monotonic() + 30
    while left := [one for one in clusters() if one.pid != server.pid]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


@needs_fork
@pytest.mark.torture
def test_a_run_whose_actors_are_killed_goes_on_to_the_same_bytes(program, place) -> None:
    rng, store = random.Random(SEED), place / "store"
    pid = program.begin(f"extracted({str(store)!r})")
    server = psutil.Process(pid).parent()
    for number, wanted in enumerate(sorted(rng.sample(range(N_SHARDS - 1), N_ACTOR_KILLS))):
        assert wait_for(lambda wanted=wanted: n_commits(store) > wanted, pid)
        time.sleep(rng.uniform(0.0, 0.02))
        actors = [one for one in clusters() if "MapWorker" in "".join(one.cmdline())]
        assert actors
        for actor in actors:
            actor.kill()
        print(f"actor {number + 1}: killed with {n_commits(store)} of {N_SHARDS} shards done", flush=True)
    assert not program.ended()
    assert_whole(store, N_SAMPLES, shard_bytes(place / "whole"))
    assert_nothing_runs(server)
