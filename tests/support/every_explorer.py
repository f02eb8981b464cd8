"""A notebook with every explorer and list in it, over a tiny model and drawn pictures: for tests of what they have in common."""

from __future__ import annotations

from pathlib import Path

import nbformat

_SETUP = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import numpy as np
from PIL import Image
from support.tiny import pictures, tiny_model
import mswin_viz as mv
from mswin_viz.data.sample import Sample

model, folder = tiny_model(), Path("people").resolve()
folder.mkdir(exist_ok=True)
samples = []
for at, picture in enumerate(pictures(8)):
    Image.fromarray(np.roll(picture, at, axis=1)).save(folder / f"p{{at}}.png")
    samples.append(Sample(at % 3, at, {{"RGB": folder / f"p{{at}}.png"}}, root=folder))
"""
CELLS = {
    "scales": "scales = mv.ScaleExplorer(model, samples, prompt='a person')\nscales",
    "attributions": "attributions = mv.AttributionExplorer(model, samples, prompt='a person')\nattributions",
    "retrieval": "table = mv.embed(model, samples, progress=False)\nretrieval = mv.RetrievalView(model, samples, table=table)\nretrieval",
    "embeddings": "embeddings = mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table))\nembeddings",
    "findings": "findings = mv.FindingsView([mv.wrong_identities(table), mv.outliers(table)], per_page=3)\nfindings",
    "texts": "texts = mv.TextSearchView(model, samples, table=table, k=3)\ntexts",
}
"""Name of the variable -> the cell that makes and shows it."""


def write_notebook(path: Path, names: tuple[str, ...] = tuple(CELLS)) -> None:
    """A notebook whose first cell prepares, and that shows one explorer a cell."""
    setup = _SETUP.format(tests=str(Path(__file__).resolve().parents[1]))
    cells = [nbformat.v4.new_code_cell(source) for source in (setup, *(CELLS[name] for name in names))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
