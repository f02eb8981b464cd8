"""The embedding explorer's controls: widgets and their layout, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.view import ViewSettings
from mswin_viz.view.widgets.glossary import explained
from mswin_viz.view.widgets.labels import COLOURS, MATCHING_RULES, SHOWN, choices, colours_of, named

_LABEL = {"description_width": "initial"}


@dataclass(frozen=True, eq=False)
class SettingControls:
    """What is computed: changes wait for the button. ``most`` has no control; it stays as the first settings have it."""

    show: widgets.Dropdown
    rule: widgets.Dropdown
    coupling: widgets.BoundedFloatText
    perplexity: widgets.BoundedFloatText
    seed: widgets.BoundedIntText
    most: int

    @property
    def settings(self) -> ViewSettings:
        """What they ask for."""
        return ViewSettings(
            show=str(self.show.value), rule=str(self.rule.value), coupling=self.coupling.value,
            perplexity=self.perplexity.value, seed=self.seed.value, most=self.most,
        )  # fmt: skip

    @property
    def every(self) -> tuple[widgets.ValueWidget, ...]:
        """All of them, in order."""
        return self.show, self.rule, self.coupling, self.perplexity, self.seed

    def layout(self) -> widgets.Box:
        """In one row."""
        return _row(*self.every)


@dataclass(frozen=True, eq=False)
class MapControls:
    """How the maps are shown: changes show at once."""

    colour: widgets.Dropdown
    search: widgets.Combobox
    morph: widgets.ToggleButton
    arrows: widgets.Checkbox

    @property
    def coloured_by(self) -> str:
        """What the points are coloured by: a key of ``labels.COLOURS``."""
        return str(self.colour.value)

    @property
    def coloured_by_words(self) -> str:
        """The same in words."""
        return str(self.colour.label)

    def name(self, names: tuple[str, str]) -> None:
        """Call the two maps so in menus and buttons; the choice stays."""
        by, labels = self.colour.value, colours_of(names)
        if dict(self.colour.options) != {words: key for key, words in labels.items()}:
            self.colour.options = choices(labels)
            self.colour.value = by
        first, second = map(named, names)
        self.morph.description = f"morph {first} into {second}"

    def layout(self) -> widgets.Box:
        """In one row."""
        return _row(self.colour, self.search, self.morph, self.arrows)


def setting_controls(settings: ViewSettings, *, has_scenes: bool) -> SettingControls:
    """Controls that stand at some settings."""
    rules = {rule: words for rule, words in MATCHING_RULES.items() if has_scenes or rule != "scene"}
    number = {"style": _LABEL, "layout": {"width": "136px"}}
    made = SettingControls(
        show=_menu(SHOWN, settings.show, "show", "mswin-show", width="190px"),
        rule=_menu(rules, settings.rule, "matching rule", "mswin-rule", width="450px"),
        coupling=widgets.BoundedFloatText(settings.coupling, min=0, max=10, step=0.01, description="coupling", **number),
        perplexity=widgets.BoundedFloatText(settings.perplexity, min=2, max=500, step=5, description="perplexity", **number),
        seed=widgets.BoundedIntText(settings.seed, min=0, max=10**9, description="seed", **number),
        most=settings.most,
    )  # fmt: skip
    for name in ("coupling", "perplexity"):
        getattr(made, name).add_class(f"mswin-{name}")
    explained(made.show, "modality", "together")
    explained(made.rule, "matching rule")
    explained(made.coupling, "coupling")
    explained(made.perplexity, "perplexity")
    return made


def map_controls() -> MapControls:
    """Controls of maps that show nothing yet."""
    made = MapControls(
        _menu(COLOURS, "identity", "colour by", "mswin-map-colour", width="210px"),
        widgets.Combobox(
            placeholder="identity, then Enter", description="search", continuous_update=False, style=_LABEL,
            layout={"width": "270px"},
        ).add_class("mswin-map-search"),
        widgets.ToggleButton(
            False, description="morph plain into enhanced", icon="exchange", layout={"width": "auto"}
        ).add_class("mswin-map-morph"),
        widgets.Checkbox(
            True, description="arrows of the selection", indent=False, layout={"width": "auto"}
        ).add_class("mswin-map-arrows"),
    )  # fmt: skip
    explained(made.search, "identity")
    explained(made.morph, "plain CLS", "enhanced CLS")
    explained(made.arrows, "shift")
    return made


def _row(*controls: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(controls, layout={"flex_flow": "row wrap", "grid_gap": "0 10px"})


def _menu(labels: Mapping[str, str], value: str, name: str, css: str, *, width: str) -> widgets.Dropdown:
    shown = {"description": name, "style": _LABEL, "layout": {"width": width}}
    return widgets.Dropdown(options=choices(labels), value=value, **shown).add_class(css)
