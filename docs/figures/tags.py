"""Draws docs/figures/tags.png: points of the embedding explorer, found by search, tagged, and shown alone on both maps.

Run: python docs/figures/tags.py (it needs Chromium, as the browser tests do)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from saved_picture import save_picture

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import Lab  # noqa: E402  (the tests are no package)

CELLS = (
    "import mswin_viz as mv\n"
    "model, root = mv.load_model(), mv.write_samples('people', identities=12, cameras=2, shots=2)\n"
    "samples = mv.samples(root)\n"
    "tags = mv.open_tags(root)\n"
    "for pid, tag in ((3, 'red top'), (7, 'red top'), (5, 'half hidden'), (9, 'half hidden')):\n"
    "    tags.add([sample for sample in samples if sample.pid == pid], tag)\n"
    "table = mv.embed(model, samples, modalities=('RGB',), progress=False)\n"
    "view = mv.embedding_view(table, mv.ViewSettings(perplexity=8))",
    "explorer = mv.EmbeddingExplorer(model, samples, table=table, view=view)\nexplorer",
)
STEPS = (
    "setattr(explorer.board.tag_bar.which, 'value', 'red top')",
    "setattr(explorer.board.tag_bar.mode, 'value', 'hide')",
    "setattr(explorer.controls.search, 'value', '5')",
    "setattr(explorer.board.tag_bar.tag, 'value', 'half hidden')",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1440, 900), timeout=300) as lab:
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, Path(folder) / "tags.ipynb")
        lab.open("tags.ipynb")
        lab.wait_idle(quiet=1.5)
        lab.run_all(timeout=300)
        for step in STEPS:
            lab.ask(step)
            lab.wait_idle(quiet=1)
        lab.page.locator(".mswin-maps").first.evaluate("e => e.scrollIntoView({block: 'start'})")
        lab.wait_idle(quiet=1)
        around = lab.page.locator(".mswin-maps").first.bounding_box()
        below = lab.page.locator(".mswin-tags").first.bounding_box()
        assert around is not None
        assert below is not None
        clip = {name: around[name] for name in ("x", "y", "width")}
        height = below["y"] + below["height"] - around["y"]
        shot = lab.page.screenshot(animations="disabled", clip=clip | {"height": height})
        lab.check()
    save_picture(shot, "tags")


if __name__ == "__main__":
    main()
