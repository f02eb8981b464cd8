"""A site of one page and some notebooks, built with the configuration of the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat

__all__ = ["build", "write_notebook", "write_pages"]
ROOT = Path(__file__).resolve().parents[2]


def write_pages(folder: Path, *notebooks: str) -> None:
    """The first page, which links to the first notebook and lists them all."""
    (folder / "pages").mkdir(exist_ok=True)
    (folder / "notebooks").mkdir(exist_ok=True)
    listed = "\n".join(f"notebooks/{name}" for name in notebooks)
    (folder / "pages" / "index.md").write_text(
        f"# A site\n\n[back](notebooks/{notebooks[0]}.ipynb)\n\n:::{{toctree}}\n{listed}\n:::\n"
    )


def write_notebook(folder: Path, name: str, *cells: str) -> None:
    """A notebook with a heading, a link to the first page, and cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell(f"# A notebook, {name}\n\n[the first page](../docs/index.md)"),
        *map(nbformat.v4.new_code_cell, cells),
    ]
    nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")


def build(folder: Path, output: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Build the site into a folder beside its pages; outputs of notebooks are kept in ``kept/state``."""
    settings = {
        "live_notebooks_source": folder / "notebooks",
        "nb_execution_cache_path": folder / "kept" / "state",
    }
    return subprocess.run(
        [
            sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--no-color", *options, "-c", ROOT / "docs",
            "-d", folder / "doctrees", "-b", "html", *(f"-D{name}={value}" for name, value in settings.items()),
            folder / "pages", folder / output,
        ],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
