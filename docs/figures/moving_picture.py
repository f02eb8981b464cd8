"""Records docs/figures/explorer.webp: the scale explorer of notebooks/explore_scales.ipynb in JupyterLab, in use.

Run: python docs/figures/moving_picture.py, with Chromium installed
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import Lab  # noqa: E402  (the tests are no package)

WIDTH = 1200  # pixels of the picture
HEIGHT = 880  # pixels of the page: what is pinned shows below the bars
MOST_BYTES = 3_000_000
_QUICK, _SLOW = 110, 1500  # milliseconds for which a frame is shown
_MOUSE = """() => {
  const mouse = document.createElement("div");
  mouse.innerHTML = `<svg width="26" height="26" viewBox="0 0 26 26"><path d="M4 2 L4 20 L9 15.5 L12 22.5 L15.4 21 L12.4 14.2 L19 13.6 Z"
    fill="#111" stroke="#fff" stroke-width="1.6"/></svg>`;
  mouse.style.cssText = "position:fixed;left:0;top:0;z-index:100000;pointer-events:none";
  document.body.append(mouse);
  document.addEventListener("mousemove", (e) => (mouse.style.transform = `translate(${e.clientX - 4}px, ${e.clientY - 2}px)`), true);
}"""
"""Pictures of a page leave the mouse out: this draws one."""


@dataclass
class Film:
    """Frames of one part of a page, each with the time it is shown."""

    page: Page
    clip: FloatRect
    frames: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def take(self, milliseconds: int = _QUICK) -> None:
        """The page as it is now; a frame like the last one only lengthens that."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        shot = self.page.screenshot(clip=self.clip, animations="disabled", caret="hide")
        with Image.open(io.BytesIO(shot)) as picture:
            size = (WIDTH, round(picture.height * WIDTH / picture.width))
            frame = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        if self.frames and self.frames[-1].tobytes() == frame.tobytes():
            self.times[-1] += milliseconds
            return
        self.frames.append(frame)
        self.times.append(milliseconds)

    def go_to(self, x: float, y: float) -> None:
        """Move the mouse there in a few steps."""
        start_x, start_y = self.page.evaluate("() => [window.mouseX ?? 700, window.mouseY ?? 300]")
        for step in (0.3, 0.6, 0.85, 1.0):
            self.page.mouse.move(start_x + step * (x - start_x), start_y + step * (y - start_y))
            self.take(70)
        self.page.evaluate("([x, y]) => { window.mouseX = x; window.mouseY = y; }", [x, y])

    def click(self, place: Locator, *, across: float = 0.5, down: float = 0.5) -> None:
        """Go to a place of an element and click there."""
        box = place.bounding_box()
        assert box is not None
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        self.go_to(x, y)
        self.page.mouse.click(x, y)

    def save(self, file: Path) -> None:
        """Write the film as an animated WebP, at the best quality whose file is small enough."""
        for quality in (80, 70, 60, 50, 40):
            content = io.BytesIO()
            self.frames[0].save(
                content, "WEBP", save_all=True, append_images=self.frames[1:], duration=self.times, loop=0,
                quality=quality, method=6, minimize_size=True,
            )  # fmt: skip
            if content.tell() <= MOST_BYTES:
                file.write_bytes(content.getvalue())
                print(
                    f"{len(self.frames)} frames, {sum(self.times) / 1000:.1f} s, {content.tell():,} bytes at quality {quality}"
                )
                return
        raise SystemExit(
            f"a moving picture must be below {MOST_BYTES:,} bytes: {len(self.frames)} frames are not; take fewer"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1440, 1100)) as lab:
        shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", folder)
        lab.open("explore_scales.ipynb")
        lab.run_all(timeout=300)
        lab.page.locator("progress").first.wait_for(state="hidden", timeout=300_000)  # tokens of every image
        lab.wait_idle(timeout=120)
        lab.page.evaluate(_MOUSE)
        explorer = lab.page.locator(".mswin-heatmap[data-key=fused]").locator(
            "xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')][1]"
        )
        explorer.scroll_into_view_if_needed()
        explorer.evaluate("e => e.scrollIntoView({ block: 'start' })")
        box = explorer.bounding_box()
        assert box is not None
        film = Film(
            lab.page, {"x": box["x"] - 10, "y": box["y"] - 6, "width": box["width"] + 20, "height": HEIGHT}
        )
        play(film, lab)
    film.save(HERE / "explorer.webp")


def play(film: Film, lab: Lab) -> None:
    """The scale slider, a pinned window, another person, and another value."""
    film.take(_SLOW)
    slider = lab.page.locator(".mswin-slider-range").first
    low, high = int(slider.get_attribute("min") or 1), int(slider.get_attribute("max") or 128)
    value = int(slider.input_value())
    box = slider.bounding_box()
    assert box is not None
    x = lambda scale: box["x"] + 8 + (scale - low) / (high - low) * (box["width"] - 16)  # noqa: E731
    y = box["y"] + box["height"] / 2
    film.go_to(x(value), y)
    lab.page.mouse.down()
    for scale in [*range(value, 3, -1), *range(5, 33, 1)]:
        lab.page.mouse.move(x(scale), y)
        film.take(1000 if scale in (4, 32) else _QUICK)
    lab.page.mouse.up()
    film.click(lab.page.locator(".mswin-heatmap[data-key=scale-16] canvas").first, across=0.5, down=0.78)
    lab.wait_idle(timeout=60)
    film.take(2 * _SLOW)
    for at in (5, 9):
        film.click(lab.page.locator(".mswin-thumb").nth(at))
        lab.wait_idle(timeout=60)
        film.take(_SLOW)


if __name__ == "__main__":
    main()
