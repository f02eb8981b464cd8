"""Notebooks as pages: they are executed, and each explorer in them becomes the page that works without a kernel.

In a kernel of the build, whatever can be saved as a page (`SavedAsPage`) writes that page when it is displayed, and the
notebook shows it in a frame. The pages lie beside the kept outputs, since a notebook that has not changed is not run again,
unless one of its pages is gone. A cell that fails is a warning, and so is a widget that no page can show, so that the build
fails.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from myst_nb.core.render import WIDGET_STATE_MIMETYPE, WIDGET_VIEW_MIMETYPE
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGES = "live"
"""The folder of the site that holds the pages of explorers; the first of each notebook also by the notebook's name, for other pages."""

NO_EXPLORER = "<!DOCTYPE html><p>There is no explorer here: the notebooks were not executed when this site was built.</p>"

LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("live_notebooks_source", str(ROOT / "notebooks"), "env", str)
    app.connect("config-inited", _prepared)
    app.connect("env-get-outdated", _not_whole)
    app.connect("doctree-read", _all_cells_ran)
    app.connect("doctree-read", _all_widgets_shown)
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


def _not_whole(app: Sphinx, env: BuildEnvironment, *_of_sphinx: object) -> list[str]:
    """The notebooks that have no kept outputs, or only outputs that show a page that is gone; these are kept no longer."""
    if app.config.nb_execution_mode != "cache":
        return []
    cache = get_cache(app.config.nb_execution_cache_path)
    again = []
    for name in _notebooks(env):
        try:
            notebook = nbformat.read(env.doc2path(name), as_version=4)
            record = cache.match_cache_notebook(notebook)
            shown = nbformat.writes(cache.get_cache_bundle(record.pk).nb)
        except (KeyError, ValueError):  # nothing is kept, or the reader of notebooks will say what is wrong
            again.append(name)
            continue
        if not all((Path(os.environ["DOCS_LIVE_PAGES"]) / page).is_file() for page in _pages_in(shown)):
            cache.remove_cache(record.pk)
            again.append(name)
    return again


def _notebooks(env: BuildEnvironment) -> Iterator[str]:
    return (name for name in sorted(env.found_docs) if str(env.doc2path(name)).endswith(".ipynb"))


def _pages_in(text: str) -> list[str]:
    """The names of the pages of explorers that a notebook or its page shows, in order."""
    return re.findall(rf"\.\./{PAGES}/(\w+\.html)", text)


def _all_widgets_shown(app: Sphinx, document: nodes.document) -> None:
    """Warn of each widget that would be a line of plain text on the page, in notebooks that were run for the site."""
    if (
        NbMetadataCollector.get_exec_data(app.env, app.env.docname) is None
    ):  # the stored outputs have no pictures
        return
    for output in document.findall(nodes.container):
        kinds = {getattr(one, "attributes", {}).get("mime_type"): one for one in output.children}
        if WIDGET_VIEW_MIMETYPE not in kinds or "text/html" in kinds:
            continue
        line = kinds["text/plain"].astext() if "text/plain" in kinds else "a widget"
        LOG.warning(
            "each widget in an output must be an explorer, a view with a stored picture, or a box with nothing but explorers; "
            "got %s: display the explorer by itself, or end the line with a semicolon",
            shorten(line, 100, placeholder="..."), location=app.env.docname, type="live_notebooks",
        )  # fmt: skip
        app.env.note_reread()  # a warning comes only when a notebook is read, so it is read in the next build too


def _without_widget_state(
    _app: Sphinx, _name: str, _template: str, context: dict[str, Any], _tree: object
) -> None:
    """Leave out what the kernel knew of its widgets, some megabytes: nothing in a page of this site reads it."""
    scripts = context.get("script_files", [])
    context["script_files"] = [
        one for one in scripts if getattr(one, "attributes", {}).get("type") != WIDGET_STATE_MIMETYPE
    ]


def _all_cells_ran(app: Sphinx, _document: nodes.document) -> None:
    """Warn of a notebook in which a cell failed; its outputs are not kept, so that it is run again in the next build."""
    executed = NbMetadataCollector.get_exec_data(app.env, app.env.docname)
    if executed is None or executed["succeeded"]:
        return
    said = re.sub(r"\x1b\[[0-9;]*m", "", executed["traceback"] or "")
    kind = executed["error"] or "an error"
    cell = re.search(r"\n-{5,}\n\s*(.+)", said)
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [kind]
    if (
        kind != "CellExecutionError"
    ):  # a kernel that died or took too long: its own words come before the cell's
        lines = [line for line in lines if f"{kind}:" in line] or [kind]
    place = f"the cell that begins with {cell[1]!r}" if cell else "a cell"
    LOG.warning("%s failed: %s", place, lines[-1], location=app.env.docname, type="live_notebooks")


def _copied(app: Sphinx, problem: Exception | None) -> None:
    if problem is not None or app.builder.format != "html":
        return
    kept, shown = Path(os.environ["DOCS_LIVE_PAGES"]), Path(app.outdir) / PAGES
    shutil.rmtree(shown, ignore_errors=True)
    shutil.rmtree(
        Path(app.outdir) / "reports", ignore_errors=True
    )  # tracebacks of cells, of which warnings tell
    shown.mkdir()
    for page in (Path(app.outdir) / "notebooks").glob("*.html"):
        if f"notebooks/{page.stem}" not in app.env.found_docs:
            page.unlink()  # of a notebook that has been renamed or deleted
            continue
        names = _pages_in(page.read_text(encoding="utf-8"))
        for name in names:
            shutil.copy(kept / name, shown / name)
        if names:
            shutil.copy(kept / names[0], shown / page.name)
        else:
            (shown / page.name).write_text(NO_EXPLORER, encoding="utf-8")
