"""Where something is to be written is checked before the work, in one line that names it."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import pytest

from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.errors import MswinVizError, OptionError, OutputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with a folder, a file, and links that lead astray."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    for link, to in (("one", "two"), ("two", "one"), ("dangling", "new/x"), ("astray", "file/x")):
        (tmp_path / link).symlink_to(to)
    return tmp_path


NOWHERE = {
    "": "it is empty",
    "file/x": "on the way to file/x, is a file",
    "file/x/y/z": "on the way to file/x/y/z, is a file",
    "astray": "on the way to astray, is a file",
    "one": "its links form a loop",
    "one/x": "on the way to one/x, is a file",
    "a\0b": "embedded null",
    "x" * 300: "File name too long",
    "\u00e4" * 200: "File name too long",
    f"new/{'x' * 300}/y": "with a name too long",
    "x/" * 3000: "File name too long",
    "~no_such_user/x": "there is no home folder ~no_such_user; to name a file that begins with ~, write ./~no_such_user",
    "~no_such_user": "there is no home folder",
    "/proc/x": "got /proc/x, but /proc is not writable",
    "/proc/self/x/y": "is not writable",
}


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("check", [output_file, output_folder])
def test_a_place_that_cannot_be_is_refused_in_one_line(place: Path, path: str, check) -> None:
    if path.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    with pytest.raises(OutputError) as refused:
        check(path, "--out")
    assert NOWHERE[path] in str(refused.value)
    assert str(refused.value).startswith("--out")
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 600
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("folder", "folder is a folder; add a file name"),
        (".", "a folder"),
        ("..", "a folder"),
        ("/", "a folder"),
        ("folder/", "a folder"),
        ("/dev/full", "a device or pipe"),
        ("/dev/zero", "a device or pipe"),
        ("pipe", "a device or pipe"),
    ],
)
def test_what_is_no_file_is_refused_as_one(place: Path, path: str, words: str) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(OutputError, match=words):
        output_file(path)


@pytest.mark.parametrize("path", ["file", "/dev/null", "pipe"])
def test_what_is_no_folder_is_refused_as_one(place: Path, path: str) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(OutputError, match=r"must be a folder: .* is a file"):
        output_folder(path)


@pytest.mark.parametrize("path", ["file", "./file", "folder/../file", "hard", "soft", "~/file"])
def test_an_input_is_not_replaced_however_it_is_spelled(
    place: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place))
    (place / "soft").symlink_to("file")
    os.link(place / "file", place / "hard")
    with pytest.raises(OutputError, match="must not replace what is read"):
        output_file(path, inputs=["embedded", place / "file"])
    with pytest.raises(OutputError, match="must not replace what is read"):
        output_folder("folder", inputs=[place / "folder"])


@pytest.mark.parametrize(
    "path", ["x", "new/deep/x", "file", "dangling", "caf\udce9", "/dev/null", "x" * 255, Path("x")]
)
def test_a_place_that_can_be_is_taken_and_nothing_is_made(place: Path, path: str | Path) -> None:
    before = sorted(place.iterdir())
    assert output_file(path) == Path(path)
    assert sorted(place.iterdir()) == before


def test_a_home_folder_is_put_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert output_file("~/x") == place / "x"
    assert output_folder("~") == place


@pytest.mark.parametrize("path", [None, 5, b"x", ["x"]])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(OptionError, match="path must be a path: got a"):
        output_file(path)


def test_too_little_space_is_told_with_both_numbers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage(10_000, 8_800, 1_200))
    assert output_file("x", n_bytes=1_200)
    for check in (output_file, output_folder):
        with pytest.raises(OutputError, match=r"needs 1,201 bytes: .* has 1,200 free; free some"):
            check("new/x", n_bytes=1_201)


def test_a_file_that_is_read_only_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(OutputError, match="file exists and is read-only"):
        output_file("file")


def test_a_read_only_file_system_is_named_with_its_reason(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**place: Path) -> None:
        raise OSError(30, "Read-only file system", str(place["dir"]))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for check in (output_file, output_folder):
        with pytest.raises(OutputError, match=r"is not writable \(Read-only file system\); choose another"):
            check("new/x")


@pytest.mark.parametrize("path", ["x.txt", "x", "x.json.gz", ".json"])
def test_another_ending_is_refused(place: Path, path: str) -> None:
    with pytest.raises(OptionError, match=r"must end in \.json or \.yaml: got .*; change the ending"):
        output_file(path, endings=[".json", ".yaml"])
    assert issubclass(OptionError, MswinVizError)
