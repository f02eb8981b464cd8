"""The words on screen: controls named by a term carry its sentence, and menus are filled from the labels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets
import pytest

from mswin_viz.analysis.embeddings.view import ViewSettings
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.sample import Sample
from mswin_viz.view.attributions.controls import make_attribution_controls
from mswin_viz.view.embeddings.controls import map_controls, setting_controls
from mswin_viz.view.retrieval.controls import retrieval_controls
from mswin_viz.view.retrieval.query_sorting import order_choices
from mswin_viz.view.scales.controls import make_controls
from mswin_viz.view.widgets import labels
from mswin_viz.view.widgets.glossary import TERMS, explained

SCALES = make_controls((16, 8), 12, (4, 16), SimpleNamespace(), prompt="a red top", runs=(4, 16))  # pyright: ignore[reportArgumentType]  # no strip is looked at
PEOPLE = [Sample(0, 0, {"RGB": Path("one.png")}), Sample(1, 0, {"RGB": Path("two.png")})]
ATTRIBUTIONS = make_attribution_controls(PEOPLE, prompt="a red top", has_text=True, has_addon=True)
SETTINGS = setting_controls(ViewSettings(), has_scenes=True)
MAPS = map_controls()
RETRIEVAL = retrieval_controls(
    {"RGB": "RGB", "NI": "NI"}, order_choices(("plain", "enhanced")), has_scenes=True
)
EVERY = {
    "scales": {**SCALES.of_the_view, **SCALES.of_the_display},
    **{
        name: vars(controls)
        for name, controls in {
            "attributions": ATTRIBUTIONS, "settings": SETTINGS, "maps": MAPS, "retrieval": RETRIEVAL,
        }.items()
    },
}  # fmt: skip
CONTROLS = {
    f"{explorer}-{name}": control
    for explorer, controls in EVERY.items()
    for name, control in controls.items()
    if isinstance(control, widgets.DOMWidget)
}


def tooltip(name: str) -> str:
    return str(CONTROLS[name].tooltip)


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("scales-scale", "free scale"), ("scales-kernel", "kernel"), ("scales-windows", "window"),
        ("scales-stride", "stride"), ("scales-tile_rows", "tile"), ("scales-value", "value"),
        ("scales-value", "activation norm"), ("scales-value", "share"), ("scales-value", "net push"), ("scales-value", "change when removed"), ("scales-channel", "channel"),
        ("scales-shuffle", "shuffle"), ("scales-cls", "CLS by input patch"), ("scales-target", "target"), ("scales-prompt", "prompt"),
        ("scales-slot_4", "slot"), ("scales-slot_16", "slot"), ("settings-rule", "matching rule"),
        ("settings-coupling", "coupling"), ("settings-perplexity", "perplexity"), ("maps-morph", "enhanced CLS"), ("maps-arrows", "shift"),
        ("retrieval-query", "query"), ("retrieval-modality", "modality"), ("retrieval-rule", "matching rule"),
        ("retrieval-k", "result"), ("attributions-target", "target"), ("attributions-features", "plain CLS"),
        ("attributions-methods", "attribution"),
    ],
)  # fmt: skip
def test_a_main_control_carries_the_sentence_of_its_term(name: str, term: str) -> None:
    assert TERMS[term] in tooltip(name)


@pytest.mark.parametrize("name", CONTROLS)
def test_no_control_that_is_named_by_a_term_goes_without_its_sentence(name: str) -> None:
    label = str(getattr(CONTROLS[name], "description", ""))
    term = next((term for term in TERMS if label in (term, f"{term}s")), None)
    assert term is None or TERMS[term] in tooltip(name)


def test_a_hint_stands_below_the_sentence() -> None:
    sentence, hint = tooltip("scales-stride").split("\n")
    assert sentence == TERMS["stride"]
    assert hint.startswith("0: ")


def test_each_of_several_terms_is_named() -> None:
    control = explained(widgets.Text(), "query", "gallery")
    assert control.tooltip == f"query: {TERMS['query']}\ngallery: {TERMS['gallery']}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scales-kernel", labels.KERNELS), ("scales-windows", labels.WINDOWS), ("scales-value", labels.VALUES),
        ("scales-target", labels.TARGETS), ("scales-rows", labels.ROWS),
        ("attributions-target", labels.ATTRIBUTION_TARGETS), ("settings-show", labels.SHOWN),
        ("settings-rule", labels.MATCHING_RULES), ("maps-colour", labels.COLOURS),
        ("retrieval-rule", labels.MATCHING_RULES),
    ],
)  # fmt: skip
def test_a_menu_is_filled_from_the_labels(name: str, words: dict[str, str]) -> None:
    control: Any = CONTROLS[name]
    assert list(control.options) == labels.choices(words)


def test_the_features_are_called_as_everywhere() -> None:
    assert dict(labels.choices(labels.FEATURES)).items() <= dict(ATTRIBUTIONS.features.options).items()


def test_every_label_of_a_menu_that_the_glossary_knows_is_spelled_as_there() -> None:
    assert {labels.VALUES["norm"], *labels.FEATURES.values()} <= set(TERMS)


def test_joined_modalities_are_called_alike_in_menus_tables_and_notes() -> None:
    assert {modality_words(name) for name in ("three_together", "RGB+NI+TI")} == {labels.SHOWN["together"]}
    assert modality_words("RGB+TI") == "RGB and TI together"
    assert modality_words("RGB+NI+TI", is_equalised=True) == "three together, equalised"
    assert modality_words("NI", is_equalised=True) == "NI"
