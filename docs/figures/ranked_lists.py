"""Draws docs/figures/ranked_lists.png: the page of the worst thermal queries, opened from the disk in Chromium without a network.

Run: python docs/figures/ranked_lists.py, with Chromium installed
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
    model = mv.load_model(device="cpu")
    table = mv.embed(model, mv.samples(), progress=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        saved = mv.save_ranked_lists(table, folder, n=5, k=10, modality="TI", provenance=model.provenance)
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=CHROMIUM_OPTIONS)
        page = browser.new_context(viewport={"width": 900, "height": 760}, offline=True).new_page()
        page.goto(saved.page.as_uri())
        page.wait_for_timeout(500)
        shot = page.screenshot(animations="disabled", caret="hide")
        browser.close()
    save_picture(shot, "ranked_lists")


if __name__ == "__main__":
    main()
