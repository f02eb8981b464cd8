"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli


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
