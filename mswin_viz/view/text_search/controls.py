"""The controls of the search by text: the text, which CLS, and how many hits."""

from __future__ import annotations

from dataclasses import dataclass

import ipywidgets as widgets

from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import FEATURES, choices

MOST_K = 24
"""Most hits in a row."""


@dataclass(frozen=True, eq=False)
class TextControls:
    """Widgets, to be set from code as by hand."""

    prompt: widgets.Text
    feature: widgets.ToggleButtons
    k: widgets.BoundedIntText

    def layout(self, *more: widgets.Widget) -> widgets.Box:
        """All of them and more, in a row that wraps."""
        parts = [self.prompt, self.feature, self.k, *more]
        return widgets.HBox(parts, layout={"flex_flow": "row wrap", "align_items": "center"}).add_class(
            "mswin-group"
        )


def text_controls(*, has_addon: bool) -> TextControls:
    """Controls for a model; only the plain CLS can be chosen where nothing is enhanced."""
    labels = FEATURES if has_addon else {"plain": FEATURES["plain"]}
    made = TextControls(
        prompt=widgets.Text(
            description="text", placeholder="a person in a red jacket, then Enter", continuous_update=False,
            layout={"width": "420px", "max_width": "100%"}, style={"description_width": "34px"},
        ),
        feature=widgets.ToggleButtons(options=choices(labels), value="plain", style={"button_width": "auto"}),
        k=widgets.BoundedIntText(8, min=1, max=MOST_K, description="hits", layout={"width": "120px"}, style={"description_width": "34px"}),
    )  # fmt: skip
    explained(made.prompt, "prompt")
    explained(made.feature, "plain CLS", *(("enhanced CLS",) if has_addon else ()))
    explained(made.k, "result")
    for name in ("prompt", "feature", "k"):
        getattr(made, name).add_class(f"mswin-text-{name}")
    return made
