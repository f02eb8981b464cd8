"""Saved pages in a browser without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from support.lab import Lab

PICTURES = "() => [...document.querySelectorAll('.mswin-heatmap canvas')].map((canvas) => canvas.toDataURL())"


class Opened:
    """The page in a browser that is offline; what it asked for, and what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page, self.asked, self.wrong = page, [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on(
            "console", lambda message: self.wrong.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def pictures(self) -> list[str]:
        """Every heatmap as it is painted, two frames after what was done."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
        )
        return self.page.evaluate(PICTURES)

    def changed(self, before: list[str]) -> list[bool]:
        """Which heatmaps differ from before."""
        return [a != b for a, b in zip(before, self.pictures(), strict=True)]


@contextmanager
def offline(lab: Lab, address: str, **options: object) -> Iterator[Opened]:
    """A page in a new context without a network; nothing may go wrong in it, and it may ask for nothing."""
    browser = lab.page.context.browser
    assert browser
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True, **options)
    found = Opened(context.new_page())
    found.page.goto(address)
    yield found
    context.close()
    assert found.wrong == []
    assert [url for url in found.asked if not url.startswith(("file:", "blob:null", "data:"))] == []
