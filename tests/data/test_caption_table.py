"""Captions of a data set: whatever is wrong with their table, the samples load."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.trees import each, grow

import mswin_viz as mv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = each(("RGB", "NI", "TI"), "test/{m}/000001_cam1_0_00.jpg", "test/{m}/000002_cam1_0_00.jpg")
    return grow(tmp_path / "RGBNT201", *names)


def captions(root: Path, content: bytes | str, name: str = "attributes.csv") -> None:
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("heading", ["pid,caption", "PID, Caption", "person_id,text", "hat,caption,identity"])
@pytest.mark.parametrize("mark", [",", ";"])
def test_captions_are_read_however_the_table_is_saved(
    root: Path, encoding: str, heading: str, mark: str
) -> None:
    row = "none,a café,1.0" if heading.startswith("hat") else "000001,a café"
    captions(root, f"{heading}\n{row}\n".replace(",", mark).encode(encoding))
    assert [sample.caption for sample in mv.samples(root)] == ["a café", None]


@pytest.mark.parametrize("inside", ["test", "test/NI", ".."])
def test_captions_are_found_from_every_level(root: Path, inside: str) -> None:
    captions(root, "pid,caption\n1,a person\n")
    assert mv.scan(root / inside).samples[0].caption == "a person"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"pid,caption\n1,M\xfc\xfc\xfc\n", "attributes.csv cannot be determined"),
        (b"pid,caption\n1,\x00\n", "attributes.csv cannot be determined"),
        (
            "image_name,hair,age\nx.jpg,short,young\n",
            "no column pid and caption among 'image_name', 'hair', 'age'",
        ),
        ("pid,hair\n1,short\n", "no column caption among 'pid', 'hair'"),
        ("", "no column pid and caption among nothing"),
        ("pid,PID,caption\n1,1,a\n", "both mean pid"),
        ("pid,caption\none,a person\n", "line 2: pid must be a whole number, got 'one'; left out"),
        ("pid,caption\n-7,a\n", "line 2: pid must be at least 0, or -1 for unknown, got '-7'; left out"),
        (
            "person_id,text\n1_0,a\n",
            "line 2: pid (column 'person_id') must be a whole number, got '1_0'; left out",
        ),
        ('pid,caption\n1,"a\n2,b\n', "a quote in line 2 is never closed"),
        (
            'pid,caption\n1,"a" b\n',
            "line 2: a quote that is opened in line 2 is closed within a value; left out",
        ),
        ("pid,caption\n1,a person\n1,another\n", "line 3: identity 1 has a caption already; left out"),
    ],
)
def test_a_table_that_cannot_be_used_is_reported_and_the_samples_load(
    root: Path, content, reason: str
) -> None:
    captions(root, content)
    with pytest.warns(UserWarning, match="captions not read"):
        assert len(mv.samples(root)) == 2
    (problem,) = mv.scan(root).problems
    assert (problem.kind, problem.path.name) == ("captions not read", "attributes.csv")
    assert reason in problem.detail


def test_rows_that_can_be_read_are_kept_beside_those_that_cannot(root: Path) -> None:
    captions(root, "pid,caption\none,a\n2,b\n,c\n-1,d\n")
    report = mv.scan(root)
    assert [sample.caption for sample in report.samples] == [None, "b"]
    assert report.counts == {"captions not read": 1}


def test_a_table_that_is_a_folder_stops_nothing(root: Path) -> None:
    (root / "attributes.csv").mkdir()
    assert len(mv.samples(root)) == 2
