"""The command line."""

from __future__ import annotations

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


def test_evaluate_prints_plain_enhanced_and_chance() -> None:
    done = CliRunner().invoke(cli.app, ["evaluate", "--identities", "2", "--seed", "9"])
    assert done.exit_code == 0, done.output
    assert all(
        row in done.output for row in ("| plain CLS |", "| enhanced CLS |", "| chance |", "| upper colour |")
    )


def test_our_errors_are_one_line_and_exit_1(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["mswin-viz", "samples", str(tmp_path), "--identities", "0"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("OptionError:")
