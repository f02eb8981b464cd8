"""The boxes that take a path: what is meant is opened, what cannot be is said, and the old view stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.view.embeddings import explorer as embedding_explorer

MODEL = tiny_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for at, picture in enumerate(pictures(8)):
        (folder / f"p {at}").mkdir()
        Image.fromarray(np.roll(picture, at, axis=1)).save(folder / f"p {at}" / f"a {at}.png")
    os.mkfifo(folder / "fifo.jpg")
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    (folder / "empty").mkdir()
    (folder / "cut.png").write_bytes((folder / "p 0" / "a 0.png").read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def explorer(folder: Path) -> Iterator[mv.ScaleExplorer]:
    samples = [Sample(at, at, {"RGB": folder / f"p {at}" / f"a {at}.png"}) for at in range(3)]
    made = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    yield made
    made.close()


def message(explorer: mv.ScaleExplorer) -> str:
    return explorer._html["message"].value.striptags()


def typed(explorer: mv.ScaleExplorer, text: str) -> None:
    explorer.bar.path.value = ""
    explorer.bar.path.value = text


def assert_still_usable(explorer: mv.ScaleExplorer) -> None:
    explorer.controls.scale.value = 3 if explorer.controls.scale.value != 3 else 4
    assert message(explorer) == ""
    assert explorer.board.answered == explorer.controls.asked
    assert explorer.view.panel("free").geometry.scale == explorer.controls.scale.value


@pytest.mark.parametrize(
    "text",
    [
        "{folder}/p 3/a 3.png",
        "'{folder}/p 3/a 3.png'",
        '"{folder}/p 3"\n',
        "file://{folder}/p%203/a%203.png",
        " {folder}/p 3/ ",
    ],
)
def test_what_is_pasted_is_opened(explorer, folder: Path, text: str) -> None:
    typed(explorer, str(folder / "p 0"))
    typed(explorer, text.format(folder=folder))
    assert [item["name"] for item in explorer.strip.items] == ["a 3"]
    assert_still_usable(explorer)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{folder}/" + "x" * 300, "longer than the file system allows"),
        ("~nosuchuser", "home folder of ~nosuchuser is not known"),
        ("~nosuchuser/x.png", "home folder of ~nosuchuser is not known"),
        ("a\0b", "file names cannot have"),
        ("\ud800", "file names cannot have"),
        ("/nowhere/caf\udce9.png", "there is nothing at this path"),
        ("{folder}/a", "form a loop"),
        ("{folder}/fifo.jpg", "a pipe, a device"),
        ("/dev/zero", "a pipe, a device"),
        ("/proc/self/status", "Pillow cannot open"),
        ("{folder}/empty", "at least one image"),
        ("{folder}/p 0/a 0.png/x", "part of it is a file"),
        ("''", "a path must name a folder or file"),
        ("file://server/x.png", "only files on this computer"),
        ("C:\\pictures\\x.png", "a Windows path"),
        ("https://example.org/a.png", "addresses cannot be opened"),
        ("s3://bucket/people", "addresses cannot be opened"),
        ("data:image/png;base64,AAAA", "addresses cannot be opened"),
        ("<img src=x onerror=alert(1)>", "there is nothing at this path"),
        ("$\\frac", "there is nothing at this path"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_said_and_the_old_view_stays(
    explorer, folder: Path, text: str, words: str
) -> None:
    typed(explorer, str(folder / "p 1"))
    look, items = explorer.result, explorer.strip.items
    typed(explorer, text.format(folder=folder))
    assert words in message(explorer)
    assert message(explorer).endswith(" DataError")
    assert "<img" not in explorer._html["message"].value
    assert (explorer.result, explorer.strip.items) == (look, items)
    assert_still_usable(explorer)


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0"])
def test_a_blank_box_changes_nothing(explorer, folder: Path, blank: str) -> None:
    typed(explorer, str(folder / "p 1"))
    look = explorer.result
    typed(explorer, blank)
    assert message(explorer) == ""
    assert explorer.result is look


def test_a_damaged_picture_is_named_and_the_view_is_marked_as_old(explorer, folder: Path) -> None:
    typed(explorer, str(folder / "p 1"))
    look = explorer.result
    typed(explorer, str(folder / "cut.png"))
    assert "cut.png cannot be read" in message(explorer)
    assert explorer.result is look
    assert explorer.board.failed == explorer.controls.asked
    typed(explorer, str(folder / "p 1"))
    assert_still_usable(explorer)


@pytest.mark.parametrize("number", [1, 13])
def test_a_folder_without_permission_is_said(explorer, folder: Path, monkeypatch, number: int) -> None:
    typed(explorer, str(folder / "p 1"))
    look, scan = explorer.result, os.scandir

    def forbidden(path="."):
        if str(path) == str(folder / "p 2"):
            raise OSError(number, os.strerror(number), str(path))
        return scan(path)

    with monkeypatch.context() as shut:
        shut.setattr(os, "scandir", forbidden)
        typed(explorer, str(folder / "p 2"))
    assert "folder cannot be read" in message(explorer)
    assert explorer.result is look
    assert_still_usable(explorer)


# ---- the folder that figures and tables are saved to ----------------------------------------------


@pytest.fixture(scope="module")
def embeddings(folder: Path) -> Iterator[mv.EmbeddingExplorer]:
    samples = [Sample(at % 2, at, {"RGB": folder / f"p {at}" / f"a {at}.png"}) for at in range(8)]
    table = mv.embed(MODEL, samples, progress=False)
    made = mv.EmbeddingExplorer(MODEL, samples, table=table, view=mv.embedding_view(table))
    yield made
    made.close()


@pytest.fixture
def _no_figures(monkeypatch) -> None:
    monkeypatch.setattr(embedding_explorer, "save_figures", lambda *_, **__: [])


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("text", ["{out}", "'{out}'", '"{out}"\n', "file://{out}"])
def test_tables_are_saved_where_the_folder_box_says(embeddings, tmp_path: Path, text: str) -> None:
    embeddings.saving.folder.value = text.format(out=tmp_path / "out")
    embeddings.saving.button.click()
    assert (tmp_path / "out" / "points.csv").is_file(), embeddings.saving.message.value
    assert " files in " in embeddings.saving.message.value


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize(
    "text",
    [
        "{out}/file/below",
        "{out}/" + "x" * 300,
        "~nosuchuser/x",
        "a\0b",
        "/proc/nothing",
        "/dev/null/x",
        "\ud800",
        "''",
        "s3://bucket/people",
    ],
)
def test_a_folder_that_cannot_be_written_is_said_beside_the_button(
    embeddings, tmp_path: Path, monkeypatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    embeddings.saving.folder.value = text.format(out=tmp_path)
    embeddings.saving.button.click()
    said = unescape(embeddings.saving.message.value)
    assert "OutputError<" in said or "DataError<" in said
    assert not embeddings.saving.button.disabled
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
