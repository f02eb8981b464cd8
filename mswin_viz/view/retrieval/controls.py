"""The controls of the retrieval view: which query, by which modality, under which rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets as widgets

from mswin_viz.view.retrieval.query_choice import JUMPS
from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import MATCHING_RULES, choices
from mswin_viz.view.widgets.markup import Html

MOST_K = 24
"""Most results in a list."""
_TERMS = {
    "query": ["query"],
    "order": ["match", "margin"],
    "modality": ["modality", "together"],
    "rule": ["matching rule"],
    "k": ["result"],
}


@dataclass(frozen=True, eq=False)
class RetrievalControls:
    """Widgets, to be set from code as by hand."""

    search: widgets.Text
    order: widgets.Dropdown
    order_note: Html
    query: widgets.Dropdown
    count: Html
    previous: widgets.Button
    following: widgets.Button
    jumps: dict[str, widgets.Button]
    modality: widgets.ToggleButtons
    rule: widgets.Dropdown
    k: widgets.BoundedIntText

    def layout(self, *more: widgets.Widget) -> widgets.VBox:
        """All of them and more, in rows that wrap."""
        steps = widgets.HBox([self.previous, self.following, *self.jumps.values()])
        line = {"flex_flow": "row wrap", "align_items": "center"}
        who = widgets.HBox([self.order, self.order_note], layout=line)
        found = widgets.HBox([self.search, self.query, self.count, steps], layout=line)
        how = widgets.HBox([self.modality, self.rule, self.k, *more], layout=line)
        return widgets.VBox([found, who, how]).add_class("mswin-group")


def retrieval_controls(
    modalities: Mapping[str, str], orders: Mapping[str, str], *, has_scenes: bool
) -> RetrievalControls:
    """Controls for modalities to rank by, orders of queries, and their words; the rule of scenes only where there are some."""
    rules = {rule: words for rule, words in MATCHING_RULES.items() if has_scenes or rule != "scene"}
    made = RetrievalControls(
        search=widgets.Text(placeholder="id 12, camera 2, red", description="find query", layout={"width": "260px"}),
        order=widgets.Dropdown(
            options=choices(orders), description="sort by", layout={"width": "450px", "max_width": "100%"},
            style={"description_width": "initial"},
        ),
        order_note=Html(),
        query=widgets.Dropdown(description="query", layout={"width": "420px"}, style={"description_width": "44px"}),
        count=Html(),
        previous=_button("previous", "86px"),
        following=_button("next", "64px"),
        jumps={name: _button(name, "auto") for name in JUMPS},
        modality=widgets.ToggleButtons(
            options=choices(modalities), description="rank by", style={"button_width": "auto", "description_width": "60px"}
        ),
        rule=widgets.Dropdown(
            options=choices(rules), description="matching rule", layout={"width": "450px", "max_width": "100%"}, style={"description_width": "initial"}
        ),
        k=widgets.BoundedIntText(8, min=1, max=MOST_K, description="results", layout={"width": "150px"}),
    )  # fmt: skip
    for name, terms in _TERMS.items():
        explained(getattr(made, name), *terms)
    made.jumps["worst"].tooltip = "lowest average precision in the last list; press again for the next one"
    made.jumps["most changed"].tooltip = "largest change of average precision; press again for the next one"
    for name in ("search", "order", "query", "count", "previous", "following", "modality", "rule", "k"):
        getattr(made, name).add_class(f"mswin-retrieval-{name}")
    for name, button in made.jumps.items():
        button.add_class(f"mswin-retrieval-{name.replace(' ', '-')}")
    return made


def _button(name: str, width: str) -> widgets.Button:
    return widgets.Button(description=name, layout={"width": width})
