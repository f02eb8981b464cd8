"""Where everything of the scale explorer stands: the images, the scale with the heatmaps below it, and the rest folded."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets

from mswin_viz.view.parts.html import badge_html
from mswin_viz.view.scales.bar import ExplorerBar
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.scales.legend import help_html
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import SECTIONS
from mswin_viz.view.widgets.markup import Html, fragment
from mswin_viz.view.widgets.section_bar import SectionBar

_NUMBERS = ("inspection", "scores")


def section_bar() -> SectionBar:
    """The buttons that unfold what is not needed for a first look."""
    return SectionBar(SECTIONS)


def explorer_html(models: ExploredModels, progress: Html, legend: Html) -> dict[str, Html]:
    """The explorer's words, by name; ``progress`` is the line of the work in the background."""
    names = models.names if len(models.names) > 1 else ("",)
    badges = (
        badge_html(model.provenance_items, name) for name, model in zip(names, models.models, strict=True)
    )
    return {
        "badge": Html(fragment(*badges)),
        "message": Html().add_class("mswin-explorer-message"),
        "progress": progress,
        "legend": legend,
        "help": Html(help_html()),
        **{name: Html().add_class("mswin-numbers").add_class(f"mswin-{name}") for name in _NUMBERS},
    }


def arranged(
    controls: Controls,
    board: HeatmapBoard,
    bar: ExplorerBar,
    sections: SectionBar,
    html: Mapping[str, Html],
) -> list[widgets.Widget]:
    """The explorer's children, from top to bottom; the board follows the display controls in the browser."""
    board.follow({name: (control, "value") for name, control in controls.of_the_display.items()})
    first = widgets.HBox([controls.scale, sections]).add_class("mswin-first-row")
    folded = {**controls.sections(), "files": bar, "help": html["help"]}
    for key, part in folded.items():
        part.add_class("mswin-section").add_class(f"mswin-section-{key}")
    numbers = [html[name] for name in _NUMBERS]
    above = [controls.strip, first, *folded.values(), html["message"], html["progress"], html["legend"]]
    return [*above, board, *numbers, html["badge"]]


def reset(controls: Controls, board: HeatmapBoard) -> None:
    """Every control, panel and pin as at first; the images stay."""
    controls.reset()
    board.set_trait("hidden", [])
    board.set_trait("pinned", None)
