"""The explorer's controls: widgets and their layout, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.scales.request import ViewRequest
from mswin_viz.data.sample import Sample
from mswin_viz.view.scales.result_cache import ExplorerRequest
from mswin_viz.view.widgets.colours import CMAPS
from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import (
    KERNELS,
    ROWS,
    SLOTS,
    TARGETS,
    VALUES,
    WINDOWS,
    WINDOWS_OF_TOKENS,
    choices,
)
from mswin_viz.view.widgets.scale_slider import ScaleSlider
from mswin_viz.view.widgets.strip import ThumbnailStrip

_LABELLED = {"description_width": "78px"}
_ROW = {"width": "330px", "margin": "1px 2px"}
_TERMS = {
    "scale": ("free scale",), "kernel": ("kernel",), "windows": ("window", "tile"),
    "tile_rows": ("tile",), "tile_cols": ("tile",), "value": ("value", "change when removed", "net push", "share", "activation norm"),
    "channel": ("channel",), "target": ("target",), "prompt": ("prompt",), "rows": ("modality",),
    "shuffle": ("shuffle",),
}  # fmt: skip
_TOOLTIPS = {
    "opacity": "How far the colours hide the picture behind them.",
    "threshold": "Hides what is weaker than this part of the colour scale.",
    "cmap": "The colours; auto: blue to red for values about zero, violet to yellow for lengths.",
    "outline": "Lines between windows, dashed around those that fall apart at a row end.",
    "shared": "On: the same colour is the same number in every panel of one unit, and panels of small numbers pale. "
    "Off: each panel uses all its colours, so patterns show, but colours of two panels cannot be compared.",
}


@dataclass(frozen=True, eq=False)
class Controls:
    """Every control, by name."""

    of_the_view: Mapping[str, widgets.ValueWidget]  # what an answer of the kernel depends on
    of_the_display: Mapping[str, widgets.ValueWidget]  # what only the browser acts on
    slots: tuple[widgets.ToggleButtons, ...]  # one for each slot of the fusion, among those of the view
    strip: ThumbnailStrip  # its choices belong to the view
    first: dict[str, Any]  # the values that a reset brings back

    def __getattr__(self, name: str) -> widgets.ValueWidget:
        every = {**self.of_the_view, **self.of_the_display}
        if name in every:
            return every[name]
        raise AttributeError(f"a control is one of {', '.join(every)}: got {name!r}")

    @property
    def watched(self) -> dict[str, tuple[widgets.Widget, str]]:
        """Name -> control and trait that the browser compares with an answer's."""
        strip = {name: (self.strip, name) for name in ("serial", "selected", "second", "modality")}
        return {**{name: (control, "value") for name, control in self.of_the_view.items()}, **strip}

    @property
    def asked(self) -> dict[str, Any]:
        """The values of the watched traits now."""
        return {name: getattr(control, trait) for name, (control, trait) in self.watched.items()}

    def request(self, samples: Sequence[Sample]) -> ExplorerRequest:
        """What the controls ask for, of the samples in the strip."""
        tile = (self.tile_rows.value, self.tile_cols.value) if self.windows.value == "tiles" else None
        view_request = ViewRequest(
            free_scale=self.scale.value, kernel=self.kernel.value, value=self.value.value, channel=self.channel.value,
            slots=tuple(str(slot.value) for slot in self.slots), stride=self.stride.value or None, tile=tile,
        )  # fmt: skip
        return ExplorerRequest(
            sample=samples[self.strip.selected], second=samples[self.strip.second], modality=self.strip.modality,
            rows=self.rows.value, view_request=view_request, target=self.target.value, prompts=tuple(self.prompts),
            shuffle_run=self.shuffle.value, has_cls=bool(self.cls.value),
        )  # fmt: skip

    @property
    def prompts(self) -> list[str]:
        """The lines of the prompt box that are not blank."""
        return [line for line in self.prompt.value.splitlines() if line.strip()]

    def sections(self) -> dict[str, widgets.Box]:
        """The controls in groups, without the scale: what is measured, rows and fusion, windows and display."""
        shown = self.of_the_display
        return {
            "measure": _columns([_line(self.value, self.channel), self.target, self.cls], [self.prompt]),
            "fusion": _columns([self.rows, self.shuffle], list(self.slots)),
            "display": _columns(
                [self.kernel, _line(self.windows, self.stride), _line(self.tile_rows, self.tile_cols)],
                [shown["opacity"], shown["threshold"]],
                [shown["cmap"], shown["outline"], shown["shared"]],
            ),
        }

    def begin_with(self, value: str) -> None:
        """Show this value at first, and after a reset."""
        self.value.value = self.first["value"] = value

    def reset(self) -> None:
        """Every control as it was at first; the images stay."""
        for name, value in self.first.items():
            getattr(self, name).value = value


def make_controls(
    grid: tuple[int, int],
    n_channels: int,
    scales: Sequence[int],
    strip: ThumbnailStrip,
    *,
    prompt: str | None,
    runs: Sequence[int],
) -> Controls:
    """Controls for a grid, vectors of at most ``n_channels`` and a fusion of ``scales``.

    ``prompt`` is None without a text tower; ``runs`` of so many tokens can be shuffled.
    """
    slots = tuple(
        _buttons({s: s for s in SLOTS}, f"scale {scale}", f"mswin-slot-{scale}", tooltips=SLOTS.values())
        for scale in scales
    )
    view = {
        **_window_controls(grid, scales),
        **_target_controls(n_channels, prompt),
        "rows": _buttons(ROWS, "rows", "mswin-rows"),
        "shuffle": _shuffle_menu(grid[0] * grid[1], scales, runs),
        "cls": explained(
            widgets.Checkbox(
                False, description="split CLS by input patch", indent=False, layout={"width": "auto"}
            ),
            "CLS by input patch",
            hint="Takes a forward and a backward pass of the tower; the other panels do not wait for it.",
        ).add_class("mswin-cls"),
        **{f"slot_{scale}": slot for scale, slot in zip(scales, slots, strict=True)},
    }
    for name, terms in _TERMS.items():
        explained(view[name], *terms)
    explained(view["stride"], "stride", hint="0: windows stand end to end.")
    for slot in slots:
        explained(slot, "slot")
    _disable_what_has_no_effect(view, has_kernels=bool(scales))
    display = _display_controls()
    for name, words in _TOOLTIPS.items():
        display[name].set_trait("tooltip", words)
    first = {name: control.value for name, control in (view | display).items()}
    return Controls(view, display, slots, strip, first)


def _disable_what_has_no_effect(view: Mapping[str, widgets.ValueWidget], *, has_kernels: bool) -> None:
    """Each control while its mode is on: tiles are plain means of their own size, and in a pair the target is the other."""
    of_tiles, of_runs = ("tile_rows", "tile_cols"), ("scale", "kernel") if has_kernels else ("scale",)
    for name in (*of_tiles, *of_runs):
        idle_with = ("runs",) if name in of_tiles else ("tiles",)
        _disable(view[name], lambda idle_with=idle_with: view["windows"].value in idle_with, view["windows"])
    _disable(view["target"], lambda: view["rows"].value == "pair", view["rows"])
    chosen = view["value"], view["target"], view["rows"]
    _disable(view["channel"], lambda: not _is_of_a_channel(view), *chosen)


def _is_of_a_channel(view: Mapping[str, widgets.ValueWidget]) -> bool:
    is_target = view["target"].value == "channel" and view["rows"].value != "pair"
    return is_target or view["value"].value == "channel"


def _disable(
    control: widgets.ValueWidget, is_idle: Callable[[], bool], *sources: widgets.ValueWidget
) -> None:
    for source in sources:
        widgets.dlink((source, "value"), (control, "disabled"), lambda _value: is_idle())


def _window_controls(grid: tuple[int, int], scales: Sequence[int]) -> dict[str, widgets.ValueWidget]:
    n_tokens = grid[0] * grid[1]
    first = next((s for s in (12, n_tokens // 4, 1) if 1 <= s <= n_tokens and s not in scales), 1)
    scale = ScaleSlider(
        first, min=1, max=n_tokens, marks=scales, description="free scale", unit="tokens", mark_words="trained scale",
        layout={**_ROW, "width": "auto"},
    )  # fmt: skip
    small = {"style": {"description_width": "44px"}, "layout": {"width": "96px"}}
    tile = {"style": _LABELLED, "layout": {"width": "150px"}}
    return {
        "scale": scale.add_class("mswin-scale"),
        "kernel": _kernel_buttons(has_kernels=bool(scales)),
        "windows": _menu(WINDOWS if scales else WINDOWS_OF_TOKENS, "windows", "mswin-windows", width="232px"),
        "stride": widgets.BoundedIntText(
            0, min=0, max=n_tokens, description="stride", **small
        ).add_class("mswin-stride"),
        "tile_rows": widgets.BoundedIntText(
            min(4, grid[0]), min=1, max=grid[0], description="tile: rows", **tile
        ).add_class("mswin-tile-rows"),
        "tile_cols": widgets.BoundedIntText(
            min(4, grid[1]), min=1, max=grid[1], description="columns", **tile
        ).add_class("mswin-tile-cols"),
    }  # fmt: skip


def _kernel_buttons(*, has_kernels: bool) -> widgets.ToggleButtons:
    """Where there is no kernel, plain means are all there is."""
    buttons = _buttons(KERNELS, "its kernel", "mswin-kernel")
    if not has_kernels:
        buttons.value, buttons.disabled = "mean", True
    return buttons


def _target_controls(n_channels: int, prompt: str | None) -> dict[str, widgets.ValueWidget]:
    has_text = prompt is not None
    targets = {kind: words for kind, words in TARGETS.items() if has_text or kind != "text"}
    return {
        "value": _menu(VALUES, "value", "mswin-value", width="246px"),
        "channel": widgets.BoundedIntText(
            0, min=0, max=n_channels - 1, description="channel", style={"description_width": "52px"}, layout={"width": "104px"}
        ).add_class("mswin-channel"),
        "target": _menu(targets, "target", "mswin-target", value="text" if has_text else "own"),
        "prompt": widgets.Textarea(
            prompt or "", description="prompts", placeholder="one prompt a line", continuous_update=False,
            disabled=not has_text, rows=3, style=_LABELLED, layout={**_ROW, "height": "62px"},
        ).add_class("mswin-prompt"),
    }  # fmt: skip


def _shuffle_menu(n_tokens: int, scales: Sequence[int], runs: Sequence[int]) -> widgets.Dropdown:
    labels = {
        run: f"{'windows' if run in scales else 'runs'} of {run}"
        for run in sorted(set(runs))
        if n_tokens // run >= 2
    }
    return _menu({0: "no", **labels}, "shuffle", "mswin-shuffle")


def _display_controls() -> dict[str, widgets.ValueWidget]:
    slider = {"min": 0, "max": 1, "style": {"description_width": "64px"}, "layout": {"width": "236px"}}
    box = {"indent": False, "layout": {"width": "auto"}}
    return {
        "opacity": widgets.FloatSlider(0.55, step=0.05, description="opacity", **slider).add_class("mswin-opacity"),
        "threshold": widgets.FloatSlider(0, step=0.02, description="threshold", **slider).add_class("mswin-threshold"),
        "cmap": widgets.Dropdown(
            options=["auto", *CMAPS], description="colours", style={"description_width": "52px"}, layout={"width": "160px"}
        ).add_class("mswin-cmap"),
        "outline": widgets.Checkbox(True, description="outlines", **box).add_class("mswin-outline"),
        "shared": widgets.Checkbox(False, description="one colour scale", **box).add_class("mswin-shared"),
    }  # fmt: skip


def _menu(
    labels: Mapping[Any, str], name: str, css: str, *, value: Any = None, width: str = "330px"
) -> widgets.Dropdown:
    menu = widgets.Dropdown(
        options=choices(labels), description=name, style=_LABELLED, layout={**_ROW, "width": width}
    )
    menu.value = next(iter(labels)) if value is None else value
    return menu.add_class(css)


def _buttons(
    labels: Mapping[str, str], name: str, css: str, *, tooltips: Iterable[str] = ()
) -> widgets.ToggleButtons:
    style = {**_LABELLED, "button_width": "auto"}
    return widgets.ToggleButtons(
        options=choices(labels), description=name, tooltips=list(tooltips), style=style, layout=_ROW
    ).add_class(css)


def _line(*parts: widgets.Widget) -> widgets.Box:
    return widgets.HBox(parts, layout={"align_items": "center"})


def _columns(*columns: Sequence[widgets.Widget]) -> widgets.Box:
    layout = {"flex_flow": "row wrap", "grid_gap": "0 14px"}
    return widgets.HBox([widgets.VBox(parts) for parts in columns], layout=layout)
