"""The attribution explorer's controls: widgets and their layout, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS, refusal
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks
from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import FEATURES, MODALITIES, choices

_WIDE = {"description_width": "84px"}
_ROW = {"width": "420px"}
_BUTTONS = {**_WIDE, "button_width": "auto"}
_TERMS = {
    "modality": ("modality",), "pair": ("target",), "prompt": ("prompt",),
    "features": ("plain CLS", "enhanced CLS"), "methods": ("attribution",),
}  # fmt: skip
_FIRST = ("integrated_gradients", "gradcam", "legrad")


@dataclass(frozen=True, eq=False)
class AttributionControls:
    """What is to be attributed, and how."""

    sample: widgets.Dropdown
    modality: widgets.ToggleButtons
    pair: widgets.Dropdown
    prompt: widgets.Text
    features: widgets.ToggleButtons
    methods: widgets.SelectMultiple
    n_steps: widgets.IntSlider

    @property
    def samples(self) -> tuple[int, ...]:
        """Positions of the chosen sample, and of the one it is compared with, if any."""
        return tuple(int(i) for i in (self.sample.value, self.pair.value) if i is not None and i >= 0)

    @property
    def chosen_features(self) -> tuple[str, ...]:
        """The features that are explained."""
        return tuple(FEATURES) if self.features.value == "both" else (str(self.features.value),)

    def calls(self, model: Model) -> dict[str, dict[str, Any]]:
        """Method -> keyword arguments of ``attribute``: pixels where a method has a map of them."""
        block = max(0, n_blocks(model) - 2)
        shared = {"n_steps": self.n_steps.value, "n_samples": max(2, self.n_steps.value // 2)}
        return {name: _call(name, block) | shared for name in self.methods.value}

    def layout(self) -> widgets.Box:
        """All controls, in two columns."""
        left = widgets.VBox([self.sample, self.modality, self.pair, self.prompt, self.features])
        right = widgets.VBox([self.methods, self.n_steps])
        return widgets.HBox([left, right], layout={"flex_flow": "row wrap", "grid_gap": "4px 24px"})


def make_attribution_controls(
    names: Sequence[str], *, prompt: str, has_text: bool, has_addon: bool
) -> AttributionControls:
    """Controls for the samples of these names."""
    options = [(name, at) for at, name in enumerate(names)]
    features = {**FEATURES, "both": "both"} if has_addon else {"plain": FEATURES["plain"]}
    made = AttributionControls(
        sample=widgets.Dropdown(options=options, value=0, description="image", style=_WIDE, layout=_ROW),
        modality=widgets.ToggleButtons(options=choices(MODALITIES), description="modality", style=_BUTTONS, layout=_ROW),
        pair=widgets.Dropdown(options=[("the prompt below", -1), *options], description="compare to", style=_WIDE, layout=_ROW),
        prompt=widgets.Text(
            prompt, description="prompt", continuous_update=False, disabled=not has_text, style=_WIDE, layout=_ROW
        ),
        features=widgets.ToggleButtons(options=choices(features), value=list(features)[has_addon], description="feature", style=_BUTTONS, layout=_ROW),
        methods=widgets.SelectMultiple(
            options=choices(METHOD_LABELS), value=_FIRST, rows=len(METHOD_LABELS), description="methods", style=_WIDE, layout=_ROW
        ),
        n_steps=widgets.IntSlider(16, min=4, max=64, step=4, description="steps", style=_WIDE, layout=_ROW),
    )  # fmt: skip
    for name, terms in _TERMS.items():
        explained(getattr(made, name), *terms)
    for name in ("modality", "features"):
        # ipywidgets lines up the labels of all its controls but toggle buttons
        getattr(made, name).add_class("widget-inline-hbox")
    for name in ("methods", "sample"):
        getattr(made, name).add_class(f"mswin-attribution-{name}")
    return made


def _call(name: str, block: int) -> dict[str, Any]:
    """Pixels where there is a map of them; else tokens or windows, behind the last block that both CLS read."""
    if name == "shapley":
        return {"method": name, "level": "windows", "scale": 8, "block": block, "baseline": "mean"}
    if refusal(name, "pixels"):
        own = {"gradcam": {"block": block}, "exact_split": {"baseline": "mean"}}
        return {"method": name, "level": "tokens"} | own.get(name, {})
    return {"method": name, "level": "pixels"}
