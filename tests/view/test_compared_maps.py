"""The embedding explorer of two models' features: maps, measures, neighbours, figures and page under their names."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from support.saved_pages import ReadPage
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import neighbours
from mswin_viz.analysis.embeddings.paired_tables import paired_table
from mswin_viz.analysis.embeddings.same_images import same_images
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import ViewSettings, embedding_view
from mswin_viz.errors import OptionError
from mswin_viz.view.embeddings.explorer import EmbeddingExplorer
from mswin_viz.view.parts.neighbour_words import feature_names_words

MODEL = tiny_model()
SETTINGS = ViewSettings(show="RGB", perplexity=3)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EmbeddingTable]:
    """The second is narrower, in another order and ranked by distance; the third is the first's plain features."""
    samples = two_modalities(tmp_path_factory.mktemp("people"), 9, n_people=3)
    one, two = embed(MODEL, samples, progress=False), embed(tiny_model(seed=9), samples[::-1], progress=False)
    return {
        "baseline": one,
        "windows": replace(two, enhanced=two.enhanced[:, :7], metric="euclidean"),
        "third": one,
    }


@pytest.fixture(scope="module")
def explorer(tables) -> EmbeddingExplorer:
    made = EmbeddingExplorer({**tables, "third": (tables["third"], "plain")}, settings=SETTINGS)
    made.start().join(60)
    yield made
    made.close()


def test_a_pair_ranks_each_half_as_its_own_table_does(tables) -> None:
    pair = paired_table(same_images(tables).features, "baseline", "windows")
    assert (pair.metric, pair.feature_names) == ("euclidean", ("baseline", "windows"))
    assert (pair.plain.shape[1], pair.enhanced.shape[1]) == (10, 7)
    for row in (0, 5, 12):
        for feature, name in (("plain", "baseline"), ("enhanced", "windows")):
            own = tables[name]
            asked = own.path.index(pair.path[row])
            expected = [own.path[at] for at in neighbours(own, asked, feature="enhanced").rows]
            assert [pair.path[at] for at in neighbours(pair, row, feature=feature).rows] == expected
    assert pair[[0, 1]].feature_names == pair.feature_names
    assert pair.concatenated(("RGB", "NI")).feature_names == pair.feature_names


def test_maps_measures_colours_and_neighbours_say_the_names(explorer, tables) -> None:
    titles = [str(title.value) for title in explorer.maps._titles]
    assert titles == ["<b>baseline</b>", "<b>windows</b>"]
    measures = unescape(explorer.board.html["measures"].value)
    assert "mAP baseline → windows" in measures
    assert "trustworthiness" in measures
    assert " plain" not in measures
    assert ("AP, windows", "enhanced_ap") in explorer.controls.colour.options
    assert explorer.controls.morph.description == "morph baseline into windows"
    explorer.open_row(2)
    assert list(explorer.strip.results) == ["baseline", "windows"]
    explorer.controls.morph.value = True
    assert "moved to the places of windows" in str(explorer.maps._titles[0].value)
    explorer.controls.morph.value = False


def test_the_maps_are_those_of_the_pair(explorer, tables) -> None:
    pair = paired_table(same_images(tables).features, "baseline", "windows")
    expected = embedding_view(pair, SETTINGS)
    np.testing.assert_allclose(explorer.view.projection.enhanced, expected.projection.enhanced, atol=1e-5)
    np.testing.assert_array_equal(explorer.view.ap_change, expected.ap_change)


def test_figures_and_page_say_the_names(explorer, tmp_path: Path) -> None:
    assert [axis.get_title().split("\n")[0] for axis in mv.maps_figure(explorer.view).axes[:2]] == [
        "baseline",
        "windows",
    ]
    assert "Two models: “plain” is baseline, “enhanced” is windows." in feature_names_words(
        explorer.view.table
    )
    page = ReadPage(explorer.page(images=2))
    assert page.broken_references == []
    maps, _ = page.model(trait="thumbs")
    assert page.answer(False, table=1)[maps]["titles"] == ["baseline", "windows"]
    assert "AP, windows" in page.text


def test_another_pair_is_computed_at_the_press_of_the_button(explorer) -> None:
    assert explorer.pair.layout.display is None
    explorer.pair.second.value = "third"
    assert "Press" in explorer._old.value
    explorer.start().join(60)
    assert explorer._old.value == ""
    assert explorer.view.table.feature_names == ("baseline", "third")
    assert str(explorer.maps._titles[1].value) == "<b>third</b>"
    explorer.pair.first.value = "third"
    explorer.start().join(60)
    assert "two maps are of two of the names" in explorer.worker._message.value
    explorer.pair.first.value, explorer.pair.second.value = "baseline", "windows"


def test_what_does_not_fit_is_refused_in_words(tables) -> None:
    with pytest.raises(OptionError, match="tables under two names: got 'baseline' alone"):
        EmbeddingExplorer({"baseline": tables["baseline"]})
    with pytest.raises(OptionError, match="got table= too"):
        EmbeddingExplorer(tables, table=tables["baseline"])
    with pytest.raises(OptionError, match="two of the names 'baseline'"):
        paired_table(same_images(tables).features, "baseline", "other")
