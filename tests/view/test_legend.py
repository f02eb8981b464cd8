"""The legend: what the ends of the colour scale mean for each value, in the colours that are drawn."""

from __future__ import annotations

from html import unescape

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.view.scales.legend import help_html, legend_html
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.colours import CMAPS, COLOUR_ENDS, colour_tables, end_colours
from mswin_viz.view.widgets.glossary import TERMS
from mswin_viz.view.widgets.labels import LEGENDS, THOUSANDTHS, VALUES, unit_words


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    from PIL import Image
    from support.tiny import pictures

    path = tmp_path_factory.mktemp("people") / "0.png"
    Image.fromarray(pictures(1)[0]).save(path)
    made = mv.ScaleExplorer(tiny_model().bound(), [Sample(0, 0, {"RGB": path})], prompt="a person")
    yield made
    made.close()


def said(explorer: mv.ScaleExplorer) -> str:
    return unescape(str(explorer._legend.line.value))


@pytest.mark.parametrize("value", VALUES)
def test_every_value_has_both_ends_of_its_scale_in_words(value: str) -> None:
    words = unescape(legend_html(value, "a red top" if value in THOUSANDTHS else ""))
    assert VALUES[value] in words
    assert LEGENDS[value].low in words
    assert LEGENDS[value].high in words
    assert ("a red top" in words) == (value in THOUSANDTHS)
    assert (", in thousandths:" in words) == (value in THOUSANDTHS)


@pytest.mark.parametrize("cmap", CMAPS)
def test_the_swatches_are_near_the_ends_of_the_map_that_is_drawn(cmap: str) -> None:
    assert set(COLOUR_ENDS) == set(CMAPS)
    table = colour_tables()[CMAPS.index(cmap)] / 255
    for colour, at in zip(end_colours(cmap), (25, 230), strict=True):
        assert np.abs(np.array(to_rgb(colour)) - table[at]).max() < 0.03
        assert colour in legend_html("share", "", cmap=cmap)


def test_the_legend_follows_value_target_colours_and_the_common_scale(explorer: mv.ScaleExplorer) -> None:
    controls = explorer.controls
    controls.value.value = "share"
    assert "<b>share of cosine</b>, in thousandths:" in said(explorer)
    assert "cosine with <b>a person</b>" in said(explorer)
    assert "red" in said(explorer)
    controls.cmap.value = "magma"
    assert "light yellow" in said(explorer)
    assert "each panel has its own colour scale" in said(explorer)
    controls.shared.value = True
    assert "the same colour is the same number in every panel" in said(explorer)
    controls.value.value = "norm"
    assert "a person" not in said(explorer)


@pytest.mark.parametrize("value", VALUES)
def test_every_unit_on_screen_has_both_ends_of_its_scale_in_words(explorer, value: str) -> None:
    explorer.controls.cmap.value, explorer.controls.value.value = "auto", value
    units = {panel.unit for panel in explorer.panels}
    words = said(explorer)
    assert value in units
    for unit in units:
        assert LEGENDS[unit].low in words
        assert LEGENDS[unit].high in words
    for panel in explorer.panels:
        assert (f"{panel.title}: {panel.words}." in words) == (panel.unit != value)


def test_the_help_has_every_value_and_the_whole_glossary() -> None:
    words = unescape(help_html())
    assert all(LEGENDS[value].what in words for value in VALUES)
    assert all(f"{term}</b>: {meaning}" in words for term, meaning in TERMS.items())


def test_cosines_and_their_parts_are_shown_in_thousandths_under_every_panel() -> None:
    board = HeatmapBoard((4, 3))
    assert set(board.thousandths) == set(THOUSANDTHS)
    assert {unit for unit, words in board.units.items() if "thousandths" in words} == set(THOUSANDTHS) & set(
        VALUES
    )
    assert unit_words("norm") == VALUES["norm"]
    board.close()


def test_every_control_has_a_tooltip(explorer: mv.ScaleExplorer) -> None:
    bar, controls = explorer.bar, explorer.controls
    every = {**controls.of_the_view, **controls.of_the_display, "path": bar.path, "copy": bar.copy}
    every |= {"save": bar.download.button, "format": bar.download.format}
    assert [name for name, control in every.items() if not control.tooltip] == []
    assert all(section["hint"] for section in explorer.sections.sections)


def test_a_reset_brings_every_control_back(explorer: mv.ScaleExplorer) -> None:
    first = {name: control.value for name, control in _every(explorer).items()}
    assert first  # some were changed by the tests above
    for control in _every(explorer).values():
        if isinstance(control, widgets.Checkbox):
            control.value = not control.value
    explorer.controls.scale.value += 1
    explorer.controls.rows.value = "pair"
    explorer.board.hidden = ["fused"]
    explorer._reset()
    assert {name: control.value for name, control in _every(explorer).items()} == dict(
        explorer.controls.first
    )
    assert explorer.board.hidden == []


def _every(explorer: mv.ScaleExplorer) -> dict[str, widgets.ValueWidget]:
    return {**explorer.controls.of_the_view, **explorer.controls.of_the_display}


def test_a_section_that_is_not_there_is_refused(explorer: mv.ScaleExplorer) -> None:
    with pytest.raises(
        OptionError, match="a section is one of measure, fusion, display, files, help: got 'x'"
    ):
        explorer.sections.unfolded = ["x"]
    assert explorer.sections.unfolded == []
