"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.sample_files import write_samples
from mswin_viz.model.checkpoints import read_state_dict


def test_samples_writes_a_data_set_that_loads(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli.app,
        ["samples", str(tmp_path), "--identities", "2", "--cameras", "3", "--shots", "1", "--seed", "5",
         "--sheet", str(tmp_path / "sheet.png")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(mv.samples(tmp_path / "RGBNT201")) == 6
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_evaluate_prints_both_splits_baselines_attributes_and_captions() -> None:
    done = CliRunner().invoke(cli.app, ["evaluate", "--identities", "2", "--seed", "9"])
    assert done.exit_code == 0, done.output
    rows = ("plain CLS", "enhanced CLS", "random network", "mean colours, 16x8", "chance")
    assert all(done.stdout.count(f"| {row} |") >= 2 for row in rows)
    assert all(
        f"| {row} |" in done.stdout for row in ("upper colour", "bag yes/no", "everybody's full caption")
    )


def test_evaluate_prints_json_and_nothing_else_on_standard_output() -> None:
    done = CliRunner().invoke(cli.app, ["evaluate", "--identities", "2", "--seed", "9", "--json"])
    found = json.loads(done.stdout)
    assert 0 <= found["retrieval"]["look_alikes"]["plain_cls"]["three_together"]["mAP"] <= 1


def test_controls_prints_every_head_and_a_verdict() -> None:
    small = ["--seeds", "2", "--people", "4", "--identities", "8", "--steps", "2"]
    done = CliRunner().invoke(cli.app, ["controls", *small])
    assert done.exit_code == 0, done.output
    assert all(
        f"| {row} |" in done.stdout
        for row in ("plain CLS", "windows 4 + 8 + 16", "windows 8", "MLP on CLS", "MLP on the mean patch")
    )
    assert "The windows do not beat the controls" in done.stdout.splitlines()[-1]


def test_our_errors_are_one_line_and_exit_1(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["mswin-viz", "samples", str(tmp_path), "--identities", "0"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("OptionError:")


def test_doctor_says_what_is_installed_and_which_weights_are_here() -> None:
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert all(word in done.stdout for word in ("mswin-viz", "torch", "cpu", "embedded", "with its add-on"))


def test_doctor_opens_every_image_and_fails_on_a_broken_one(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=2, cameras=2, shots=1, seed=5)
    sound = CliRunner().invoke(cli.app, ["doctor", "--data", str(root)])
    assert sound.exit_code == 0, sound.output
    assert "no problem found; 12 image files were opened" in " ".join(sound.stdout.split())
    (root / "test" / "TI" / "000001_cam1_0_00.jpg").write_bytes(b"no picture")
    broken = CliRunner().invoke(cli.app, ["doctor", "--data", str(root)])
    assert broken.exit_code == 1
    assert "corrupt image" in broken.stdout


def test_train_writes_an_add_on_under_the_host_models_keys(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=8, cameras=2, shots=1, seed=5)
    file = tmp_path / "out" / "addon.pth"
    small = ["--steps", "2", "--scales", "4,8", "--validation", "0.25", "--cache", str(tmp_path / "tokens")]
    done = CliRunner().invoke(cli.app, ["train", "--data", str(root), "--out", str(file), *small])
    assert done.exit_code == 0, done.output
    assert "mAP of held-out identities" in done.output
    assert "has no training split" in done.output
    assert all(key.startswith("BACKBONE.clip_multi_scale_extractor.") for key in read_state_dict(file))
    assert mv.load_addon(file).scales == (4, 8)
    assert not list(file.parent.glob("*.state"))


def test_train_writes_one_add_on_for_each_modality_and_keeps_a_state_asked_for(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=4, cameras=2, shots=1, seed=5)
    small = ["--steps", "1", "--scales", "4", "--validation", "0", "--modality", "per", "--layout", "bare"]
    state = ["--state", str(tmp_path / "run.state")]
    done = CliRunner().invoke(
        cli.app, ["train", "--data", str(root), "--out", str(tmp_path / "a.safetensors"), *small, *state]
    )
    assert done.exit_code == 0, done.output
    for modality in ("RGB", "NI", "TI"):
        assert mv.load_addon(tmp_path / f"a_{modality}.safetensors").scales == (4,)
        assert (tmp_path / f"run_{modality}.state").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [(["--scales", "four"], "whole numbers"), (["--modality", "both"], "shared, per"), (["--layout", "onnx"], "bare")],
)  # fmt: skip
def test_train_refuses_what_it_cannot_do_before_it_encodes(tmp_path: Path, option, message) -> None:
    done = CliRunner().invoke(cli.app, ["train", "--out", str(tmp_path / "a.pth"), *option])
    assert isinstance(done.exception, mv.MswinVizError)
    assert message in str(done.exception)


def test_ablate_stores_what_it_prints_and_prints_what_is_stored(tmp_path: Path) -> None:
    stored = tmp_path / "deeper" / "ablation.json"
    small = ["--people", "4", "--identities", "8", "--steps", "1", "--seeds", "1", "--scales", "4,8"]
    rows = ["--rows", "windows_4_8,mlp_on_cls"]
    done = CliRunner().invoke(cli.app, ["ablate", *small, *rows, "--out", str(stored)])
    assert done.exit_code == 0, done.output
    assert all(f"| {row} |" in done.stdout for row in ("plain CLS", "windows 4 + 8", "control: MLP on CLS"))
    again = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored)])
    assert again.stdout == done.stdout[-len(again.stdout) :]
    brief = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored), "--brief"])
    assert "standard split: mAP" in brief.stdout
    as_json = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored), "--json"])
    assert json.loads(as_json.stdout) == json.loads(stored.read_text())


@pytest.mark.parametrize("command", [["train", "--out", "addon.pth"], ["ablate"]])
@pytest.mark.parametrize(("ends", "got"), [(("2", "1"), r"(2.0, 1.0)"), (("-5", "nan"), "(-5.0, nan)")])
def test_a_thermal_range_is_checked_before_any_work(command, ends, got) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--thermal-range", *ends])
    assert done.exit_code != 0
    assert "two finite numbers, the smaller one first, in the units of the files" in str(done.exception)
    assert got in str(done.exception)
