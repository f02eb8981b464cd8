"""An extraction that is killed at any moment loses nothing, doubles nothing, and ends with the same bytes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.image_files import sample_files, shard_bytes
from support.killing import Attempts, attempts, needs_fork
from support.tiny import tiny_model
from support.whole_stores import assert_holds_what_was_committed, assert_whole

import mswin_viz as mv

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

def extracted(folder, store, **how):
    samples = sample_files(Path(folder), {{n_samples}})
    mv.extract(samples, store, model=MODEL, shard_images=6, batch_size=4, tokens="all", progress=False, **how)
"""
HOW = {
    "model": tiny_model(),
    "shard_images": 6,
    "batch_size": 4,
    "tokens": "all",
    "progress": False,
    "workers": 0,
}
N_KILLS = 20


@pytest.fixture(scope="module")
def program() -> Iterator[Attempts]:
    """One start of torch for all tests."""
    with attempts(SETUP.format(n_samples=7)) as started:
        yield started


def killed_and_gone_on_with(program: Attempts, folder: Path, n_samples: int, how: str, **moment) -> bool:
    """Whether an extraction was killed at a moment; what it left and what the same call makes of that are checked."""
    code = f"extracted({str(folder.parent / 'set')!r}, {str(folder)!r}, {how})"
    was_killed = program.run(code, **moment)
    assert_holds_what_was_committed(folder)
    mv.extract(sample_files(folder.parent / "set", n_samples), folder, **HOW)
    assert_whole(folder, n_samples, shard_bytes(folder.parent / "whole"))
    return was_killed


@needs_fork
@pytest.mark.parametrize("events", [300, 600])
def test_an_extraction_killed_at_a_chosen_moment_goes_on_to_the_same_bytes(program, tmp_path, events) -> None:
    mv.extract(sample_files(tmp_path / "set"), tmp_path / "whole", **HOW)
    assert killed_and_gone_on_with(program, tmp_path / "store", 7, "workers=0", events=events)


@needs_fork
@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [0, 1])
def test_an_extraction_killed_at_random_moments_loses_and_doubles_no_row(tmp_path, workers) -> None:
    rng, n_samples = random.Random(17), 60
    mv.extract(sample_files(tmp_path / "set", n_samples), tmp_path / "whole", **HOW)
    with attempts(SETUP.format(n_samples=n_samples)) as program:
        started = time.monotonic()
        assert not program.run(
            f"extracted({str(tmp_path / 'set')!r}, {str(tmp_path / 'timed')!r}, workers={workers})"
        )
        took, killed, number = time.monotonic() - started, 0, 0
        while killed < N_KILLS:  # an attempt that ends before its moment does not count
            number += 1
            moment = rng.uniform(0.1, 0.9) * took
            killed += killed_and_gone_on_with(
                program, tmp_path / f"store {number}", n_samples, f"workers={workers}", seconds=moment
            )
    print(f"local, {workers} workers: {killed} killed in {number} attempts, each within {took:.1f} s")
