"""The explorer's controls: widgets and their layout, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets

from mswin_viz.analysis.scale_view import SLOT_STATES, VALUES, ViewRequest
from mswin_viz.data.layouts import MODALITIES
from mswin_viz.view.heatmap import CMAPS, HeatmapCanvas

__all__ = ["Controls", "display_controls", "make_controls"]

_WIDE = {"description_width": "92px"}
_ROW = {"width": "440px"}


@dataclass(frozen=True, eq=False)
class Controls:
    """Every control that the kernel listens to."""

    sample: widgets.Dropdown
    modality: widgets.ToggleButtons
    path: widgets.Text
    scale: widgets.IntSlider
    kernel: widgets.ToggleButtons
    value: widgets.Dropdown
    channel: widgets.BoundedIntText
    slots: tuple[widgets.ToggleButtons, ...]
    prompt: widgets.Text
    shared: widgets.Checkbox

    @property
    def of_the_view(self) -> tuple[widgets.Widget, ...]:
        """Controls whose change needs a new view of the same image and target."""
        return self.scale, self.kernel, self.value, self.channel, self.shared, *self.slots

    @property
    def request(self) -> ViewRequest:
        """What the controls ask for now."""
        slots = tuple(slot.value for slot in self.slots)
        return ViewRequest(self.scale.value, self.kernel.value, self.value.value, self.channel.value, slots)

    def layout(self) -> widgets.Box:
        """All controls in two columns."""
        picture = widgets.VBox([self.sample, self.modality, self.path, self.prompt])
        windows = [
            self.scale,
            self.kernel,
            widgets.HBox([self.value, self.channel, self.shared]),
            *self.slots,
        ]
        return widgets.HBox(
            [picture, widgets.VBox(windows)], layout={"flex_flow": "row wrap", "grid_gap": "4px 24px"}
        )


def make_controls(
    n_tokens: int, dim: int, scales: Sequence[int], names: Sequence[str], *, prompt: str, has_text: bool
) -> Controls:
    """Controls for a grid of ``n_tokens``, features of width ``dim`` and a fusion of ``scales``."""
    first = next((s for s in (12, n_tokens // 4, 1) if 1 <= s <= n_tokens and s not in scales), 1)
    scale = widgets.IntSlider(first, min=1, max=n_tokens, description="free scale", style=_WIDE, layout=_ROW)
    scale.add_class("mswin-scale")
    slots = tuple(
        widgets.ToggleButtons(
            options=SLOT_STATES, description=f"slot of scale {s}", style={**_WIDE, "button_width": "64px"},
            tooltips=["its trained kernel", "left out of the fusion", "the free scale in its place"], layout=_ROW,
        )
        for s in scales
    )  # fmt: skip
    for slot, trained in zip(slots, scales, strict=True):
        slot.add_class(f"mswin-slot-{trained}")
    return Controls(
        sample=_classed(widgets.Dropdown(
            options=list(enumerated(names)), description="sample", style=_WIDE, layout=_ROW), "mswin-sample"),
        modality=_classed(widgets.ToggleButtons(
            options=MODALITIES, description="modality", style={**_WIDE, "button_width": "64px"}, layout=_ROW), "mswin-modality"),
        path=_classed(widgets.Text(
            placeholder="an image or folder of your own, then Enter", description="open", continuous_update=False,
            style=_WIDE, layout=_ROW), "mswin-path"),
        scale=scale,
        kernel=widgets.ToggleButtons(
            options=[("trained or resampled", "auto"), ("plain mean", "mean")], description="its kernel",
            style={**_WIDE, "button_width": "160px"}, layout=_ROW),
        value=_classed(widgets.Dropdown(
            options=[_LABELS[value] for value in VALUES], description="value", style=_WIDE,
            layout={"width": "290px"}), "mswin-value"),
        channel=widgets.BoundedIntText(0, min=0, max=dim - 1, description="channel", layout={"width": "140px"}),
        slots=slots,
        prompt=_classed(widgets.Text(
            prompt if has_text else "", description="target text", continuous_update=False, style=_WIDE, layout=_ROW,
            disabled=not has_text), "mswin-prompt"),
        shared=widgets.Checkbox(False, description="one colour scale", indent=False, layout={"width": "130px"}),
    )  # fmt: skip


def enumerated(names: Sequence[str]) -> list[tuple[str, int]]:
    """Dropdown options whose value is the position."""
    return [(name, index) for index, name in enumerate(names)]


def display_controls(canvases: Sequence[HeatmapCanvas]) -> widgets.Box:
    """Controls linked to the canvases in the browser: the kernel has no part in them."""
    opacity = widgets.FloatSlider(
        0.55, min=0, max=1, step=0.05, description="opacity", layout={"width": "260px"}
    )
    threshold = widgets.FloatSlider(
        0, min=0, max=1, step=0.02, description="threshold", layout={"width": "260px"}
    )
    cmap = widgets.Dropdown(options=["auto", *CMAPS], description="colours", layout={"width": "190px"})
    outline = widgets.Checkbox(True, description="outlines", indent=False, layout={"width": "90px"})
    opacity.add_class("mswin-opacity")
    for canvas in canvases:
        for control, source, trait in (
            (opacity, "value", "opacity"),
            (threshold, "value", "threshold"),
            (cmap, "index", "cmap"),
            (outline, "value", "outline"),
        ):
            widgets.jsdlink((control, source), (canvas, trait))
    return widgets.HBox([opacity, threshold, cmap, outline], layout={"flex_flow": "row wrap"})


def _classed(widget: widgets.DOMWidget, name: str) -> widgets.DOMWidget:
    return widget.add_class(name)


_LABELS = {
    "norm": ("length of the activation", "norm"),
    "share": ("share of the cosine", "share"),
    "cosine": ("cosine to the target", "cosine"),
    "channel": ("one channel", "channel"),
}
