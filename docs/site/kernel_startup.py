"""Run by each kernel of the build before the notebook: explorers are displayed as the pages that they can be saved as."""

from __future__ import annotations

import hashlib
import html
import os
from pathlib import Path
from typing import Any

from IPython import get_ipython

IMAGES = {"ScaleExplorer": 4}
"""How many images a page holds, where its own number is larger than a page of the site needs."""
_HEIGHT = 820  # CSS pixels, until the page says how high it is


def _live(view: Any, include: object = None, exclude: object = None) -> dict[str, str]:
    kind = type(view).__name__
    page = view.page(images=IMAGES.get(kind)).encode()
    name = f"{kind}_{hashlib.sha256(page).hexdigest()[:12]}.html"
    (Path(os.environ["DOCS_LIVE_PAGES"]) / name).write_bytes(page)
    frame = (
        f'<iframe class="live-view" src="../live/{name}" title="{html.escape(repr(view))}" loading="lazy" '
        f'style="height: {_HEIGHT}px"></iframe>'
    )
    return {"text/html": frame, "text/plain": repr(view)}


get_ipython().display_formatter.mimebundle_formatter.for_type_by_name(
    "mswin_viz.view.page.saved_page", "SavedAsPage", _live
)
