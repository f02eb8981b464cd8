"""Draws docs/figures/explorer.png: the first explorer of notebooks/explore_scales.ipynb in JupyterLab, its CLS split by input patch.

Run: python docs/figures/explorer.py, with Chromium installed
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from saved_picture import save_picture

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import Lab  # noqa: E402  (the tests are no package)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1440, 1200)) as lab:
        shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", folder)
        lab.open("explore_scales.ipynb")
        lab.run_all(timeout=300)
        lab.control(".mswin-cls input").click()
        lab.page.locator(".mswin-heatmap[data-key=cls] canvas").wait_for(timeout=120_000)
        lab.page.locator("progress").first.wait_for(state="hidden", timeout=300_000)  # tokens of every image
        lab.page.get_by_text("its patches").first.wait_for(timeout=300_000)  # the split is there
        lab.page.locator(".mswin-section-bar [aria-expanded=true]").click()
        lab.wait_idle(timeout=120)
        explorer = lab.page.locator(".mswin-heatmap[data-key=cls]").locator(
            "xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')][1]"
        )
        shot = explorer.screenshot(animations="disabled", caret="hide")
    save_picture(shot, "explorer", has_palette=False)


if __name__ == "__main__":
    main()
