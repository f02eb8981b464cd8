"""Paths as they are typed and pasted: taken where something is meant that is there, refused in words where not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.data.storage.typed_paths import existing_path, typed_path
from mswin_viz.errors import DataError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red top, é.png"
    Image.new("RGB", (20, 30), "red").save(path)
    return path


PASTED = {
    "as it is": "{path}",
    "blanks around": "  {path}\t",
    "a line's end": "{path}\n",
    "a line's end of Windows": "{path}\r\n",
    "single quotes": "'{path}'",
    "double quotes": '"{path}"',
    "quotes and blanks": ' "{path}" \n',
    "blanks within quotes": "' {path} '",
    "two pairs of quotes": "\"'{path}'\"",
    "curly quotes": "\u201c{path}\u201d",
    "single curly quotes": "\u2018{path}\u2019",
    "a byte order mark": "\ufeff{path}",
    "a zero-width space": "{path}\u200b",
    "an address": "file://{url}",
    "an address of this computer": "file://localhost{url}",
    "an address with one slash": "file:{url}",
    "an address in capitals": "FILE://{url}",
    "an address that is not escaped": "file://{path}",
    "a quoted address": "'file://{url}'",
    "escaped as a terminal does": "{escaped}",
}


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED)
def test_a_pasted_path_is_taken(picture: Path, pasted: str) -> None:
    url = picture.as_uri().removeprefix("file://")
    assert "%20" in url
    escaped = str(picture).replace(" ", "\\ ")
    assert typed_path(pasted.format(path=picture, url=url, escaped=escaped)) == picture


@pytest.mark.parametrize(
    "name", ["'quoted'.png", '"', "file:a.png", " blank ", "a\\ b.png", "~nosuchuser", "100%20.png"]
)
def test_a_name_that_is_there_is_taken_as_it_is(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"x")
    assert typed_path(name) == Path(name)
    assert existing_path(typed_path(name)) == Path(name)


def test_an_address_with_a_percent_sign_in_the_name_itself_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "100%20.png"
    file.write_bytes(b"x")
    assert typed_path(f"file://{file}") == file
    assert typed_path(file.as_uri()) == file


@pytest.mark.parametrize("text", ["''", '""', " '' ", "'\"\"'", "file://", "file:", "\u200b"])
def test_quotes_and_addresses_without_a_path_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="a path must name a folder or file"):
        typed_path(text)


@pytest.mark.parametrize("text", ["file://server/share/a.png", "file://10.0.0.1/a.png", "file://[half/a.png"])
def test_an_address_of_another_computer_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"only files on this computer|is not the address of a file"):
        typed_path(text)


def fifo(folder: Path) -> str:
    os.mkfifo(folder / "fifo.jpg")
    return str(folder / "fifo.jpg")


def circle(folder: Path) -> str:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return str(folder / "a")


def below_a_file(folder: Path) -> str:
    (folder / "file").write_text("")
    return str(folder / "file" / "x.png")


REFUSED = {
    "nothing there": (lambda _: "nowhere/at/all", "there is nothing at this path"),
    "a name of 300 bytes": (lambda folder: str(folder / ("x" * 300)), "longer than the file system allows"),
    "a name of 300 bytes in 100 characters": (lambda folder: str(folder / ("\u20ac" * 100)), "longer than"),
    "a path of 100,000 bytes": (lambda _: "x/" * 50_000, "longer than the file system allows"),
    "an unknown user": (lambda _: "~nosuchuser", "the home folder of ~nosuchuser is not known here"),
    "below an unknown user": (
        lambda _: "~nosuchuser/a.png",
        "the home folder of ~nosuchuser is not known here",
    ),
    "a NUL": (lambda _: "a\0b.png", "contains a character that file names cannot have"),
    "a NUL alone": (lambda _: "\0", "contains a character that file names cannot have"),
    "half of a surrogate pair": (lambda _: "\ud800.png", "contains a character that file names cannot have"),
    "a byte that is no text": (lambda folder: f"{folder}/caf\udce9.png", "there is nothing at this path"),
    "links in a circle": (circle, "links form a loop"),
    "a pipe": (fifo, "a pipe, a device or a socket"),
    "an endless device": (lambda _: "/dev/zero", "a pipe, a device or a socket"),
    "an empty device": (lambda _: "/dev/null", "a pipe, a device or a socket"),
    "below a file": (below_a_file, "part of it is a file"),
    "a file of /proc": (lambda _: "/proc/self/status", "Pillow cannot open /proc/self/status"),
    "memory in /proc": (lambda _: "/proc/self/mem", "Pillow cannot open /proc/self/mem"),
    "a Windows path": (lambda _: r"C:\Users\me\a.png", "a Windows path"),
    "a Windows share": (lambda _: r"\\server\share\a.png", "a Windows path"),
    "a web address": (lambda _: "https://example.org/a.png", "addresses cannot be opened"),
    "a picture as an address": (lambda _: "data:image/png;base64,AAAA", "addresses cannot be opened"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_opened_is_refused_in_words_of_one_line(tmp_path: Path, make, words: str) -> None:
    with pytest.raises(DataError) as refused:
        mv.samples(make(tmp_path))
    said = str(refused.value)
    assert words in said
    assert len(said) < 600
    assert said.isprintable()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_path_that_may_not_be_looked_at_is_refused_in_words(
    tmp_path: Path, monkeypatch, number: int
) -> None:
    stat = os.stat

    def forbidden(path, *args, **options):
        if str(path).startswith(str(tmp_path)):
            raise OSError(number, os.strerror(number), str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", forbidden)
    with pytest.raises(DataError, match="no permission to read it"):
        mv.samples(tmp_path / "secret")


def test_an_error_of_the_file_system_that_has_no_words_here_keeps_its_own(
    tmp_path: Path, monkeypatch
) -> None:
    def broken(path, *_args, **_options):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(os, "stat", broken)
    with pytest.raises(DataError, match="Input/output error"):
        existing_path("anything")


def test_the_home_folder_is_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (20, 30)).save(tmp_path / "mine.png")
    assert [sample.name for sample in mv.samples("~")] == ["mine"]
    assert [sample.name for sample in mv.samples(Path("~/mine.png"))] == ["mine"]
