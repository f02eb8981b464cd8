"""What cannot be read below a folder is left out by name, and everything else is read."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.errors import DataError

SIZE = (5, 9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three pictures in two folders."""
    for name in ("set/a/1.png", "set/a/2.png", "set/b/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE).save(tmp_path / name)
    return tmp_path / "set"


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """The rights of a user who owns nothing: root may read everything."""
    if os.geteuid() == 0:
        for folder in (tmp_path, *tmp_path.parents):
            mode = folder.stat().st_mode & 0o777
            if mode & 0o700 and not mode & 0o001:
                folder.chmod(mode | 0o055)
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def names(report: mv.DataReport) -> list[str]:
    return [path.name for sample in report.samples for path in sample.images.values()]


def told(root: Path) -> tuple[mv.DataReport, list[str]]:
    """The report, and what `samples` warns of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert names(mv.scan(root)) == [path.name for one in mv.samples(root) for path in one.images.values()]
    return mv.scan(root), [str(one.message) for one in said]


ALL = ["1.png", "2.png", "3.png"]


def test_a_folder_without_permission_is_left_out_by_name(root, request):
    lost = root / "lost+found"
    lost.mkdir()
    (lost / "4.png").write_bytes((root / "a" / "1.png").read_bytes())
    lost.chmod(0)
    request.getfixturevalue("as_nobody")
    report, said = told(root)
    assert names(report) == ALL
    assert [(one.kind, one.path, one.detail) for one in report.problems] == [
        ("folder cannot be read", lost, "Permission denied; left out")
    ]
    assert "lost+found" in said[0]


def test_a_folder_that_may_be_listed_but_not_entered_leaves_out_each_link_by_name(root, request):
    shut = root / "shut"
    shut.mkdir()
    (shut / "4.png").write_bytes((root / "a" / "1.png").read_bytes())
    (shut / "in").mkdir()
    (root / "a" / "5.png").symlink_to(shut / "4.png")
    (root / "a" / "c").symlink_to(shut / "in")
    shut.chmod(0o444)
    request.getfixturevalue("as_nobody")
    report, _ = told(root)
    assert set(ALL) <= set(names(report))
    assert {one.path.name for one in report.problems} >= {"5.png", "c"}


def test_a_root_without_permission_is_refused_in_words(root, request):
    root.parent.chmod(0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(DataError, match="existing folder or image"):
        mv.scan(root)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
)
def test_a_folder_that_fails_while_it_is_listed_is_left_out_by_name(root, error, monkeypatch):
    listed = os.scandir

    def failing(path):
        if Path(path).name == "b":
            raise error
        return listed(path)

    monkeypatch.setattr(os, "scandir", failing)
    report, _ = told(root)
    assert names(report) == ALL[:2]
    assert [(one.kind, one.path) for one in report.problems] == [("folder cannot be read", root / "b")]


def test_a_folder_that_vanishes_meanwhile_is_left_out_by_name(root, monkeypatch):
    listed = os.scandir

    def vanishing(path):
        if Path(path).name == "b":
            (root / "b" / "3.png").unlink(missing_ok=True)
            (root / "b").rmdir() if (root / "b").exists() else None
        return listed(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    report = mv.scan(root)
    assert names(report) == ALL[:2]
    assert [one.path for one in report.problems] == [root / "b"]


@pytest.mark.parametrize("target", ["..", ".", "../..", "a", "b", "../set", "/"])
def test_links_that_go_round_end_and_bring_in_nothing(root, target):
    for folder in (root, root / "a"):
        (folder / "round").symlink_to(target)
    (root.parent / "beside.png").write_bytes((root / "a" / "1.png").read_bytes())
    report, _ = told(root)
    assert sorted(names(report)) == ALL
    n_passed = sum(report.left_out.values()) + len(report.problems)
    assert n_passed == 2


@pytest.mark.parametrize(("one", "other"), [("x.png", "x.png"), ("x.png", "y.png"), ("x", "x")])
def test_a_link_to_itself_is_left_out_by_name_and_its_folder_is_read(root, one, other):
    (root / "a" / one).symlink_to(other)
    if one != other:
        (root / "a" / other).symlink_to(one)
    report, _ = told(root)
    assert names(report) == ALL
    assert {one.path for one in report.problems} == {root / "a" / one, root / "a" / other}
    assert {one.kind for one in report.problems} == {"broken link"}


def test_a_link_out_of_the_set_to_pictures_elsewhere_is_followed(root, tmp_path):
    (tmp_path / "store").mkdir()
    Image.new("L", SIZE).save(tmp_path / "store" / "4.png")
    (root / "c").symlink_to(tmp_path / "store")
    report, _ = told(root)
    assert names(report) == [*ALL, "4.png"]
    assert report.problems == ()


def test_pipes_sockets_and_devices_named_as_pictures_are_left_out_by_name(root):
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "device.jpg").symlink_to("/dev/zero")
    where = os.getcwd()
    os.chdir(root)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket.png")
    finally:
        os.chdir(where)
    os.mkfifo(root / "a" / "pipe")
    report, _ = told(root)
    assert names(report) == ALL
    assert {(one.kind, one.path.name) for one in report.problems} == {
        ("not a regular file", name) for name in ("pipe.png", "device.jpg", "socket.png")
    }
    assert report.left_out == {"neither file nor folder": 1}


def test_a_chain_of_folders_too_deep_for_a_path_ends_by_name(root):
    where = os.getcwd()
    os.chdir(root)
    try:
        for _ in range(30):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    finally:
        os.chdir(where)
    report, _ = told(root)
    assert names(report) == ALL
    assert [one.kind for one in report.problems] == ["folder cannot be read"]
    assert "too long" in report.problems[0].detail


def test_a_thousand_folders_in_one_another_are_read(tmp_path):
    folder = tmp_path / Path(*"x" * 900)
    folder.mkdir(parents=True)
    Image.new("L", SIZE).save(folder / "1.png")
    assert names(mv.scan(tmp_path)) == ["1.png"]


def test_names_that_are_no_valid_text_are_read_and_printed(root):
    name = b"caf\xe9\n.png"
    with open(os.fsencode(root / "a") + b"/" + name, "wb") as file:
        file.write((root / "a" / "1.png").read_bytes())
    (root / os.fsdecode(b"dir\xff")).mkdir()
    (root / os.fsdecode(b"dir\xff") / "broken.png").write_bytes(b"nothing")
    report, _ = told(root)
    assert len(names(report)) == 5
    checked = mv.verify(report, progress=False)
    assert len(checked.samples) == 4
    str(checked).encode("utf-8")
