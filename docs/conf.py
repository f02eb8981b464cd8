"""How the site is built from these pages: ``make docs``. No page and no file of it comes from a network."""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import inspect as sphinx_inspect
from traitlets import HasTraits

from mswin_viz import __version__

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "site"))  # the extensions beside this file

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]

project = "mswin_viz"
author = "the mswin_viz developers"
project_copyright = "the mswin_viz developers, MIT licence"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "code_links",
    "live_notebooks",
    "reference_style",
]
exclude_patterns = ["_*", "site", "figures/*.py"]
nitpicky = False
suppress_warnings = [
    "mystnb.unknown_mime_type",  # widgets: pages show what stands for them without a kernel
    "mystnb.exec",  # live_notebooks says which cell failed
]

# Pages
myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Notebooks are executed, and their outputs kept until the package, what they import, or they themselves change.
nb_execution_mode = os.environ.get("DOCS_NOTEBOOKS", "cache")
nb_execution_raise_on_error = False  # live_notebooks warns, with the cell and its error
nb_execution_timeout = 900
nb_merge_streams = True
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]


def _of_package() -> str:
    """A hash of everything that decides what a notebook shows."""
    digest = hashlib.sha256()
    folders = (ROOT / "mswin_viz", ROOT / "data_samples")
    files = [file for folder in folders for file in folder.rglob("*")]
    files += [*(ROOT / "notebooks").glob("*.py"), *(HERE / "site").glob("*.py"), ROOT / "constraints.txt"]
    for file in sorted(file for file in files if file.is_file() and "__pycache__" not in file.parts):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


nb_execution_cache_path = str(ROOT / "build" / "notebooks" / _of_package())

# Reference
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ImageSource": "ImageSource"}
maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_attr_annotations = False
autosummary_generate = False

# Looks
html_theme = "pydata_sphinx_theme"
html_title = "mswin_viz"
html_baseurl = URLS["Documentation"]
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_js_files = ["frames.js"]
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # a page opened from the disk may not read others
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "mswin_viz"},
    "github_url": URLS["Source"],
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "notebooks/[a-z]*": [],  # the whole width
    **{
        page: [] for page in ("index", "start", "which_tool", "numbers", "platforms")
    },  # nothing is in their section
}


def _of_init(_app, kind, _name, described, _options, signature, returned):
    """Views are made by ``__init__``; autodoc looks at the ``__new__`` that all widgets share."""
    if kind != "class" or not issubclass(described, HasTraits):
        return signature, returned
    own = sphinx_inspect.signature(described.__init__, bound_method=True)
    return sphinx_inspect.stringify_signature(
        own, show_return_annotation=False, unqualified_typehints=True
    ), None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _of_init)
