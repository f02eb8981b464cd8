"""The attribution explorer's controls: widgets and their layout, no behaviour."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.data.sample import Sample
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.attributions.request import AttributionRequest, method_calls
from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import ATTRIBUTION_TARGETS, FEATURES, choices
from mswin_viz.view.widgets.strip import ThumbnailStrip

_WIDE = {"description_width": "84px"}
_ROW = {"width": "420px"}
_BUTTONS = {**_WIDE, "button_width": "auto"}
_TERMS = {
    "target": ("target",), "prompt": ("prompt",), "features": ("plain CLS", "enhanced CLS"), "methods": ("attribution",),
}  # fmt: skip
_FIRST = ("integrated_gradients", "gradcam", "legrad")


@dataclass(frozen=True, eq=False)
class AttributionControls:
    """What is to be attributed, and how."""

    strip: ThumbnailStrip  # the image, the second image, and the modality of both
    target: widgets.ToggleButtons
    prompt: widgets.Text
    features: widgets.ToggleButtons
    methods: widgets.SelectMultiple
    n_steps: widgets.IntSlider

    @property
    def watched(self) -> list[tuple[widgets.Widget, list[str]]]:
        """Every control, with the traits that a request is read from."""
        boxes = (self.target, self.prompt, self.features, self.methods, self.n_steps)
        return [*((box, ["value"]) for box in boxes), (self.strip, ["selected", "second", "modality"])]

    def request(self, model: Model, samples: Sequence[Sample]) -> AttributionRequest:
        """What they ask for, of the samples in the strip."""
        strip = self.strip
        chosen = [strip.selected, *([strip.second] if self.target.value == "image" else [])]
        features = tuple(FEATURES) if self.features.value == "both" else (str(self.features.value),)
        return AttributionRequest(
            samples=tuple(samples[at] for at in chosen), modality=strip.modality, prompt=str(self.prompt.value),
            features=features, calls=method_calls(model, self.methods.value, n_steps=self.n_steps.value),
        )  # fmt: skip

    def layout(self) -> widgets.Box:
        """The strip above, all other controls in two columns."""
        left = widgets.VBox([self.target, self.prompt, self.features, self.n_steps])
        columns = widgets.HBox([left, self.methods], layout={"flex_flow": "row wrap", "grid_gap": "4px 24px"})
        return widgets.VBox([self.strip, columns])

    @property
    def sample(self) -> _Renamed:
        """Renamed: ``strip.selected``."""
        return _Renamed(self, "sample", "strip.selected", lambda c: c.strip.selected, _select)

    @property
    def modality(self) -> _Renamed:
        """Renamed: ``strip.modality``."""
        return _Renamed(self, "modality", "strip.modality", lambda c: c.strip.modality, _choose_modality)

    @property
    def pair(self) -> _Renamed:
        """Renamed: ``target`` and ``strip.second``."""
        return _Renamed(self, "pair", "target and strip.second", _pair, _choose_pair)


@dataclass(eq=False)
class _Renamed:
    """A control of an earlier version: its value can still be read and set, with a warning."""

    controls: AttributionControls
    name: str
    now: str
    get: Callable[[AttributionControls], Any]
    set: Callable[[AttributionControls, Any], None]

    @property
    def value(self) -> Any:
        """The value under its new name."""
        self._warn()
        return self.get(self.controls)

    @value.setter
    def value(self, value: Any) -> None:
        self._warn()
        self.set(self.controls, value)

    def _warn(self) -> None:
        words = f"controls.{self.name} of an attribution explorer is called controls.{self.now} now"
        warnings.warn(words, DeprecationWarning, stacklevel=3)


def make_attribution_controls(
    samples: Sequence[Sample], *, prompt: str, has_text: bool, has_addon: bool
) -> AttributionControls:
    """Controls for these samples."""
    features = {**FEATURES, "both": "both"} if has_addon else {"plain": FEATURES["plain"]}
    targets = ATTRIBUTION_TARGETS if has_text else {"image": ATTRIBUTION_TARGETS["image"]}
    made = AttributionControls(
        strip=ThumbnailStrip(samples, modality=next(iter(samples[0].images))),
        target=widgets.ToggleButtons(options=choices(targets), description="compare to", style=_BUTTONS, layout=_ROW),
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
    for name in ("target", "features"):
        # ipywidgets lines up the labels of all its controls but toggle buttons
        getattr(made, name).add_class("widget-inline-hbox")
    for name in ("methods", "target", "prompt"):
        getattr(made, name).add_class(f"mswin-attribution-{name}")
    if has_text:
        idle = (made.prompt, "disabled")
        widgets.dlink((made.target, "value"), idle, lambda target: target == "image")
    return made


def _select(controls: AttributionControls, at: int) -> None:
    controls.strip.selected = at


def _choose_modality(controls: AttributionControls, name: str) -> None:
    controls.strip.modality = name


def _pair(controls: AttributionControls) -> int:
    return controls.strip.second if controls.target.value == "image" else -1


def _choose_pair(controls: AttributionControls, at: int) -> None:
    if at >= 0:
        controls.strip.second = at
    controls.target.value = "image" if at >= 0 else "prompt"
