"""The check of the built site finds what is wrong with one: broken links, missing names, things loaded from elsewhere."""

from __future__ import annotations

import base64
import os
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


ELSEWHERE = "https://example.org/a"
INNER = base64.b64encode(f'<img src="{ELSEWHERE}.png">'.encode()).decode()


@pytest.mark.parametrize(
    "line",
    [
        '<div style="background: url({})"></div>',
        '<div style="background: u\\72l( &quot;{}&quot; )"></div>',
        '<div style="background: url(//example.org/a.png)"></div>',
        "<style>@import '{}.css';</style>",
        "<style>@import/* so */url( {}.css );</style>",
        "<style>p {{ background: url('{}.png') }}</style>",
        "<style>p {{ background: image-set('picture.png' 1x, '{}.png' 2x type('image/png')) }}</style>",
        "<style>p {{ background: url({}.png",
        "<style>p {{ background: url('data:image/svg+xml,<svg></svg>'), url({}.png) }}</style>",
        '<img srcset="picture.png, {}.png 2x">',
        '<picture><source srcset="picture.png 1x,{}.png 2x"></picture>',
        '<object data="{}.svg"></object>',
        '<embed src="{}.pdf">',
        '<video poster="{}.png"></video>',
        '<audio src="{}.ogg"></audio>',
        '<video><track src="{}.vtt"></video>',
        '<video><source src="{}.webm"></video>',
        '<input type="image" src="{}.png">',
        '<meta http-equiv="refresh" content="0; url={}">',
        "<meta http-equiv=Refresh content=\"5;URL='{}'\">",
        '<svg><image href="{}.png"/></svg>',
        '<svg><use xlink:href="{}.svg#b"/></svg>',
        '<svg:svg><svg:image x:href="{}.png"/></svg:svg>',
        '<svg><rect fill="url({}.svg#b)"/></svg>',
        '<svg><image><set attributeName="href" to="{}.png"/></image></svg>',
        '<iframe src="{}"></iframe>',
        '<iframe srcdoc="&lt;img src={}.png&gt;"></iframe>',
        '<iframe src="data:text/html,%3Cimg src={}.png%3E"></iframe>',
        f'<iframe src="data:text/html;base64,{INNER}"></iframe>',
        '<form action="{}"></form>',
        '<button formaction="{}"></button>',
        '<a href="#top" ping="{}">a</a>',
        '<link rel="preload" as="image" imagesrcset="{}.png 2x">',
        '<link rel="preconnect" href="{}">',
        '<body background="{}.png">',
        '<IMG SRC=" h\nttps://example.org/a.png">',
        '<img src="\\\\example.org\\a.png">',
        '<noscript><img src="{}.png"></noscript>',
    ],
)  # fmt: skip
def test_whatever_a_browser_loads_from_elsewhere_is_named_on_a_page_and_on_that_of_an_explorer(
    site: Path, main: Callable[[str], int], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "live").mkdir()
    (site / "live" / "Explorer.html").write_text(line.format(ELSEWHERE))
    page = site / "index.html"
    page.write_text(page.read_text() + line.format(ELSEWHERE))
    assert main(str(site)) == 1
    said = [line for line in capsys.readouterr().out.splitlines() if "must open from the disk" in line]
    assert [line.partition(": <")[0] for line in said] == ["index.html", f"live{os.sep}Explorer.html"]


@pytest.mark.parametrize(
    "line",
    [
        '<div style="background: url(gone.png)"></div>',
        "<style>@import 'gone.css'</style>",
        '<img srcset="picture.png, gone.png 2x">',
        '<object data="gone.svg"></object>',
        '<meta http-equiv="refresh" content="0; url=gone.html">',
        '<map><area href="gone.html"></map>',
        '<form action="gone.html"></form>',
        '<svg><use href="drawn.svg#gone"/></svg>',
        '<svg><rect fill="url(#gone)"/></svg>',
    ],
)
def test_broken_addresses_of_every_kind_are_named(
    site: Path, main: Callable[[str], int], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "drawn.svg").write_text('<svg><g id="b"/></svg>')
    (site / "live").mkdir()
    (site / "live" / "Explorer.html").write_text(
        line.replace("drawn", "../drawn").replace("picture", "../picture")
    )
    assert main(str(site)) == 1
    (said,) = capsys.readouterr().out.splitlines()[:-1]
    assert "leads to no file" in said or "names no element" in said


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.css", "@import 'https://example.org/a.css';", "style sheet"),
        ("a.css", "p { background: url(//example.org/a.png) }", "style sheet"),
        ("a.css", "p { background: url(gone.png) }", "style sheet"),
        ("a.svg", '<svg><image href="https://example.org/a.png"/></svg>', "<image href>"),
        ("a.svg", "<svg><style><![CDATA[@import 'https://example.org/a.css';]]></style></svg>", "<style>"),
        ("a.svg", '<?xml-stylesheet type="text/css" href="https://example.org/a.css"?><svg/>', "<?xml-stylesheet?>"),
    ],
)  # fmt: skip
def test_style_sheets_and_pictures_are_searched_wherever_they_lie(
    site: Path,
    main: Callable[[str], int],
    name: str,
    text: str,
    place: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (site / "_static").mkdir()
    (site / "_static" / name).write_text(text)
    assert main(str(site)) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"_static{os.sep}{name}: {place} ")
    assert said.count("\n") == 2


def test_what_only_looks_like_an_address_is_no_problem(
    site: Path, main: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "a.css").write_text(
        "/* url(https://example.org/) */ @namespace svg url(http://www.w3.org/2000/svg); p { fill: url(#a) }"
        "q { content: 'a /* b'; background: url('picture.png?v=1') } r { background: url(data:image/png;base64,AA==) }"
    )
    page = site / "index.html"
    page.write_text(
        page.read_text()
        + '<p title="url(https://example.org/)">url(https://example.org/)</p><a href="">a</a>'
        '<script>const a = "<img src=https://example.org/a.png>";</script><li data="1"></li><a href="a%2Ecss?b#c">b</a>'
        f'<a href="https://{NAME}.github.io/{NAME}">c</a><a href="https://github.com/{NAME}/{NAME}#readme">d</a>'
        '<a href="mailto:a@example.org">e</a>'
    )
    assert main(str(site)) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('<a href="file:///home/me/a.html">', "names a file of the machine"),
        ('<img src="FILE:///home/me/a.png">', "names a file of the machine"),
        ('<a href="javascript:alert(1)">', "must be a place in the site"),
        ('<a href="//example.org/">', "must be a place in the site"),
        ('<a href="https:///">', "must be a place in the site"),
        ('<base href="https://example.org/">', "leave it out"),
        (f'<a href="https://github.com/{NAME}/{NAME}-of-another">', "not below an address"),
        ('<a href="https://[bad/">', "no address that can be followed"),
        ('<a href="%00">', "no address that can be followed"),
        (f'<a href="{"long" * 2000}">', "no address that can be followed"),
        ('<a href="gone-\u00e9\u4e2d.html">', "leads to no file"),
        ("<![bad[", "cannot be read"),
    ],
)
def test_bad_addresses_are_problems_and_stop_nothing(
    site: Path, main: Callable[[str], int], line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "other.html").write_text(line, encoding="utf-8")
    assert main(str(site)) == 1
    said = capsys.readouterr().out
    assert said.startswith("other.html")
    assert problem in said
    assert len(said) < 400
    assert said.isascii()


def test_a_page_that_is_not_utf8_is_a_problem_and_is_searched_all_the_same(
    site: Path, main: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "other.html").write_bytes('é<a href="gone.html">'.encode("latin-1"))
    assert main(str(site)) == 1
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("other.html must be UTF-8")
    assert "leads to no file" in second


def test_a_folder_without_a_site_is_refused(
    tmp_path: Path, main: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(str(tmp_path)) == 1
    assert "run make docs" in capsys.readouterr().out
