"""The pages of measurements are what the benchmarks' JSON says: no figure is typed."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS, FOLDER = ROOT / "tests" / "benchmarks", ROOT / "docs" / "measurements"


@pytest.fixture(scope="module")
def of_benchmarks() -> dict[str, ModuleType]:
    """The modules that write pages; what they import stands beside them."""
    before, sys.path[:0] = list(sys.path), [str(BENCHMARKS), str(BENCHMARKS / "peers")]
    try:
        return {name: importlib.import_module(name) for name in ("measured_pages", "report", "scatter_page")}
    finally:
        sys.path[:] = before


def test_the_page_of_peers_is_made_from_its_json(of_benchmarks: dict[str, ModuleType]) -> None:
    rows = json.loads((FOLDER / "peers.json").read_text("utf-8"))["rows"]
    assert (FOLDER / "peers.md").read_text("utf-8") == of_benchmarks["report"].page(rows)


def test_every_other_page_is_made_from_its_json(of_benchmarks: dict[str, ModuleType]) -> None:
    made = of_benchmarks["measured_pages"].pages()
    assert set(made) == {"index.md", "gpu.md", "timings.md", "scale.md", "daily_work.md", "faults.md"}
    assert {name: (FOLDER / name).read_text("utf-8") for name in made} == made


def test_the_page_on_scattered_maps_is_made_from_its_json(of_benchmarks: dict[str, ModuleType]) -> None:
    data, page = json.loads((FOLDER / "scatter.json").read_text("utf-8")), of_benchmarks["scatter_page"]
    assert page.PAGE.read_text("utf-8") == page.scatter_page(data)


def test_a_timing_that_is_measured_again_changes_its_row_alone(
    of_benchmarks: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads((FOLDER / "timings.json").read_text("utf-8"))["rows"]
    monkeypatch.setattr(of_benchmarks["measured_pages"], "machine", lambda: rows["frozen"]["machine"])
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    before = (tmp_path / "timings.md").read_text("utf-8").splitlines()
    of_benchmarks["measured_pages"].note_timing("frozen", "scheme 1", 4.2499, tmp_path)
    after = (tmp_path / "timings.md").read_text("utf-8").splitlines()
    changed = [line for line, old in zip(after, before, strict=True) if line != old]
    assert len(changed) == 1
    assert "scheme 1: 4.25, scheme 2: 3.3" in changed[0]


def test_a_run_on_a_gpu_is_a_page(of_benchmarks: dict[str, ModuleType], tmp_path: Path) -> None:
    rows = {"a rate": {"cpu": 12.0, "cuda": 4_321.4}, "ratios": {"cpu": [1.0, 2.5], "cuda": [3, 4]}}
    columns = {"cpu": "CPU, 2 threads", "cuda": "a card"}
    of_benchmarks["measured_pages"].write_gpu(
        {"columns": columns, "rounds": 5, "rows": rows, "cuda_tests": "60 passed"}, tmp_path
    )
    page = (tmp_path / "gpu.md").read_text("utf-8")
    assert (
        "| | CPU, 2 threads | a card |\n|---|---|---|\n| a rate | 12 | 4,321 |\n| ratios | 1, 2.5 | 3, 4 |"
        in page
    )
    assert "60 passed" in page
