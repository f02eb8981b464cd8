"""The scale explorer as a page: its images, modalities, rows and values, each at every scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.scales.pyramid import can_be_at_every_scale
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import n_of
from mswin_viz.view.page.page_images import chosen_images, folderless, strip_traits
from mswin_viz.view.page.page_plan import (
    NO_ANSWER,
    PagePins,
    PagePlan,
    PageTable,
    Traits,
    menu_choice,
    menu_values,
)
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.scales.page_answers import PageChoices, ScaleAnswers
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import THOUSANDTHS, VALUES
from mswin_viz.view.widgets.markup import Html
from mswin_viz.view.widgets.section_bar import SectionBar

_ONE_SCALE = "In this page the free windows stay at one scale: they overlap, are tiles, or stand in a slot of the fusion."
_WORKS = "Works without a kernel: images, {rows}modality, value, scale, colours, {pins}"
_PINS = "panels and pins. A click on a window lists its numbers; what else the live explorer computes for it is not in this page."
_NO_PAIR = "Of pairs, this page holds only the one that was on screen; this is the image that you chose."
_FREE = ("scale", "value", "rows")


@dataclass(frozen=True, eq=False)
class ScalePage:
    """Makes the plan of a scale explorer's page from the explorer's parts; ``hidden`` are those that are left out."""

    root: widgets.Widget
    samples: Sequence[Sample]
    models: ExploredModels
    controls: Controls
    board: HeatmapBoard
    sections: SectionBar
    html: dict[str, Html]
    hidden: Sequence[widgets.Widget]

    def plan(self, images: int, stop: Stop) -> PagePlan:
        """What the page holds, of at most so many images; ``stop`` ends the work on its answers."""
        c, display = self.controls, self.controls.of_the_display
        is_pair = c.rows.value == "pair"
        positions = chosen_images(images, len(self.samples), [c.strip.selected, *[c.strip.second] * is_pair])
        shown = [self.samples[at] for at in positions]
        modalities = [name for name in MODALITIES if any(name in sample.images for sample in shown)]
        has_several = len(modalities) > 1 or c.rows.value == "modalities"
        rows = [*["modalities"] * has_several, "one", *["pair"] * is_pair]
        choices = PageChoices(positions, modalities, rows, c.strip.selected, c.request(self.samples))
        answers = ScaleAnswers(self.samples, self.models, c, self.board, self.html, choices, stop)
        n_images = n_of(len(positions), len(self.samples), "images")
        axes = ((c.strip, "selected"), (c.strip, "modality"), (c.rows, "value"), (c.value, "value"))
        of_legend = (
            (c.rows, "value"),
            (c.value, "value"),
            (display["cmap"], "value"),
            (display["shared"], "value"),
        )
        tables = (
            PageTable(axes, answers.answers(), answers.n, answers.n_of_an_image, n_images),
            PageTable(of_legend, answers.legends()),
            PageTable(((c.strip, "modality"),), answers.scores()),
        )
        return PagePlan(
            title=f"Scale explorer: {n_images}", about=self._about(choices), root=self.root,
            live=(c.scale, c.value, *[c.rows] * (len(rows) > 1), *display.values()),
            changed=self._changed(choices) | {c.value: menu_choice(c.value, answers.values, c.value.value)}, tables=tables, hidden=self.hidden, board=self.board,
            message=self.html["message"], pins=PagePins(self.html["inspection"], c.scale, 3, VALUES, THOUSANDTHS),
            reset=self._reset(choices, answers.values), fallback={c.rows: {"index": 0}},
            no_answer=_NO_PAIR if is_pair else NO_ANSWER, words=folderless(self.samples), made_at={"scale": c.scale.value},
        )  # fmt: skip

    def _changed(self, choices: PageChoices) -> dict[widgets.Widget, Traits]:
        c, bar = self.controls, self.sections
        kept = ["measure", *["fusion"] * (len(choices.rows) > 1), "display", "help"]
        slider: dict[str, Any] = {"is_followed": False}
        if not can_be_at_every_scale(choices.now.view_request):
            slider |= {"disabled": True, "tooltip": _ONE_SCALE}
        strip = strip_traits(c.strip, self.samples, choices.positions, choices.modalities)
        if "pair" in choices.rows:
            strip["second"] = choices.positions.index(c.strip.second)
        return {
            c.strip: {**strip, "has_scores": bool(choices.now.prompts) and self.models.has_text},
            c.rows: menu_choice(c.rows, _in_order(c.rows, choices.rows), c.rows.value),
            c.scale: slider,
            self.board: {
                "rows": [],
                "columns": [],
                "pyramid": {},
                "answered": {},
                "failed": None,
                "fits": {},
            },
            **{self.html[name]: {"value": ""} for name in ("inspection", "message", "progress")},
            bar: {
                "sections": [section for section in bar.sections if section["key"] in kept],
                "unfolded": [key for key in bar.unfolded if key in kept],
                "can_undo": None,
            },
        }

    def _reset(self, choices: PageChoices, values: Sequence[str]) -> dict[widgets.Widget, Traits]:
        """What works in the page, as at first."""
        c = self.controls
        first: dict[widgets.Widget, Traits] = {self.board: {"hidden": [], "pinned": None}}
        limited = {"rows": choices.rows, "value": values}
        free = [name for name in _FREE if name != "scale" or can_be_at_every_scale(choices.now.view_request)]
        for name in (*free, *c.of_the_display):
            control, value = getattr(c, name), c.first[name]
            if hasattr(control, "_options_labels"):
                offered = _in_order(control, limited.get(name, menu_values(control, {})))
                first[control] = {"index": offered.index(value) if value in offered else 0}
            else:
                first[control] = {"value": value}
        return first

    def _about(self, choices: PageChoices) -> list[str]:
        c, now = self.controls, choices.now
        others = [f"channel {c.channel.value}"]
        if now.target == "image" or now.rows == "pair":
            others.append(f"second image {now.second.label}, {now.second.name}")
        every: dict[str, Any] = dict(c.of_the_view)
        fixed = [
            f"{control.description} {_in_words(control)}"
            for name, control in every.items()
            if name not in (*_FREE, "channel") and control.value and not getattr(control, "disabled", False)
        ]
        works = _WORKS.format(
            rows="rows, " * (len(choices.rows) > 1), pins=_PINS if self.board.pinnable else "and panels."
        )
        return [works, f"Fixed as they were: {'; '.join([*fixed, *others])}."]


def _in_order(menu: Any, values: Sequence[str]) -> list[str]:
    return [value for value in menu_values(menu, {}) if value in values]


def _in_words(control: Any) -> str:
    """What a control stands at."""
    if hasattr(control, "_options_labels"):
        return str(control._options_labels[control.index])
    return " / ".join(line for line in str(control.value).splitlines() if line.strip())
