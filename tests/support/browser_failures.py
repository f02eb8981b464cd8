"""A browser test that fails leaves what was on the screen: a picture of each open page, and a file of what was said there.

They lie in ``build/browser-failures`` (or ``--browser-failures FOLDER``), named for the test; its report names them.
pytest-playwright has such a switch for the pages it opens itself, one for each test; ours are opened once for many tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "browser-failures"
_LONGEST_NAME = 150
_TIMEOUT = 10_000  # milliseconds
_SERVER_LINES = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--browser-failures", type=Path, default=FOLDER, help="folder for pictures of failed browser tests"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and report.when != "teardown" and item.get_closest_marker("browser"):
        lines = list(_kept(item.config.getoption("--browser-failures"), _file_name(item.nodeid)))
        if lines:
            report.sections.append(("Browser", "\n".join(lines)))
    return report


def _file_name(nodeid: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", nodeid.removeprefix("tests/browser/")).strip("_")[:_LONGEST_NAME]


def _kept(folder: Path, name: str) -> Iterator[str]:
    """Write a picture and a file of text for each page of each running ``Lab``, and say where, or why not."""
    labs = sys.modules["support.lab"].Lab.running if "support.lab" in sys.modules else []
    pages = [(lab, page) for lab in labs for page in _pages(lab)]
    for at, (lab, page) in enumerate(pages):
        stem = folder / (name if at == 0 else f"{name}-{at + 1}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{stem}.png", timeout=_TIMEOUT, animations="disabled")
            yield f"picture of {page.url.partition('?')[0]}: {stem}.png"
        except Exception as problem:  # the test's own failure is what must be seen
            yield f"no picture: {type(problem).__name__}: {problem}"
        try:
            said = [*lab.said, "", "the server:", *lab.server.log().splitlines()[-_SERVER_LINES:]]
            Path(f"{stem}.txt").write_text("\n".join(said) + "\n", encoding="utf-8")
            yield f"what the page and the server said: {stem}.txt"
        except OSError as problem:
            yield f"no text: {problem}"


def _pages(lab: Lab) -> list[Page]:
    """Its own page, and those of other contexts of its browser."""
    browser = lab.page.context.browser
    others = [] if browser is None else [page for context in browser.contexts for page in context.pages]
    return [lab.page, *(page for page in others if page != lab.page)]
