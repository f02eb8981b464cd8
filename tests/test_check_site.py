"""The check of the built site finds what is wrong with one: broken links, missing names, things loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

NAME = "mswin-viz"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    from check_site import main

    return main


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "picture.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        '<h1 id="top">a</h1><a href="sub/page.html#there">b</a><a href="#top">c</a>'
    )
    (tmp_path / "sub" / "page.html").write_text(
        '<section id="there"><img src="../picture.png"><a name="old"></a></section><a href="../index.html">up</a>'
        '<link rel="canonical" href="https://mswin-viz.github.io/mswin-viz/sub/page.html">'
        '<a href="https://example.org/">elsewhere</a>'
    )
    return tmp_path


def test_a_site_that_is_whole_has_no_problem(
    site: Path, main: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(str(site)) == 0
    assert capsys.readouterr().out == "2 pages, 0 problems\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('<a href="gone.html">', "leads to no file"),
        ('<a href="sub/page.html#gone">', "names no element"),
        ('<a href="#gone">', "names no element"),
        ('<a href="../outside.html">', "leads to no file"),
        ('<a href="sub/">', "leads to a folder"),
        ('<a href="sub">', "leads to a folder"),
        ('<img src="gone.png">', "leads to no file"),
        ('<iframe src="live/gone.html"></iframe>', "leads to no file"),
        ('<script src="https://cdn.example.org/a.js"></script>', "must open from the disk"),
        ('<script src="//cdn.example.org/a.js"></script>', "must open from the disk"),
        ('<link rel="stylesheet" href="https://fonts.example.org/a.css">', "must open from the disk"),
        ('<link rel="preload stylesheet" href="https://fonts.example.org/a.css">', "must open from the disk"),
        ('<img src="https://example.org/a.png">', "must open from the disk"),
        (f'<a href="https://example.org/{NAME}/issues">', "not below an address"),
        (f'<a href="https://{NAME}.example.com/en/latest/">', "not below an address"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_page(
    site: Path, main: Callable[[str], int], line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = site / "index.html"
    page.write_text(page.read_text() + line)
    assert main(str(site)) == 1
    said = capsys.readouterr().out
    assert said.startswith("index.html")
    assert problem in said


def test_a_folder_without_a_site_is_refused(
    tmp_path: Path, main: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(str(tmp_path)) == 1
    assert "run make docs" in capsys.readouterr().out
