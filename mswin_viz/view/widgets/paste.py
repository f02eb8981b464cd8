"""Text that comes from the browser: a button that reads the clipboard, and a box where that is not allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget

from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import ClosedWhole


class Paste(ClosedWhole, anywidget.AnyWidget):
    """Sends the clipboard's text, or what is pasted into its box; ``received`` is called with it."""

    _esm = script("paste")
    _css = style("paste")

    def __init__(self, received: Callable[[str], None], guarded: Guard) -> None:
        super().__init__()
        self._received = received
        self.on_msg(guarded("pasting a state")(lambda _paste, content, _buffers: self._on_message(content)))

    def _on_message(self, content: Mapping[str, Any]) -> None:
        if content.get("kind") == "paste":
            self._received(str(content.get("text", "")))
