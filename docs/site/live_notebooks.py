"""Notebooks as pages: they are executed, and each explorer in them becomes the page that works without a kernel.

In a kernel of the build, whatever can be saved as a page (`SavedAsPage`) writes that page when it is displayed, and the
notebook shows it in a frame. The pages lie beside the kept outputs, since a notebook that has not changed is not run again.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from myst_nb.core.render import WIDGET_STATE_MIMETYPE
from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGES = "live"
"""The folder of the site that holds the pages of explorers; the first of each notebook also by the notebook's name, for other pages."""

NO_EXPLORER = "<!DOCTYPE html><p>There is no explorer here: the notebooks were not executed when this site was built.</p>"


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("live_notebooks_source", str(ROOT / "notebooks"), "env", str)
    app.connect("config-inited", _prepared)
    app.connect("html-page-context", _without_widget_state, priority=900)  # after the scripts of notebooks
    app.connect("build-finished", _copied)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _prepared(app: Sphinx, config: Config) -> None:
    kept = Path(config.nb_execution_cache_path)
    for other in kept.parent.glob("*") if kept.parent.is_dir() else ():
        if other != kept:  # of another state of the package
            shutil.rmtree(other)
    startup = kept / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "kernel_startup.py", startup / "live.py")
    (kept / PAGES).mkdir(exist_ok=True)
    os.environ["IPYTHONDIR"] = str(kept / "ipython")
    os.environ["DOCS_LIVE_PAGES"] = str(kept / PAGES)
    _brought(Path(config.live_notebooks_source), Path(app.srcdir) / "notebooks")


def _brought(source: Path, target: Path) -> None:
    """Copy the notebooks, and what they import, into the pages; files that are the same keep their time."""
    target.mkdir(exist_ok=True)
    files = {file.name: file for file in [*source.glob("*.ipynb"), *source.glob("*.py")]}
    files.pop("conftest.py", None)
    for file in target.iterdir():
        if file.is_file() and file.name not in files and file.suffix in (".ipynb", ".py"):
            file.unlink()
    for name, file in files.items():
        text = _on_the_site(file.read_text(encoding="utf-8"))
        copy = target / name
        if not copy.is_file() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


def _on_the_site(notebook: str) -> str:
    """Links that lead from a notebook to a page lead from its copy to the same page."""
    return re.sub(r"\]\(\.\./docs/", "](../", notebook)


def _without_widget_state(
    _app: Sphinx, _name: str, _template: str, context: dict[str, Any], _tree: object
) -> None:
    """Leave out what the kernel knew of its widgets, some megabytes: nothing in a page of this site reads it."""
    scripts = context.get("script_files", [])
    context["script_files"] = [
        one for one in scripts if getattr(one, "attributes", {}).get("type") != WIDGET_STATE_MIMETYPE
    ]


def _copied(app: Sphinx, problem: Exception | None) -> None:
    if problem is not None or app.builder.format != "html":
        return
    kept, shown = Path(os.environ["DOCS_LIVE_PAGES"]), Path(app.outdir) / PAGES
    shutil.rmtree(shown, ignore_errors=True)
    shown.mkdir()
    for notebook in (Path(app.outdir) / "notebooks").glob("*.html"):
        names = re.findall(rf"\.\./{PAGES}/(\w+\.html)", notebook.read_text(encoding="utf-8"))
        for name in names:
            shutil.copy(kept / name, shown / name)
        if names:
            shutil.copy(kept / names[0], shown / notebook.name)
        else:
            (shown / notebook.name).write_text(NO_EXPLORER, encoding="utf-8")
