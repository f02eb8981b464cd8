"""Drive notebooks in a real JupyterLab, in a headless Chromium that can reach nothing but it.

Use::

    with Lab(folder) as lab:
        lab.open("a.ipynb")
        lab.run_all()
        lab.move_slider(".mswin-scale", keys=3)
        lab.check()
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
from PIL import Image
from playwright.sync_api import (
    BrowserType,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    Route,
    sync_playwright,
)

from support.lab_server import LabServer

PAGE_JS = (Path(__file__).parent / "page.js").read_text()
CHROMIUM_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--proxy-server=direct://"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]

UNFOLD = """(element) => {
  const [section, finding] = [".mswin-section", ".mswin-strip-find"].map((css) => element.closest(css));
  if (section && !section.offsetParent)
    element.closest(".mswin-explorer").querySelector(`[aria-controls="${section.id}"]`).click();
  if (finding && !finding.offsetParent) finding.parentElement.querySelector(".mswin-strip-more").click();
}"""


def find_chromium(playwright: Playwright) -> Path | None:
    """The browser to drive: ``$CHROMIUM``, the system's, or Playwright's own; None where there is none."""
    own: BrowserType = playwright.chromium
    named = os.environ.get("CHROMIUM")
    places = [named] if named else ["/usr/bin/chromium", "/usr/bin/google-chrome", own.executable_path]
    return next((Path(place) for place in places if Path(place).is_file()), None)


class NoChromiumError(RuntimeError):
    """There is no browser on this machine to run the tests in."""


class Lab:
    """One JupyterLab over ``root`` and one browser page in it."""

    running: ClassVar[list[Lab]] = []
    """Those with an open page; a test that fails leaves pictures of them (``browser_failures.py``)."""

    def __init__(
        self,
        root: Path,
        *,
        size: tuple[int, int] = (1280, 1000),
        timeout: float = 90,
        app: str = "jupyterlab",
        beside: Lab | None = None,
    ) -> None:
        """``app`` may be ``"notebook"``; a second one in a thread runs ``beside`` the first, as Playwright wants it."""
        self._beside = beside
        self.root, self.size, self.timeout = Path(root).resolve(), size, timeout
        self.server, self.app = LabServer(self.root, timeout=timeout, app=app), app
        self.playwright: Playwright | None = None
        self.page: Page = None  # type: ignore[assignment]
        self.said: deque[str] = deque(maxlen=500)
        """The last messages of the page's console, of every kind."""
        self._console: list[str] = []
        self._refused: list[str] = []

    # ---- life ------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        shared = None if self._beside is None else self._beside.playwright
        self.playwright = shared or sync_playwright().start()
        chromium = find_chromium(self.playwright)
        if chromium is None:
            raise NoChromiumError(
                "no Chromium: install it, set CHROMIUM, or run `playwright install chromium`"
            )
        self.server.start()
        browser = self.playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        context = browser.new_context(
            viewport={"width": self.size[0], "height": self.size[1]},
            reduced_motion="reduce",
            service_workers="block",
        )
        context.set_default_timeout(self.timeout * 1000)
        context.route(lambda url: not url.startswith((self.server.url, "data:", "blob:")), self._refuse)
        self.page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", self._note_error)
        Lab.running.append(self)

    def stop(self) -> None:
        """Close the browser and end the server with all its kernels, whatever state they are in."""
        if self in Lab.running:
            Lab.running.remove(self)
        try:
            if self._beside is not None and self.page is not None:
                browser = self.page.context.browser
                self.page.context.close()
                if browser is not None:
                    browser.close()
            elif self.playwright is not None:
                self.playwright.stop()
            self.playwright = None
        finally:
            self.server.stop()

    def _refuse(self, route: Route) -> None:
        self._refused.append(route.request.url)
        route.abort()

    def _note_error(self, error: Error) -> None:
        self.said.append(f"page error: {error}")
        self._console.append(f"page: {error}")

    def _note(self, message: ConsoleMessage) -> None:
        self.said.append(f"{message.type}: {message.text}")
        if message.type == "error":
            self._console.append(f"console: {message.text}")

    # ---- the notebook ----------------------------------------------------------------------

    def open(self, notebook: str) -> None:
        """Open a notebook of ``root`` with a new kernel; problems of earlier ones are forgotten."""
        if not (self.root / notebook).is_file():
            raise FileNotFoundError(self.root / notebook)
        self.page.goto("about:blank")
        self.server.end_kernels()
        self._console.clear()
        self._refused.clear()
        place = "doc/tree" if self.app == "jupyterlab" else "notebooks"
        self.page.goto(f"{self.server.url}{place}/{quote(notebook)}?reset&token={self.server.token}")
        self.page.wait_for_function("() => window.jupyterapp?.restored")
        self.page.evaluate("async () => { await window.jupyterapp.restored; }")
        self.page.evaluate(PAGE_JS)
        self.wait_idle()

    def run_all(self, *, timeout: float = 180) -> None:
        """Run every cell and wait until the page is quiet; raises on any problem."""
        ok = self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        state = self.wait_idle(timeout=timeout)
        self.check()
        if not ok or state["unrun"]:
            raise AssertionError(f"not every cell ran: {state}")

    def wait_idle(self, *, quiet: float = 0.4, timeout: float | None = None) -> dict[str, Any]:
        """Wait until kernel, images and widgets are done and nothing has changed for ``quiet`` seconds."""
        start = time.monotonic()  # what was just done may not have reached the kernel yet
        deadline = start + (timeout or self.timeout)
        while True:
            rested = time.monotonic() - start >= quiet
            state = self._state()
            if state.get("dialog"):
                self._answer(state["dialog"])
            elif rested and state["ready"] and not any(state["waiting"].values()) and state["quiet"] >= quiet:
                return state
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page did not come to rest: {state}")
            self.page.wait_for_timeout(50)

    def problems(self) -> list[str]:
        """Everything broken: also callback errors and refused requests, which no cell shows."""
        state = self._state()
        stray = [f"log console: {state['log']} message(s)"] if state["log"] else []
        refused = [f"refused request: {url}" for url in self._refused]
        return [*state["errors"], *state["broken"], *stray, *self._console, *refused]

    def check(self) -> None:
        found = self.problems()
        if found:
            raise AssertionError("\n".join(found))

    def ask(self, expression: str) -> str:
        """``repr`` of a Python expression in the notebook's kernel."""
        reply = self.page.evaluate("(e) => mswinLab.ask(e)", expression)
        if not reply["ok"]:
            raise RuntimeError(f"{expression}: {reply['text']}")
        return reply["text"]

    def messages_sent(self) -> int:
        """How many messages the page's widgets have sent to the kernel so far."""
        return self.page.evaluate("() => mswinLab.sent()")

    def _state(self) -> dict[str, Any]:
        return self.page.evaluate("() => mswinLab.state()")

    def _answer(self, dialog: str) -> None:
        if "select kernel" not in dialog.lower():
            raise AssertionError(f"JupyterLab asks: {dialog}")
        self.page.locator(".jp-Dialog button.jp-mod-accept").first.click()
        self.page.locator(".jp-Dialog").first.wait_for(state="detached")

    # ---- a person's hands ------------------------------------------------------------------

    def control(self, css: str, *, has_text: str | None = None) -> Locator:
        """The first such element; the section of the explorer that it stands in is unfolded."""
        found = self.page.locator(css, has_text=has_text).first
        found.evaluate(UNFOLD)
        return found

    def handle(self, slider: str) -> Locator:
        handle = self.control(f"{slider} [role=slider]")
        handle.scroll_into_view_if_needed()
        return handle

    def slider_value(self, slider: str) -> float:
        return float(self.handle(slider).get_attribute("aria-valuenow") or "nan")

    def move_slider(
        self, slider: str, *, keys: int = 0, drag: float | None = None, wait: bool = True
    ) -> float:
        """Move a slider and return its value.

        ``keys`` presses the right (or, negative, left) arrow so often; ``drag`` drops the handle with the
        mouse at this fraction of the track.
        """
        handle = self.handle(slider)
        if keys:
            handle.focus()
            for _ in range(abs(keys)):
                self.page.keyboard.press("ArrowRight" if keys > 0 else "ArrowLeft")
        if drag is not None:
            self._drag(handle, self.page.locator(f"{slider} .noUi-base, {slider} [role=slider]").first, drag)
        if wait:
            self.wait_idle()
        return self.slider_value(slider)

    def _drag(self, handle: Locator, track: Locator, fraction: float) -> None:
        start, base = handle.bounding_box(), track.bounding_box()
        if start is None or base is None:
            raise AssertionError("the slider is not on the screen")
        height = start["y"] + start["height"] / 2
        mouse = self.page.mouse
        mouse.move(start["x"] + start["width"] / 2, height)
        mouse.down()
        mouse.move(base["x"] + base["width"] * fraction, height, steps=8)
        mouse.up()

    def latency(self, css: str, act: Callable[[], None], *, timeout: float = 10) -> float:
        """Milliseconds from the input event that ``act`` makes to the first frame with other pixels in the canvas."""
        self.page.evaluate("(css) => mswinLab.latency(css)", css)
        act()
        return self.page.evaluate(
            "(limit) => Promise.race([mswinLatency, new Promise((_, no) => setTimeout(no, limit, 'no change'))])",
            timeout * 1000,
        )

    def execute(self, code: str) -> None:
        """Run code in the notebook's kernel without waiting for it."""
        self.page.evaluate("(code) => mswinLab.execute(code)", code)

    # ---- looking ---------------------------------------------------------------------------

    def canvas(self, css: str) -> np.ndarray:
        """The canvas's own pixels [height, width, 4], red green blue alpha, uint8."""
        got = self.page.locator(css).first.evaluate("(canvas) => mswinLab.pixels(canvas)")
        flat = np.frombuffer(base64.b64decode(got["data"]), dtype=np.uint8)
        return flat.reshape(got["height"], got["width"], 4)

    def wait_for_change(self, css: str, before: np.ndarray, *, timeout: float = 10) -> np.ndarray:
        """The canvas's pixels as soon as they differ from ``before``, whether or not the kernel is idle."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            now = self.canvas(css)
            if now.shape != before.shape or (now != before).any():
                return now
            self.page.wait_for_timeout(30)
        raise AssertionError(f"{css} did not change within {timeout} s")

    def screenshot(self, path: Path | None = None, *, css: str | None = None) -> np.ndarray:
        """What is on the screen [height, width, 3], uint8; of one element with ``css``; also to ``path``."""
        target = self.page.locator(css).first if css else self.page
        data = target.screenshot(animations="disabled", caret="hide")
        if path is not None:
            path.write_bytes(data)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
