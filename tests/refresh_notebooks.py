"""Executes every notebook and stores its text outputs only: no images, no widget state. `make notebooks` runs it.

Of a view the line of text stays; the picture beside it (``text/html``) goes as every picture does.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
_PICTURES = ("image/png", "image/svg+xml", "image/jpeg")
_VIEW = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> None:
    """Run one notebook from its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in (*_PICTURES, *(["text/html"] if _VIEW in data else [])):
                data.pop(kind, None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"executing {path.name}")
        refresh(path)
