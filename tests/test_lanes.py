"""A run of the tests says what each lane did."""

from __future__ import annotations

import os
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
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
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
