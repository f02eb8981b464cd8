"""Which panels of what is shown can be pinned, and whether a pin is of something that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mswin_viz.analysis.scales.token_panels import CLS_PANEL, PATCH_PANELS
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.data.shown_text import numbered
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.view.scales.shown_results import ShownResults


def pinnable_keys(shown: ShownResults) -> list[str]:
    """Panels whose windows or patches can be inspected, in a model at least."""
    every = {key for result in shown.results for key in pinnable_in(result.view)}
    return [panel.key for panel in shown.panels if panel.key in every]


def pinnable_in(view: ScaleView) -> list[str]:
    """Those of one model: what a fusion reads, or would read were their slot on."""
    patches = () if view.patch_slots is None else PATCH_PANELS
    keys = [panel.key for panel in view.panels]
    return [key for key in keys if key in view.places or key in patches or key.startswith("scale-")]


def pinned_kind(key: str) -> str:
    """What a pin in a panel marks: a "patch" or a "window"."""
    return "patch" if key in (CLS_PANEL, *PATCH_PANELS) else "window"


def pin_problem(shown: ShownResults, pinned: Mapping[str, Any]) -> str:
    """Why a pin is not of what is shown: the rule, and what was got. Empty if it is there."""
    key, row, window = (pinned[name] for name in ("key", "row", "window"))
    keys = pinnable_keys(shown)
    if key not in keys:
        takes = f"one of {', '.join(keys)}" if keys else "none: nothing can be removed without an add-on"
        return f"the panel of a pin must be {takes}: got {value_words(key)}"
    if row >= len(shown.rows):
        return f"the row of a pin must be {numbered(len(shown.rows))}: got {row}"
    (panel,) = (panel for panel in shown.panels if panel.key == key)
    if window >= panel.geometry.n_windows:
        return (
            f"the window of a pin in {panel.title} must be {numbered(panel.geometry.n_windows)}: got {window}"
        )
    return ""
