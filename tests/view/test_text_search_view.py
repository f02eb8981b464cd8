"""The view of a search by text: hits of each modality, the maps of the words, what it refuses and says."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import GRID, tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz import errors

MODEL = tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[mv.Sample]:
    return two_modalities(tmp_path_factory.mktemp("people"), 6, n_people=3)


@pytest.fixture(scope="module")
def table(samples) -> mv.EmbeddingTable:
    return mv.embed(MODEL, samples, progress=False)


@pytest.fixture
def view(samples, table) -> Iterator[mv.TextSearchView]:
    made = mv.TextSearchView(MODEL, samples, table=table, prompt="a red top", k=3)
    yield made
    made.close()


def test_the_rows_of_hits_are_those_of_the_search(view, table) -> None:
    found = mv.search_text(MODEL, table, "a red top", k=3)
    assert [one["modality"] for one in view.hits.lists] == ["RGB", "NI"]
    for shown, hits in zip(view.hits.lists, found.hits, strict=True):
        assert [hit["row"] for hit in shown["hits"]] == hits.rows.tolist()
        assert [hit["cosine"] for hit in shown["hits"]] == hits.cosine.tolist()
    assert set(view.hits.pictures) == {str(row) for one in found.hits for row in one.rows}


@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_each_map_and_its_rest_add_up_to_the_cosine_of_its_hit(feature: str, view) -> None:
    view.feature = feature
    view.start().join()
    assert view.worker.status.value.startswith("done")
    assert len(view.maps) == 6
    for hits in view.results.hits:
        for row, cosine in zip(hits.rows.tolist(), hits.cosine, strict=True):
            shown = view.maps[row]
            assert shown.values.shape == GRID
            assert sum(shown.values.ravel().tolist()) + shown.rest == pytest.approx(cosine, abs=2e-6)


def test_all_maps_have_one_scale_and_stand_over_the_pictures(view) -> None:
    view.start().join()
    assert set(view.hits.maps) == set(view.hits.pictures)
    assert {Image.open(io.BytesIO(file)).height for file in view.hits.maps.values()} == {192}
    reach = np.quantile([abs(share) for one in view.maps.values() for share in one.values.ravel()], 0.99)
    assert f"{reach:+.3f}" in view._html["legend"].value


def test_another_text_replaces_hits_and_lets_go_of_what_was_chosen(view) -> None:
    view.selected = [int(view.results.of("NI").rows[1])]
    chosen = view.selection()
    assert chosen.columns.tolist() == [*view.table.to_pandas().columns, "tags", "cosine", "rank"]
    assert (chosen["modality"].tolist(), chosen["rank"].tolist()) == (["NI"], [2])
    view.controls.prompt.value = "a dog"
    assert view.results.prompts == ("a dog",)
    assert (view.selected, view.hits.selected, len(view.selection())) == ([], [], 0)
    view.worker.thread.join()
    assert len(view.maps) == 6


def test_unknown_words_are_said_and_a_text_of_nothing_else_is_refused_in_the_view(samples, table) -> None:
    known = frozenset(mv.load_model().tower.token_ids)
    model = replace(MODEL, tower=replace(MODEL.tower, token_ids=known))
    view = mv.TextSearchView(model, samples, table=table, prompt="red zebra top")
    assert "never trained on: zebra" in view._html["unknown"].value
    before = view.hits.lists
    view.prompt = "a zebra"
    assert "needs a word the text tower was trained on" in view._html["message"].value
    assert "out of date" in view._html["message"].value
    assert view.hits.lists == before
    view.prompt = "a red top"
    assert view._html["message"].value == view._html["unknown"].value.striptags() == ""
    view.close()


def test_without_a_table_the_button_embeds_and_searches(samples) -> None:
    view = mv.TextSearchView(MODEL, samples, k=2)
    assert "not embedded yet" in repr(view)
    assert view.worker.run.description == "embed and search"
    with pytest.raises(errors.OptionError, match="got none yet"):
        view.figure()
    view.start().join()
    assert [len(hits.rows) for hits in view.results.hits] == [2, 2]
    assert len(view.maps) == 4
    view.close()


def test_the_work_can_be_stopped_and_the_hits_stay(view, monkeypatch) -> None:
    compute = type(view._maps).compute

    def first_only(maps, found, row) -> None:
        compute(maps, found, row)
        view.stop()

    monkeypatch.setattr(type(view._maps), "compute", first_only)
    view.start().join()
    assert view.worker.status.value == "stopped"
    assert len(view.maps) == 1
    assert len(view.hits.lists) == 2


def test_a_file_that_is_gone_leaves_the_other_maps(tmp_path: Path) -> None:
    samples = two_modalities(tmp_path, 3, n_people=3)
    table = mv.embed(MODEL, samples, progress=False)
    view = mv.TextSearchView(MODEL, samples, table=table)
    samples[1].images["NI"].unlink()
    view.start().join()
    assert "cannot be read" in view.worker.status.value
    assert len(view.maps) == 5
    view.close()


def test_the_figure_shows_the_hits_with_their_provenance(view) -> None:
    view.start().join()
    words = " ".join(
        text.get_text() for text in view.figure().findobj(match=lambda one: hasattr(one, "get_text"))
    )
    assert "“a red top”, plain CLS" in words
    assert "weights: tiny" in words


def test_the_gallery_alone_is_searched(samples, table) -> None:
    split = np.where(table.sample < 2, "query", "gallery")
    view = mv.TextSearchView(MODEL, samples, table=replace(table, split=split))
    assert sorted(view.results.of("RGB").rows.tolist()) == [2, 3, 4, 5]
    view.close()


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("k", 0, "k must be one of 1..24: got 0"),
        ("feature", "shift", "feature must be one of plain, enhanced: got 'shift'"),
        ("selected", [99], "must be among the hits shown: got 99"),
    ],
)
def test_what_cannot_be_chosen_is_refused(trait: str, value: object, words: str, view) -> None:
    with pytest.raises(errors.OptionError) as problem:
        setattr(view, trait, value)
    assert words in str(problem.value)


def test_what_a_view_cannot_be_made_of_is_refused(samples, table) -> None:
    with pytest.raises(errors.DataError, match="a table needs rows: got none"):
        mv.TextSearchView(MODEL, samples, table=table[[]])
    with pytest.raises(errors.OptionError, match="a table must come from"):
        mv.TextSearchView(MODEL, samples, table=samples)
    with pytest.raises(errors.OptionError, match="a table must be of the samples it is shown with: got 2"):
        mv.TextSearchView(MODEL, samples[:2], table=table)
    mute = replace(MODEL, tower=replace(MODEL.tower, has_text=False))
    with pytest.raises(errors.OptionError, match="needs a text tower: tiny has none"):
        mv.TextSearchView(mute, samples)
    with pytest.raises(errors.DataError, match="at least one sample"):
        mv.TextSearchView(MODEL, [])


def test_a_closed_view_says_so(view) -> None:
    view.close()
    with pytest.raises(errors.ClosedError):
        view.selection()
    assert repr(view) == "TextSearchView(closed)"
