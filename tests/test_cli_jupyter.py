"""``mswin-viz lab`` and ``demo``: what JupyterLab is started with, and the notebook that is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from ipywidgets import Widget
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.cli import jupyter


class Server:
    """A JupyterLab that has ended already."""

    started: list[list[str]]
    returncode = 0

    def __init__(self, command: list[str]) -> None:
        self.started.append(command[1:])

    def poll(self) -> int:
        return self.returncode


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The arguments of each JupyterLab that a command would start (none is started); the current folder is empty."""
    monkeypatch.setattr(Server, "started", [], raising=False)
    monkeypatch.setattr("subprocess.Popen", Server)
    monkeypatch.setattr(jupyter, "_jupyter_lab", lambda: "jupyter-lab")
    monkeypatch.chdir(tmp_path)
    return Server.started


def run(line: str) -> str:
    done = CliRunner().invoke(cli.app, line.split())
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_demo_writes_a_notebook_says_where_and_opens_it(started: list, tmp_path: Path) -> None:
    written = tmp_path / "mswin_viz_demo" / "mswin_viz_demo.ipynb"
    assert run("demo") == f"wrote {written}; run its cell with Shift+Enter\n"
    assert started == [[str(written)]]
    nbformat.validate(nbformat.read(written, as_version=4))


def test_demo_never_writes_over_a_notebook_that_is_there(started: list, tmp_path: Path) -> None:
    run("demo here")
    (tmp_path / "here" / "mswin_viz_demo.ipynb").write_text("changed")
    run("demo here")
    assert (tmp_path / "here" / "mswin_viz_demo.ipynb").read_text() == "changed"
    assert started[-1] == [str(tmp_path / "here" / "mswin_viz_demo_2.ipynb")]


def test_the_notebook_of_demo_shows_a_scale_explorer(started: list, tmp_path: Path) -> None:
    run("demo")
    notebook = nbformat.read(tmp_path / "mswin_viz_demo" / "mswin_viz_demo.ipynb", as_version=4)
    (code,) = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    *statements, shown = code.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)
    try:
        assert isinstance(eval(shown, names), mv.ScaleExplorer)
    finally:
        Widget.close_all()


@pytest.mark.parametrize("line", ["demo --no-browser --port 9999", "demo there --no-browser --port 9999"])
def test_other_options_of_demo_go_to_jupyterlab(line: str, started: list) -> None:
    run(line)
    assert started[0][1:] == ["--no-browser", "--port", "9999"]


def test_other_options_of_lab_go_to_jupyterlab(started: list, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    run("lab a.ipynb --no-browser --ServerApp.ip=127.0.0.1")
    run("lab --no-browser --port=9999")
    assert started == [
        ["a.ipynb", "--no-browser", "--ServerApp.ip=127.0.0.1"],
        ["--no-browser", "--port=9999"],
    ]


def test_demo_gives_the_place_of_its_notebook_as_json(started: list, tmp_path: Path) -> None:
    found = json.loads(run("demo --json"))
    assert found == {"notebook": str(tmp_path / "mswin_viz_demo" / "mswin_viz_demo.ipynb"), "exit_code": 0}


def test_a_command_ends_as_jupyterlab_does(started: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "returncode", -15)
    assert CliRunner().invoke(cli.app, ["lab"]).exit_code == 128 + 15


def test_demo_without_jupyterlab_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    done = CliRunner().invoke(cli.app, ["demo"])
    assert "JupyterLab must be installed" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_jupyterlab_of_this_python_comes_first() -> None:
    assert Path(jupyter._jupyter_lab()).parent == Path(sys.executable).parent
