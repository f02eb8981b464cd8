"""The notebooks as they are stored: executed, with text outputs, without pictures and widget state.

``python tests/support/notebooks.py`` executes and stores them (``make notebooks``); with ``--check`` it only says what is
wrong with the stored ones, and ends with 1 if anything is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
MOST_CELLS, MOST_LINES = 12, 10
_PICTURES = ("image/png", "image/svg+xml", "image/jpeg")
_VIEW = "application/vnd.jupyter.widget-view+json"


def problems(path: Path) -> Iterator[str]:
    """What is wrong with a stored notebook, in words."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "is not stored as executed from top to bottom: nbval passes over cells without a count"
    if "widgets" in notebook.metadata:
        yield "holds widget state"
    if any(
        kind.startswith("image/") for cell in code for out in cell.outputs for kind in out.get("data", {})
    ):
        yield "holds pictures"
    if len(code) > MOST_CELLS:
        yield f"has {len(code)} code cells: at most {MOST_CELLS}"
    for cell in code:
        if len(cell.source.splitlines()) > MOST_LINES or "def " in cell.source:
            yield f"cell [{cell.execution_count}] is over {MOST_LINES} lines or defines a function"


def refresh(path: Path) -> None:
    """Run one notebook from its own folder and write it back.

    Of a view the line of text stays; the picture beside it (``text/html``) goes as every picture does.
    """
    from nbclient import NotebookClient

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


def main(arguments: list[str]) -> int:
    """Refresh, or check, every notebook."""
    wrong = 0
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if "--check" in arguments:
            for problem in problems(path):
                print(f"notebooks/{path.name} {problem}")
                wrong = 1
        else:
            print(f"executing {path.name}")
            refresh(path)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
