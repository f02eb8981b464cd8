"""Ctrl-C ends a command with one line and exit code 130, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mswin_viz import cli

ENVIRONMENT = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
INTERRUPTED = (130, -signal.SIGINT)
"""A shell reads 130 for both; the second is Python's where a library noted the interrupt."""


@pytest.mark.parametrize("module", ["typer", "numpy", "PIL.Image", "mswin_viz.cli.training", "filelock"])
def test_an_interrupt_while_the_libraries_are_imported_is_one_line(module: str) -> None:
    code = (
        "import sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "from mswin_viz.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert (ended.returncode in INTERRUPTED, ended.stderr, ended.stdout) == (True, "interrupted\n", "")


@pytest.mark.parametrize(
    ("line", "where", "said"),
    [
        ("doctor", "mswin_viz.model.environment.versions", "interrupted"),
        ("doctor", "typer.main.get_command", "interrupted"),
        ("samples new", "mswin_viz.data.synthetic.write_samples.render", "interrupted"),
        ("train --out a.pth", "mswin_viz.model.loading.load_model", "interrupted"),
        (
            "train --out a.pth",
            "mswin_viz.analysis.experiments.addon_training.fit_addons",
            "interrupted; the same command resumes from a.pth.state",
        ),
        ("evaluate", "mswin_viz.model.loading.load_model", "interrupted"),
        ("ablate --out a.json", "mswin_viz.model.loading.load_model", "interrupted"),
    ],
)
def test_an_interrupted_command_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys, line: str, where: str, said: str
) -> None:
    class World:
        tokens, pids = {"RGB": None}, type("Pids", (), {"tolist": staticmethod(lambda: [1])})

        def __len__(self) -> int:
            return 1

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    if "fit_addons" in where:
        monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: None)
        for step in ("check_scales", "_check_space"):
            monkeypatch.setattr(f"mswin_viz.cli.training.{step}", lambda *_: None)
        monkeypatch.setattr("mswin_viz.cli.training._training_world", lambda *_, **__: World())
    monkeypatch.setattr(where, interrupt)
    monkeypatch.setattr(sys, "argv", ["mswin-viz", *line.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().err) == (130, f"{said}\n")
    assert not [
        path for path in tmp_path.rglob("*") if path.suffix in (".pth", ".json", ".unfinished", ".jpg")
    ]


@pytest.mark.torture
def test_a_training_that_is_interrupted_goes_on_and_is_as_good(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mswin_viz.cli",
        "train",
        "--people",
        "8",
        "--scales",
        "4",
        "--out",
        "a.pth",
    ]
    options = ["--steps", "200", "--patience", "200", "--validation", "0"]
    with subprocess.Popen(
        [*command, *options], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as program:  # fmt: skip
        while "samples of" not in program.stdout.readline():
            pass
        while "/200" not in program.stderr.read(200):
            pass
        os.killpg(program.pid, signal.SIGINT)
        said = program.communicate()[1]
    assert program.returncode in INTERRUPTED
    assert "Traceback" not in said
    assert said.endswith("interrupted; the same command resumes from a.pth.state\n")
    again = subprocess.run(
        [*command, *options], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"a.pth"}
