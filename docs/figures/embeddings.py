"""Draws docs/figures/embeddings.png: the embedding explorer on the shipped samples, one image opened against a neighbour.

Run: python docs/figures/embeddings.py (it needs Chromium, as the browser tests do)
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
    "model, samples = mv.load_model(), mv.samples()\n"
    "table = mv.embed(model, samples, progress=False)\n"
    "view = mv.embedding_view(table)\n"
    "changes = view.ap_change.argsort()  # the image whose AP changed most, either way\n"
    "row = int(max(changes[0], changes[-1], key=lambda at: abs(view.ap_change[at])))",
    "explorer = mv.EmbeddingExplorer(model, samples, table=table, view=view)\nexplorer",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1400, 1800), timeout=300) as lab:
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, Path(folder) / "embeddings.ipynb")
        lab.open("embeddings.ipynb")
        lab.wait_idle(quiet=1.5)
        lab.run_all(timeout=300)
        lab.ask("explorer.open_row(row)")
        lab.wait_idle(quiet=1)
        lab.ask("setattr(explorer.strip, 'clicked', int(explorer.strip.results['enhanced'].rows[0]))")
        lab.wait_idle(quiet=1)
        lab.ask(
            "setattr(explorer.maps, 'selected', [int(r) for r in (view.table.pid == view.table.pid[row]).nonzero()[0]])"
        )
        lab.wait_idle(quiet=1)
        shot = lab.page.locator(".mswin-embeddings").first.screenshot(animations="disabled")
        lab.check()
    save_picture(shot, "embeddings")


if __name__ == "__main__":
    main()
