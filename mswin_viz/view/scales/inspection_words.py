"""The window that is pinned on a board: its exact share beside the change when it is removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mswin_viz.analysis.scales.inspection import inspected_window
from mswin_viz.errors import MswinVizError
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.scales.share_bars import inspection_html
from mswin_viz.view.widgets.guarded import problem_words
from mswin_viz.view.widgets.markup import Markup, fragment, message_html


def inspection_words(result: ExplorerResult | None, pinned: Mapping[str, Any] | None) -> Markup:
    """A table of the pinned window, or the reason why it cannot be inspected; empty if no window is pinned."""
    if not pinned or result is None:
        return fragment()
    key, row, window = (pinned[name] for name in ("key", "row", "window"))
    try:
        inspection = inspected_window(result.subject, result.view, key, row, window)
        where = f"Window {window} of {result.view.panel(key).title}, {result.names[row]}"
    except MswinVizError as problem:
        return message_html([problem_words(problem)])
    return inspection_html(inspection, where)
