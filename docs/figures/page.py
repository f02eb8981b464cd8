"""Draws docs/figures/page.png: the scale explorer's page of a few samples, opened from the disk in Chromium without a network.

Run: python docs/figures/page.py, with Chromium installed
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from saved_picture import save_picture

import mswin_viz as mv

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import CHROMIUM_OPTIONS, find_chromium  # noqa: E402  (the tests are no package)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        explorer = mv.ScaleExplorer(mv.load_model(), mv.samples(), prompt="a person wearing green bottoms")
        file = explorer.to_html(Path(folder) / "scales.html", images=24)
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=CHROMIUM_OPTIONS)
        context = browser.new_context(viewport={"width": 1440, "height": 980}, offline=True)
        page = context.new_page()
        page.goto(file.as_uri())
        page.locator("[data-section=measure]").click()
        page.locator(".mswin-thumb").nth(3).click()
        page.locator(".mswin-slider-range").focus()
        page.keyboard.press("PageUp")
        page.keyboard.press("ArrowRight")
        page.locator(".mswin-heatmap[data-key=scale-8] canvas").click(position={"x": 80, "y": 220})
        page.mouse.move(5, 5)
        page.wait_for_timeout(500)
        shot = page.screenshot(full_page=True, animations="disabled", caret="hide")
        browser.close()
    save_picture(shot, "page", has_palette=False)


if __name__ == "__main__":
    main()
