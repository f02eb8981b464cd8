"""A CSV table of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "a_thermal.png", "b.png"):
        Image.new("RGB", (4, 8)).save(tmp_path / name)
    return tmp_path


def table(folder: Path, *rows: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(["RGB,TI,pid,camid,scene,split,caption,weather", *rows]), encoding="utf-8")
    return path


def test_a_row_is_a_sample_with_all_that_is_known_of_it(folder: Path) -> None:
    table(folder, "a.png,a_thermal.png,000012,3,7,query,a person,rain", "b.png,,,,,,,")
    first, second = mv.samples(folder)
    assert (first.pid, first.camid, first.scene, first.split, first.caption) == (
        12,
        3,
        7,
        "query",
        "a person",
    )
    assert first.images == {"RGB": folder / "a.png", "TI": folder / "a_thermal.png"}
    assert (second.pid, second.camid, second.scene, second.split, second.caption) == (
        -1,
        -1,
        None,
        None,
        None,
    )


def test_the_table_itself_may_be_pointed_to(folder: Path) -> None:
    assert mv.scan(table(folder, "a.png,,1,1,,,,")).layout == "manifest"


def test_rows_that_cannot_be_used_are_reported_by_line_and_the_rest_loads(folder: Path) -> None:
    table(
        folder,
        "a.png,gone.png,1,1,,train,,",
        "b.png,,one,1,,,,",
        "b.png,,1,1,,holdout,,",
        "gone.png,,2,1,,,,",
        ",,3,1,,,,",
        "a.png,,1,1,,,,",
    )
    report = mv.scan(folder)
    assert [set(s.images) for s in report.samples] == [{"RGB"}]
    assert report.counts == {"row does not parse": 4, "missing modality": 1, "duplicate": 1}
    said = " ".join(problem.detail for problem in report.problems)
    assert all(f"line {number}" in said for number in (2, 3, 4, 5, 6, 7))


@pytest.mark.parametrize("content", [b"image,pid\na.png,1\n", b"", b"RGB\n\xff\xfe.png\n"])
def test_a_table_without_modalities_or_in_no_known_encoding_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.csv"):
        mv.samples(folder)
