"""`samples`, `train` and `ablate` are killed at many moments, and meet full disks: nothing is lost, nothing half is taken for whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.disks import mounted_disk, remount
from support.killing import Attempts, attempts, needs_fork
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.storage.file_writing import is_unfinished
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import OutputError

SETUP = """
import contextlib, io, sys, warnings
import torch
torch.set_num_threads(1)
from mswin_viz import cli
from mswin_viz.cli import measuring, training
from mswin_viz.analysis.experiments import ablation_run, addon_training, sample_tokens
from mswin_viz.data.sets import layouts
from mswin_viz.model import loading
import mswin_viz as mv
warnings.simplefilter("ignore")
kept = mv.load_model(addon=None)
loading.load_model = lambda *_, **__: kept.bound()

def run(*words):
    sys.argv = ["mswin-viz", *words, "--quiet"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main()
    except SystemExit as end:
        assert not end.code, end.code
"""
FEW = {"samples": (9, 60), "train": (40, 120), "ablate": (60,)}
"""After how many operations on files each is killed in the quick tests."""
MANY = 40
SHARES = pytest.mark.parametrize("share", ["a few", pytest.param("many", marks=pytest.mark.torture)])
SMALL = ("--steps", "4", "--scales", "4", "--validation", "0")


@pytest.fixture(scope="module")
def program() -> Iterator[Attempts]:
    """One start of torch, with the model loaded, for all tests."""
    with attempts(SETUP) as started:
        yield started


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn people, half of them to train on."""
    root = write_samples(tmp_path_factory.mktemp("set"), identities=6, cameras=2, shots=1, seed=5)
    for file in [file for file in root.rglob("*.jpg") if file.name[:6] > "000003"]:
        (root / "train_171" / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(root / "train_171" / file.parent.name / file.name)
    return root


def code(*words: object) -> str:
    return f"run(*{[str(word) for word in words]!r})"


def contents(folder: Path) -> dict[str, str]:
    """Name -> hash of every file; without locks, which are empty, and what a killed program left under names of its own."""
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size and not is_unfinished(path)
    ]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def events_of(program: Attempts, text: str, most: int = 100_000) -> int:
    """After how many operations on files a run ends, to within a tenth: it is killed earlier."""
    few, many = 1, most
    while many > 1.1 * few + 1:
        middle = round((few * many) ** 0.5)
        if program.run(text.replace("PLACE", f"probe_{middle}"), events=middle):
            few = middle
        else:
            many = middle
    return few


def moments(program: Attempts, share: str, words: tuple[object, ...]) -> list[int]:
    """A few, or many: evenly from the first operation to the last."""
    if share == "a few":
        return list(FEW[words[0]])
    last = events_of(program, code(*words))
    return sorted({round(1 + (last - 1) * at / (MANY - 1)) for at in range(MANY)})


@needs_fork
@SHARES
def test_samples_killed_at_any_moment_are_completed_to_the_same_files(program, tmp_path, share: str) -> None:
    words = ("samples", tmp_path / "PLACE", "--identities", 2, "--cameras", 2, "--shots", 1, "--seed", 5)
    assert not program.run(code(*words).replace("PLACE", "whole"))
    wanted, killed = contents(tmp_path / "whole"), 0
    for events in moments(program, share, words):
        text = code(*words).replace("PLACE", str(events))
        killed += program.run(text, events=events)
        assert not program.run(text)
        assert contents(tmp_path / str(events)) == wanted
    assert killed


@needs_fork
@SHARES
def test_train_killed_at_any_moment_goes_on_to_the_same_add_on(program, people, tmp_path, share: str) -> None:
    there = tmp_path / "PLACE"
    words = (
        "train",
        "--data",
        people,
        *SMALL,
        "--cache",
        there / "tokens",
        "--state",
        there / "state",
        "--out",
        there / "a.pth",
    )
    assert not program.run(code(*words).replace("PLACE", "whole"))
    wanted, killed = (tmp_path / "whole" / "a.pth").read_bytes(), 0
    for events in moments(program, share, words):
        text = code(*words).replace("PLACE", str(events))
        out = tmp_path / str(events) / "a.pth"
        killed += program.run(text, events=events)
        assert not out.exists() or out.read_bytes() == wanted, "no half add-on"
        assert not program.run(text)
        assert out.read_bytes() == wanted
    assert killed


@needs_fork
@SHARES
def test_ablate_killed_at_any_moment_measures_the_same(program, people, tmp_path, share: str) -> None:
    there = tmp_path / "PLACE"
    rows = ("--rows", "mlp_on_cls", "--steps", 2, "--seeds", 1, "--scales", 4)
    words = ("ablate", "--data", people, *rows, "--cache", there / "tokens", "--out", there / "found.json")
    assert not program.run(code(*words).replace("PLACE", "whole"))
    wanted, killed = json.loads((tmp_path / "whole" / "found.json").read_text()), 0
    for events in moments(program, share, words):
        text = code(*words).replace("PLACE", str(events))
        out = tmp_path / str(events) / "found.json"
        killed += program.run(text, events=events)
        assert not out.exists() or json.loads(out.read_text())["rows"].keys() == wanted["rows"].keys()
        assert not program.run(text)
        assert without_times(json.loads(out.read_text())) == without_times(wanted)
    assert killed


def without_times(found: object) -> object:
    """What was measured, without how long anything took."""
    if isinstance(found, dict):
        return {
            name: without_times(value)
            for name, value in found.items()
            if name not in ("time_ratio", "seconds")
        }
    return [without_times(value) for value in found] if isinstance(found, list) else found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "96k") as disk:
        yield disk


@pytest.mark.parametrize("command", ["samples", "train", "ablate"])
def test_a_full_disk_is_said_and_the_command_goes_on_once_there_is_space(
    command: str, people: Path, small_disk: Path
) -> None:
    old = small_disk / ("out.json" if command == "ablate" else "out.pth")
    words = {
        "samples": ["samples", str(small_disk), "--identities", "30", "--cameras", "2", "--shots", "1"],
        "train": ["train", "--data", str(people), *SMALL, "--cache", str(small_disk / "tokens"), "--out", str(old)],
        "ablate": ["ablate", "--data", str(people), "--rows", "mlp_on_cls", "--steps", "1", "--seeds", "1",
                   "--scales", "4", "--cache", str(small_disk / "tokens"), "--out", str(old)],
    }[command]  # fmt: skip
    if command != "samples":
        old.write_bytes(b"what was there before")
    done = CliRunner().invoke(cli.app, words)
    assert isinstance(done.exception, OutputError), done.output
    assert "space" in str(done.exception)
    if command != "samples":
        assert old.read_bytes() == b"what was there before"
    remount(small_disk, "size=200m")
    again = CliRunner().invoke(cli.app, words)
    assert again.exit_code == 0, again.output
    if command == "train":
        assert mv.load_addon(old).scales == (4,)
    elif command == "ablate":
        assert "mlp_on_cls" in json.loads(old.read_text())["rows"]
    else:
        assert len(mv.samples(small_disk / "RGBNT201")) == 60
