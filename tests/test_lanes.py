"""A run of the tests says what each lane did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.lanes import LANES, lane_of

TESTS = Path(__file__).resolve().parent
INNER = """
import pytest

def test_one(): pass
@pytest.mark.skip(reason="not here")
def test_two(): pass
@pytest.mark.browser
def test_three(): assert 1 == 2
@pytest.fixture
def broken(): raise OSError("no room")
@pytest.mark.browser
def test_four(broken): pass
@pytest.mark.node
def test_five(): pass
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest over the tests above, with this project's plug-in."""
    (folder / "test_inner.py").write_text(INNER)
    (folder / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\npytest_plugins = ['support.lanes']"
    )
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    browser: one\n    node: one\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", *options],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "LANES_FILE": str(folder / "lanes.tsv")},
        check=False,
    )


def test_the_table_counts_each_lane_and_names_what_failed_below_it(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1, done.stderr
    rows = [line.split() for line in done.stdout.partition("lanes;")[2].splitlines()]
    assert [row[:4] for row in rows if row and row[0] in LANES] == [
        ["unit", "1", "0", "1"],
        ["node", "1", "0", "0"],
        ["browser", "0", "2", "0"],
    ]
    assert ["failed:", "test_inner.py::test_four"] in rows
    written = [line.split("\t")[:4] for line in (tmp_path / "lanes.tsv").read_text().splitlines()]
    assert written == [["unit", "1", "0", "1"], ["node", "1", "0", "0"], ["browser", "0", "2", "0"]]


def test_processes_count_as_one_run(tmp_path: Path) -> None:
    run(tmp_path, "--numprocesses", "2")
    counts = [line.split("\t")[:4] for line in (tmp_path / "lanes.tsv").read_text().splitlines()]
    assert counts == [["unit", "1", "0", "1"], ["node", "1", "0", "0"], ["browser", "0", "2", "0"]]


def test_one_lane_alone_is_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--lane", "node")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 4 deselected" in done.stdout


@pytest.mark.parametrize(
    ("nodeid", "marks", "lane"),
    [
        ("notebooks/a.ipynb::Cell 0", set(), "notebooks"),
        ("tests/a.py::test_a", {"parametrize"}, "unit"),
        ("tests/a.py::test_a", {"browser", "parametrize"}, "browser"),
        ("tests/a.py::test_a", {"torture", "browser"}, "torture"),
    ],
)
def test_the_lane_of_a_test_follows_from_its_file_and_marks(nodeid: str, marks: set[str], lane: str) -> None:
    assert lane_of(nodeid, marks) == lane


# ---- .ci/run --------------------------------------------------------------------------------------

MAKE = """#!/bin/sh
case "$1" in
  lint) echo "a line is too long"; exit {lint};;
  smoke) printf 'smoke\\t1\\t0\\t0\\t60\\n' >> "$LANES_FILE";;
  test) printf 'unit\\t7\\t0\\t2\\t9\\nbrowser\\t3\\t{failed}\\t0\\t9\\n' >> "$LANES_FILE"; exit {failed};;
esac
"""


@pytest.mark.skipif(os.name == "nt", reason="a script for bash")
@pytest.mark.parametrize(("lint", "failed"), [(0, 0), (1, 0), (0, 1), (2, 1)])
def test_ci_runs_every_lane_whatever_the_others_say(tmp_path: Path, lint: int, failed: int) -> None:
    programs = tmp_path / "bin"
    for folder in (programs, tmp_path / ".ci"):
        folder.mkdir()
    shutil.copy(TESTS.parent / ".ci" / "run", tmp_path / ".ci")
    for name in ("node", "npm", "chromium"):
        (programs / name).write_text("#!/bin/sh\n")
    (programs / "make").write_text(MAKE.format(lint=lint, failed=failed))
    for program in programs.iterdir():
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", ".ci/run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == int(bool(lint or failed))
    headings = [line.strip("= ") for line in done.stdout.splitlines() if line.startswith("=====")]
    assert headings == ["install", "tests", "lint-and-types", "smoke", "docs", "all lanes"]
    lines = done.stdout.partition("all lanes")[2].splitlines()
    results = {line.split()[0]: line.split()[1] for line in lines if line.endswith(" s")}
    assert results == {
        "lint-and-types": "FAILED" if lint else "passed",
        "smoke": "passed",
        "docs": "passed",
        "tests": "FAILED" if failed else "passed",
    }
    assert lines[-1] == f"11 passed, {failed} failed, 2 skipped"
    assert "a line is too long" in done.stdout
