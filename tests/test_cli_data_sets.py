"""Commands on data sets that have faults, and on stores that are not complete."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.strange_files import strew
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import OptionError, OutputError, StoppedError


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Eight drawn people from two cameras; all is there."""
    return write_samples(tmp_path / "set", identities=8, cameras=2, shots=1, seed=5)


def broken(root: Path, n_files: int) -> list[Path]:
    """So many of the images, with their ends cut off."""
    files = sorted(root.rglob("*.jpg"))[-n_files:]
    for file in files:
        file.write_bytes(file.read_bytes()[:300])
    return files


@pytest.mark.parametrize("n_files", [3, 12])
def test_train_names_the_first_images_that_it_leaves_out(people: Path, tmp_path: Path, n_files: int) -> None:
    files = broken(people, n_files)
    small = ["--steps", "1", "--scales", "4", "--validation", "0", "--out", str(tmp_path / "a.pth")]
    done = CliRunner().invoke(cli.app, ["train", "--data", str(people), *small])
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if line.startswith("left out:")]
    named = [line for line in said if line.count(":") > 1]
    assert len(named) == min(n_files, 10)
    assert {Path(line.split(": ")[1]) for line in named} <= set(files)
    assert ("left out: 2 more" in said) == (n_files == 12)


@pytest.mark.parametrize("line", ["find {} --out {}", "rank {} --worst 1 --k 2 --out {}"])
def test_find_and_rank_name_the_images_that_they_leave_out(people: Path, tmp_path: Path, line: str) -> None:
    files = sorted(people.rglob("*.jpg"))[:2]
    for file in files:
        file.write_bytes(b"no image")
    words = line.format(people, tmp_path / "out").split()
    done = CliRunner().invoke(cli.app, ["--json", *words])
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if line.startswith("left out:")]
    assert {Path(line.split(": ")[1]) for line in said} == set(files)
    assert {Path(name) for name in json.loads(done.stdout)["left_out"]} == set(files)


def test_an_add_on_that_cannot_be_written_in_the_end_is_not_lost(
    people: Path, tmp_path: Path, monkeypatch
) -> None:
    out, state = tmp_path / "a.pth", tmp_path / "run.state"

    def full(*_: object, **__: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr("mswin_viz.cli.training._write", full)
    command = [
        "train",
        "--data",
        str(people),
        "--steps",
        "1",
        "--scales",
        "4",
        "--validation",
        "0",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(cli.app, [*command, "--state", str(state)])
    assert isinstance(done.exception, OutputError)
    assert str(done.exception) == (
        f"no space left; nothing is lost: run the same command with another --out and --state {state} to write it"
    )
    monkeypatch.undo()
    again = CliRunner().invoke(cli.app, [*command, "--state", str(state)])
    assert again.exit_code == 0, again.output
    assert mv.load_addon(out).scales == (4,)


def test_ablate_measures_a_data_set(people: Path, tmp_path: Path) -> None:
    for file in [file for file in people.rglob("*.jpg") if file.name[:6] > "000003"]:
        (people / "train_171" / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(people / "train_171" / file.parent.name / file.name)
    small = ["--steps", "1", "--seeds", "1", "--scales", "4", "--rows", "mlp_on_cls"]
    out = tmp_path / "found.json"
    done = CliRunner().invoke(cli.app, ["ablate", "--data", str(people), *small, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "| control: MLP on CLS |" in done.stdout
    assert "mlp_on_cls" in json.loads(out.read_text())["rows"]


def test_extract_needs_a_folder_unless_it_only_estimates(people: Path, tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli.app, ["extract", str(people)])
    assert isinstance(refused.exception, OptionError)
    assert "name it with --out STORE" in str(refused.exception)
    before = set(tmp_path.rglob("*"))
    estimated = CliRunner().invoke(cli.app, ["extract", str(people), "--dry-run", "--workers", "0", "--json"])
    assert estimated.exit_code == 0, estimated.output
    found = json.loads(estimated.stdout)
    assert found["n_images"] == 48
    assert found["n_bytes"] > 48 * 2 * 512
    assert set(tmp_path.rglob("*")) == before


def test_export_of_a_store_that_is_not_complete_says_so(people: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    samples, store = mv.samples(people), tmp_path / "store"
    with pytest.raises(StoppedError):
        mv.extract(
            samples,
            store,
            model=mv.load_model(),
            workers=0,
            shard_images=8,
            batch_size=4,
            stop=stop,
            progress=False,
        )
    assert not mv.open_store(store).is_complete
    done = CliRunner().invoke(cli.app, ["export", str(store), "--to", "csv", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "the store is not complete, what is done is exported: " in done.stdout


READ_A_FOLDER = {
    "doctor": "doctor --data SET",
    "extract": "extract SET --out OUT/store --workers 0",
    "train": "train --data SET --out OUT/a.pth --validation 0 --steps 1 --scales 4",
    "ablate": "ablate --data SET --out OUT/a.json --seeds 1 --steps 1 --scales 4 --rows mlp_on_cls",
    "attribute": "attribute SET/test/RGB --out OUT/maps --method gradient_x_input",
    "render": "render SET/test/RGB --out OUT/heat --scale 3",
}


@pytest.mark.timeout(180)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name")
@pytest.mark.filterwarnings("ignore::UserWarning")  # each says what is left out
@pytest.mark.parametrize("command", READ_A_FOLDER)
def test_no_command_waits_for_or_stops_at_what_is_strange_in_a_folder(command: str, tmp_path: Path) -> None:
    root, out = write_samples(tmp_path / "set", identities=4, cameras=2, shots=1, seed=5), tmp_path / "out"
    for file in [file for file in root.rglob("*.jpg") if file.name[:6] > "000002"]:
        (root / "train_171" / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(root / "train_171" / file.parent.name / file.name)
    strew(root)
    words = READ_A_FOLDER[command].replace("SET", str(root)).replace("OUT", str(out)).split()
    done = CliRunner().invoke(cli.app, words)
    if command == "doctor":
        assert done.exit_code == 1
        assert all(f"{kind}.png" in done.output.replace("\n", "") for kind in ("pipe", "socket", "device"))
        return
    assert done.exit_code == 0, (done.output, done.exception)
    made = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert made & {".parquet", ".pth", ".json", ".png"}
    if command in ("attribute", "render"):
        assert len([path for path in out.rglob("*.png") if path.name.startswith("00000")]) == 4
