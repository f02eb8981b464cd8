"""Run by each kernel of the build before the notebook: explorers are displayed as the pages that they can be saved as.

So are boxes with nothing but explorers in them, one frame below the other.
"""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from IPython import get_ipython

IMAGES = {"ScaleExplorer": 4}
"""How many images a page holds, where its own number is larger than a page of the site needs."""
_HEIGHT = 820  # CSS pixels, until the page says how high it is


def _live(view: Any, include: object = None, exclude: object = None) -> dict[str, str]:
    return {"text/html": _frame(view), "text/plain": repr(view)}


def _frame(view: Any) -> str:
    kind = type(view).__name__
    page = view.page(images=IMAGES.get(kind)).encode()
    name = f"{kind}_{hashlib.sha256(page).hexdigest()[:12]}.html"
    (Path(os.environ["DOCS_LIVE_PAGES"]) / name).write_bytes(page)
    return (
        f'<iframe class="live-view" src="../live/{name}" title="{html.escape(repr(view))}" loading="lazy" '
        f'style="height: {_HEIGHT}px"></iframe>'
    )


def _box(box: Any, include: object = None, exclude: object = None) -> Any:
    """A box with nothing but explorers in it as their frames; any other as ipywidgets displays it."""
    inner = list(_innermost(box))
    if inner and all(_is_explorer(one) for one in inner):
        return {"text/html": "".join(map(_frame, inner)), "text/plain": repr(box)}
    return box._repr_mimebundle_(include=include, exclude=exclude)


def _innermost(widget: Any) -> Iterator[Any]:
    children = () if _is_explorer(widget) else getattr(widget, "children", ())
    for child in children:
        yield from _innermost(child)
    if not children:
        yield widget


def _is_explorer(widget: Any) -> bool:
    return any((one.__module__, one.__name__) == EXPLORER for one in type(widget).__mro__)


EXPLORER = ("mswin_viz.view.page.saved_page", "SavedAsPage")
_formatter = get_ipython().display_formatter.mimebundle_formatter
_formatter.for_type_by_name(*EXPLORER, _live)
_formatter.for_type_by_name("ipywidgets.widgets.widget_box", "Box", _box)
