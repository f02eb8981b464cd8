"""The line of buttons that unfold the sections of a view, undo a step, reset it, and show it on the full screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from mswin_viz.errors import OptionError
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.lifetime import ClosedWhole


class SectionError(OptionError, traitlets.TraitError):
    """The bar was told to unfold a section that it does not have; what is unfolded stays."""


class SectionBar(ClosedWhole, anywidget.AnyWidget):
    """Buttons for the sections of the view around it, folded at first; the browser folds them without the kernel.

    A section is a widget of class ``mswin-section`` and ``mswin-section-KEY`` in the same view of class
    ``mswin-explorer``. The browser says ``{"kind": "reset"}`` or ``{"kind": "undo"}`` at the buttons of these names, the
    latter at Ctrl+Z in the view, too, outside text fields; "full screen" is its own.

    Parameters
    ----------
    sections
        Key -> what stands on the button and its tooltip.
    """

    _esm = script("section_bar")
    _css = style("section_bar")

    sections = traitlets.List(traitlets.Dict()).tag(sync=True)  # key, label and hint of each
    unfolded = traitlets.List(traitlets.Unicode()).tag(sync=True)  # keys
    can_undo = traitlets.Bool(False).tag(sync=True)  # whether there is a step to take back

    def __init__(self, sections: Mapping[str, tuple[str, str]], **traits: Any) -> None:
        about = [{"key": key, "label": label, "hint": hint} for key, (label, hint) in sections.items()]
        super().__init__(sections=about, **traits)

    def __repr__(self) -> str:
        return f"SectionBar({', '.join(self.names)}; unfolded: {', '.join(self.unfolded) or 'none'})"

    @property
    def names(self) -> list[str]:
        """The sections, in order."""
        return [section["key"] for section in self.sections]

    @traitlets.validate("unfolded")
    def _checked_keys(self, proposal: Any) -> list[str]:
        unknown = [key for key in proposal["value"] if key not in self.names]
        if unknown:
            raise SectionError(f"a section is one of {', '.join(self.names)}: got {unknown[0]!r}")
        return proposal["value"]
