"""Draws docs/explorer.png: the first explorer of notebooks/explore_scales.ipynb in JupyterLab, its CLS split by input patch.

Run: python docs/explorer.py, with Chromium installed
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import Lab  # noqa: E402  (the tests are no package)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1440, 900)) as lab:
        shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", folder)
        lab.open("explore_scales.ipynb")
        lab.run_all(timeout=300)
        lab.control(".mswin-cls input").click()
        lab.page.locator(".mswin-heatmap[data-key=cls] canvas").wait_for(timeout=120_000)
        lab.wait_idle(timeout=120)
        explorer = lab.page.locator(".mswin-heatmap[data-key=cls]").locator(
            "xpath=ancestor::*[contains(@class, 'jp-OutputArea-output')][1]"
        )
        file = Path(folder) / "explorer.png"
        explorer.screenshot(path=file, animations="disabled", caret="hide")
        Image.open(file).convert("RGB").quantize(256).save(
            Path(__file__).parent / "explorer.png", optimize=True
        )


if __name__ == "__main__":
    main()
