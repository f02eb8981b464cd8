"""What every command takes and shows: an example, ``--json``, ``--quiet``, ``--verbose`` and ``--debug``."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from test_documents import parsed
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.cli.app import COMMANDS
from mswin_viz.data.progress import hidden_bars, progress_bar

GROUP = typer.main.get_command(cli.app)
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "command_line.md"
SHARED = ("--json", "--quiet", "--verbose", "--debug")


def run(line: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    done = CliRunner().invoke(cli.app, shlex.split(line))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("name", GROUP.commands)
def test_the_help_of_every_command_has_an_example_that_the_command_takes(name: str) -> None:
    _, words, _ = run(f"{name} --help")
    example = " ".join(words.partition("Example: ")[2].split())
    assert example == COMMANDS[name][1]
    program, *arguments = shlex.split(example)
    assert (program, arguments[0]) == ("mswin-viz", name)
    parsed(arguments)


@pytest.mark.parametrize("name", GROUP.commands)
def test_every_command_takes_the_shared_options(name: str) -> None:
    options = {text for parameter in GROUP.commands[name].params for text in parameter.opts}
    assert set(SHARED) <= options


def test_the_page_lists_every_command_with_its_example_and_what_it_does() -> None:
    rows = re.findall(r"^## `(.+)`\n\n(.+)\n\n```console\n(.+)\n```$", PAGE.read_text(), re.MULTILINE)
    assert {name: (words, example) for name, words, example in rows} == {
        name: (GROUP.commands[name].help.strip(), example) for name, (_, example) in COMMANDS.items()
    }


def test_the_page_has_the_exit_codes_and_every_shared_option() -> None:
    page = PAGE.read_text()
    codes = re.findall(r"(\d+), (?:done|an error|a wrong|interrupted)", GROUP.epilog)
    assert len(codes) == 4
    assert [code for code in codes if f"| {code} |" not in page] == []
    assert [option for option in SHARED if f"`{option}`" not in page] == []


@pytest.mark.parametrize("line", ["--json samples {} --identities 1", "samples {} --identities 1 --json"])
def test_json_is_all_of_standard_output_before_the_command_and_behind_it(line: str, tmp_path: Path) -> None:
    _, out, err = run(line.format(tmp_path))
    found = json.loads(out)
    assert (found["shots"], found["sheet"]) == (8, None)
    assert len(mv.samples(found["folder"])) == 8
    assert "8 shots in three modalities" in err


def test_quiet_says_nothing_of_what_goes_on(tmp_path: Path) -> None:
    assert run(f"samples {tmp_path} --identities 1 --quiet") == (0, "", "")


def test_quiet_and_json_give_the_document_alone(tmp_path: Path) -> None:
    _, out, err = run(f"-q samples {tmp_path} --identities 1 --json")
    assert json.loads(out)["shots"] == 8
    assert err == ""


def test_options_of_one_command_are_forgotten_by_the_next(tmp_path: Path) -> None:
    run(f"samples {tmp_path} --identities 1 --quiet")
    assert "8 shots" in run(f"samples {tmp_path} --identities 1")[1]


def test_verbose_says_the_settings_and_the_time_on_standard_error(tmp_path: Path) -> None:
    plain = run(f"samples {tmp_path} --identities 1")[1]
    _, out, err = run(f"samples {tmp_path} --identities 1 --verbose")
    assert out == plain
    assert "identities: 1\n" in err
    assert re.search(r"^samples took \d+\.\d s$", err, re.MULTILINE)


def test_quiet_and_verbose_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mv.MswinVizError, match="--quiet and --verbose contradict each other"):
        run(f"--quiet samples {tmp_path / 'new'} --verbose")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("line", ["--debug samples {} --seed -1", "samples {} --debug --seed -1"])
def test_debug_shows_the_traceback_in_place_of_the_line(line: str, tmp_path: Path) -> None:
    code, out, err = run(line.format(tmp_path))
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last)")
    assert "OptionError: --seed must be at least 0" in err.splitlines()[-1]


def test_an_error_leaves_standard_output_empty_under_json(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["mswin-viz", "samples", str(tmp_path), "--seed", "-1", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_hidden_bar_counts_and_shows_nothing(capsys) -> None:
    with hidden_bars():
        assert list(progress_bar(range(3), desc="hidden")) == [0, 1, 2]
    assert list(progress_bar(range(3), desc="shown")) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "shown" in said
    assert "hidden" not in said


def test_doctor_gives_its_tables_as_json() -> None:
    code, out, _ = run("doctor --json")
    found = json.loads(out)
    assert (code, found["sound"], found["missing"], found["data"]) == (0, True, {}, None)
    assert found["versions"]["mswin-viz"] == mv.__version__
    assert found["kernel"]["kernel python3"]
    assert found["weights"]["embedded"].startswith("part of the package")


def test_doctor_says_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mswin_viz.model.environment.jupyter_path", lambda _: [])
    monkeypatch.setenv("CHROMIUM", "/nosuch")
    code, out, _ = run("doctor --json")
    found = json.loads(out)
    assert (code, found["sound"]) == (1, False)
    assert found["missing"]["anywidget in JupyterLab"] == "MISSING; pip install --force-reinstall anywidget"
    assert found["browser tests"]["Chromium"].startswith("not found; playwright install chromium")


def test_an_optional_package_that_is_not_installed_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['nosuch-package>=2; extra == "test"', "numpy>=1"]
    monkeypatch.setattr("mswin_viz.model.environment.requires", lambda _: lines)
    found = json.loads(run("doctor --json")[1])
    assert found["optional"] == {"nosuch-package": "not installed; pip install 'mswin-viz[test]'"}
    assert found["sound"]


def test_help_loads_neither_torch_nor_matplotlib_nor_tqdm() -> None:
    code = (
        "import sys; from mswin_viz.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'ipywidgets', 'pandas', 'tqdm'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"
