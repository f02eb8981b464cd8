"""A training that is killed, or started twice, loses nothing and mixes nothing up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.killing import Attempts, attempts, needs_fork

from mswin_viz.data.storage.file_writing import is_unfinished

SETUP = """
import sys
import numpy as np, torch
from pathlib import Path
import mswin_viz as mv
from mswin_viz.model.training.heads import window_head
from mswin_viz.model.training.fit import Schedule, Watch, train_head
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.model.weights.addon_files import weight_bytes
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
tokens = mv.Tokens(torch.randn(18, 4, generator=generator), torch.randn(18, 5, 4, generator=generator), (5, 1))

def trained(state, out):
    head = window_head(4, (2,), seed=1)
    watch = Watch(lambda head: float(head.body.multi_scale_window.fusion[2].bias[0]), state=Path(state))
    train_head(tokens, np.repeat(np.arange(6), 3), head, seed=1, schedule=Schedule(12, check_every=2), watch=watch, progress=False)
    write_bytes(Path(out), weight_bytes(head.state_dict(), is_safetensors=False))
"""
MOMENTS = {"a few": range(0, 70, 10), "many": range(96)}


@pytest.fixture(scope="module")
def program() -> Iterator[Attempts]:
    """One start of torch for all tests."""
    with attempts(SETUP) as started:
        yield started


def weights(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)


def trained(folder: Path, state: str, out: str) -> str:
    """The code of a training in a folder."""
    return f"trained({str(folder / state)!r}, {str(folder / out)!r})"


def assert_same(file: Path, whole: Path) -> None:
    found, wanted = weights(file), weights(whole)
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@needs_fork
@pytest.mark.parametrize("moments", ["a few", pytest.param("many", marks=pytest.mark.torture)])
def test_a_training_killed_at_any_moment_goes_on_to_the_same_weights(program, tmp_path, moments: str) -> None:
    killed = 0
    assert not program.run(trained(tmp_path, "whole.state", "whole.pt"))
    for events in MOMENTS[moments]:
        code = trained(tmp_path, f"{events}.state", f"{events}.pt")
        killed += program.run(code, events=events)
        assert not program.run(code), "the rerun ends"
        assert_same(tmp_path / f"{events}.pt", tmp_path / "whole.pt")
    assert killed > len(MOMENTS[moments]) // 3


@needs_fork
def test_a_training_killed_again_and_again_ends_as_one_that_never_was(program, tmp_path) -> None:
    assert not program.run(trained(tmp_path, "whole.state", "whole.pt"))
    events, runs = 12, 0
    while program.run(trained(tmp_path, "run.state", "run.pt"), events=events):
        events, runs = events + 2, runs + 1
    assert runs > 1
    assert_same(tmp_path / "run.pt", tmp_path / "whole.pt")


def command(folder: Path, *more: str) -> subprocess.Popen:
    """`mswin-viz train` on four people, in a process of its own."""
    root = str(Path(__file__).resolve().parents[2])
    small = ["--people", "8", "--steps", "6", "--scales", "4", "--validation", "0"]
    return subprocess.Popen(
        [sys.executable, "-c", "from mswin_viz.cli import main; main()", "train", "--out", "a.pth", *small, *more],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "500"},
    )  # fmt: skip


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.torture)])
def test_of_two_trainings_with_one_out_one_is_refused_and_the_other_ends(tmp_path: Path, times: int) -> None:
    wanted = None
    for at in range(times):
        folder = tmp_path / str(at)
        folder.mkdir()
        processes = [command(folder), command(folder)]
        said = [process.communicate(timeout=300)[0] for process in processes]
        codes = sorted(process.returncode for process in processes)
        refused = [text for text, process in zip(said, processes, strict=True) if process.returncode]
        assert all("only one training may write a.pth at a time" in text for text in refused), refused
        assert "Traceback" not in "".join(said)
        assert codes in ([0, 0], [0, 1])  # where one was done before the other began, both end
        found = weights(folder / "a.pth")
        wanted = wanted or found
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
        assert [file.name for file in folder.iterdir() if not is_unfinished(file)] == ["a.pth"]


HOLD = """
import time
from pathlib import Path
from mswin_viz.model.training.training_state import only_training
with only_training(Path("run.state")):
    print("held", flush=True)
    time.sleep(600)
"""


@needs_fork
def test_of_two_trainings_with_one_state_the_later_is_refused_until_the_first_ends(program, tmp_path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert holder.stdout.readline() == "held\n"
        code, said = trained(tmp_path, "run.state", "b.pt"), tmp_path / "said"
        caught = f"try:\n    {code}\nexcept mv.errors.OutputError as problem:\n    Path({str(said)!r}).write_text(str(problem))"
        assert not program.run(caught)
        assert "another program is training with" in said.read_text()
        assert "run.state; wait until it ends" in said.read_text()
    finally:
        holder.kill()
        holder.communicate()
    assert not program.run(code), "the lock ends with the program that held it"
