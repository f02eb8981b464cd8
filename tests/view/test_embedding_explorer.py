"""The embedding explorer from the kernel's side; its maps in a browser are tested in tests/browser."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.own_modules import tiny_model_with

import mswin_viz as mv
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import COUPLING_WORDS, EmbeddingView
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.embeddings import map_figures
from mswin_viz.view.scales.share_bars import share_rows
from mswin_viz.view.widgets.labels import COLOURS
from mswin_viz.view.widgets.map_points import map_colouring

N = 8  # two people, two cameras, two shots


@pytest.fixture(scope="module")
def model() -> Model:
    return mv.load_model(device="cpu")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return mv.samples()[:N]


@pytest.fixture(scope="module")
def table(model: Model, samples: list[Sample]) -> mv.EmbeddingTable:
    return mv.embed(model, samples, modalities=("RGB", "NI"), progress=False)


@pytest.fixture(scope="module")
def view(table: mv.EmbeddingTable) -> mv.EmbeddingView:
    return mv.embedding_view(table)


@pytest.fixture
def explorer(model, samples, table, view) -> mv.EmbeddingExplorer:
    return mv.EmbeddingExplorer(model, samples, table=table, view=view)


def html(explorer: mv.EmbeddingExplorer, name: str) -> str:
    return explorer.board.html[name].value


# ---- computing ----------------------------------------------------------------------------------


def test_nothing_is_computed_before_the_button_is_pressed(model, samples, monkeypatch) -> None:
    monkeypatch.setattr(type(model), "encode_fitted", lambda *_, **__: pytest.fail("the backbone ran"))
    explorer = mv.EmbeddingExplorer(model, samples)
    assert explorer.table is explorer.view is explorer.maps is None
    with pytest.raises(OptionError, match="press the button"):
        explorer.open_row(0)
    with pytest.raises(OptionError, match="saving needs maps"):
        explorer.save("somewhere")


def test_the_button_embeds_projects_and_compares(model, samples) -> None:
    explorer = mv.EmbeddingExplorer(model, samples, modalities=("TI",))
    explorer.start().join()
    assert len(explorer.table) == len(explorer.view) == N
    assert "done in" in explorer.worker.status.value
    assert explorer.worker.progress.value == 1
    assert "mAP plain" in html(explorer, "measures")
    assert COUPLING_WORDS in unescape(html(explorer, "measures"))


def test_other_settings_wait_for_the_button_and_need_no_second_pass(explorer, monkeypatch) -> None:
    explorer.maps.selected = [12]
    monkeypatch.setattr(
        type(explorer.model), "encode_fitted", lambda *_, **__: pytest.fail("the backbone ran")
    )
    before = explorer.maps
    explorer.settings.show.value = "RGB"
    assert explorer.maps is before
    explorer.start().join()
    assert len(explorer.view) == N
    assert explorer.maps is not before
    assert explorer.maps.selected == []
    assert explorer.strip.row == -1


def test_every_setting_of_a_view_stays_what_the_explorer_asks_for(model, samples, table) -> None:
    settings = mv.ViewSettings(rule="none", coupling=0.3, perplexity=4.0, seed=2, most=12)
    view = mv.embedding_view(table, settings)
    explorer = mv.EmbeddingExplorer(model, samples, table=table, view=view)
    assert explorer.settings.settings == settings
    assert "out of date" not in explorer._old.value
    assert mv.EmbeddingExplorer(model, samples, table=table, settings=settings).settings.settings == settings


def test_what_cannot_be_done_is_said_and_the_last_maps_stay(explorer) -> None:
    before = explorer.maps
    explorer.settings.show.value = "TI"
    explorer.start().join()
    assert "no TI row" in explorer.worker._message.value
    assert explorer.maps is before


def test_an_unreadable_image_is_listed_and_the_others_are_shown(model, samples, tmp_path: Path) -> None:
    broken = tmp_path / "000009_cam1_0_00.jpg"
    broken.write_bytes(samples[0].images["RGB"].read_bytes()[:500])
    explorer = mv.EmbeddingExplorer(model, [*samples, Sample(9, 1, {"RGB": broken})], modalities=("RGB",))
    explorer.start().join()
    assert len(explorer.view) == N
    assert broken.name in html(explorer, "message")


def test_of_many_unreadable_images_the_first_are_named_and_the_others_counted(explorer) -> None:
    failed = tuple(Failure(Path(f"gone {at}.png"), "no such file") for at in range(500))
    explorer.board.show(explorer.view, failed=failed)
    assert html(explorer, "message").striptags().count("no such file") == 3
    assert "and 497 more images have no row; table.failed lists them all" in html(explorer, "message")


def test_one_image_alone_has_no_map_and_that_is_said(model, samples) -> None:
    explorer = mv.EmbeddingExplorer(model, samples[:1], modalities=("RGB",))
    explorer.start().join()
    assert explorer.maps is None
    assert "got 1" in explorer.worker._message.value


def test_no_sample_and_a_table_of_other_samples_are_refused(model, samples, table) -> None:
    with pytest.raises(DataError, match="at least one sample"):
        mv.EmbeddingExplorer(model, [])
    with pytest.raises(OptionError, match="got 3 samples and a row of sample 7"):
        mv.EmbeddingExplorer(model, samples[:3], table=table)


def test_a_model_without_an_add_on_has_maps_and_one_list_of_neighbours(samples) -> None:
    plain = mv.load_model(addon=None, device="cpu")
    explorer = mv.EmbeddingExplorer(plain, samples, modalities=("RGB",))
    explorer.start().join()
    explorer.open_row(2)
    assert list(explorer.strip.results) == ["plain"]
    assert explorer.panel.result is not None


# ---- points -------------------------------------------------------------------------------------


def test_opening_a_row_shows_its_own_image_and_its_neighbours(explorer, table, samples) -> None:
    row = 11  # the fourth NI image
    explorer.open_row(row)
    assert explorer.panel.state["sample"] == samples[3].name
    assert explorer.panel.state["modality"] == "NI"
    assert explorer.strip.row == row
    assert set(explorer.strip.results) == {"plain", "enhanced"}
    enhanced = explorer.panel.result.view.cosine.enhanced[0]
    np.testing.assert_allclose(enhanced, table.enhanced[row], atol=1e-4)


def test_a_neighbour_splits_their_similarity_exactly(explorer, table) -> None:
    explorer.open_row(1)
    other = int(explorer.strip.results["enhanced"].rows[0])
    explorer.strip.clicked = other
    assert explorer.panel.rows.value == "pair"
    total = sum(value for _, value in share_rows(explorer.panel.result))
    cosine = table.unit("enhanced")[1] @ table.unit("enhanced")[other]
    assert total == pytest.approx(cosine, abs=1e-5)


def test_a_neighbour_s_similarity_changes_as_the_heatmaps_say_without_a_window(
    explorer, model, samples
) -> None:
    explorer.open_row(0)
    explorer.strip.clicked = int(explorer.strip.results["enhanced"].rows[0])
    panel = explorer.panel
    panel.rows.value, panel.value.value = "pair", "removal"
    subject, shown = panel.result.subject, panel.result.view.panel("scale-8").values
    states = [subject.weights.run(subject.tokens[row]) for row in (0, 1)]
    for row in (0, 1):
        target = states[1 - row].enhanced[0]
        left = states[row].without((1,), slice(None)).enhanced[0]
        changes = left @ target / np.linalg.norm(left, axis=1) / np.linalg.norm(target)
        np.testing.assert_allclose(shown[row], changes - panel.result.view.cosine.score[row], atol=2e-6)
    assert panel.board.columns[0]["unit"] == "removal"


def test_opening_another_row_leaves_the_pair(explorer) -> None:
    explorer.open_row(1)
    explorer.strip.clicked = 2
    explorer.open_row(3)
    assert explorer.panel.rows.value == "one"
    explorer.panel.rows.value = "pair"
    assert "choose a neighbour first" in explorer.panel._message.value


def test_a_point_that_joins_modalities_opens_all_of_them_and_a_pair_says_which_it_splits(
    model, samples
) -> None:
    explorer = mv.EmbeddingExplorer(model, samples, settings=mv.ViewSettings("together"))
    explorer.start().join()
    explorer.open_row(4)
    assert explorer.panel.result.names == ("RGB", "NI", "TI")
    explorer.strip.clicked = 0
    explorer.panel.modality.value = "TI"
    assert "split the similarity in TI alone" in explorer.panel._message.value


def test_a_search_selects_every_row_of_an_identity(explorer, view) -> None:
    explorer.controls.search.value = "2"
    assert explorer.maps.selected == np.flatnonzero(view.table.pid == 2).tolist()
    assert "8</b> rows of 1 identity" in html(explorer, "selection")
    explorer.controls.search.value = "77"
    assert "No identity '77'" in unescape(html(explorer, "selection"))


@pytest.mark.parametrize("by", COLOURS)
def test_every_colouring_has_a_legend_and_a_colour_for_each_row(explorer, view, by: str) -> None:
    explorer.controls.colour.value = by
    colours = map_colouring(view, by)
    assert len(colours.of_points) == len(view)
    assert colours.colours[-1] in html(explorer, "legend")


def test_identities_are_coloured_as_names_not_as_numbers(view) -> None:
    found = map_colouring(view, "identity")
    assert found.names == ("1", "2")
    assert found.ends is None


def test_morph_and_arrows_reach_the_maps(explorer) -> None:
    explorer.controls.morph.value, explorer.controls.arrows.value = True, False
    assert explorer.maps.is_morphed
    assert not explorer.maps.has_arrows


# ---- taking away --------------------------------------------------------------------------------


def test_everything_shown_is_saved_with_its_weights(explorer, tmp_path: Path) -> None:
    written = explorer.save(tmp_path / "out")
    names = {path.name for path in written}
    assert {
        "points.csv",
        "measures.parquet",
        "maps_by_identity.pdf",
        "similarities.png",
        "silhouettes.pdf",
    } <= names
    assert all(path.stat().st_size > 0 for path in written)
    points = pd.read_csv(tmp_path / "out" / "points.csv")
    assert len(points) == 2 * N
    assert points.weights[0] == explorer.model.provenance


def test_a_folder_that_cannot_be_written_is_said_in_the_widget(explorer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    explorer.saving.folder.value = str(tmp_path / "file" / "out")
    explorer.saving.button.click()
    assert "mswin-message" in explorer.saving.message.value
    assert not explorer.saving.button.disabled


def test_figures_of_unknown_identities_leave_out_what_has_no_meaning(table, tmp_path: Path) -> None:
    import dataclasses

    unknown = mv.embedding_view(dataclasses.replace(table, pid=np.full(len(table), -1)))
    with pytest.warns(UserWarning, match="left out"):
        written = map_figures.save_figures(unknown, tmp_path, kinds=("png",))
    assert {path.stem for path in written} == {f"maps_by_{by}" for by in COLOURS}


@pytest.mark.parametrize("kind", ["scheme 2", "concatenated", "unexplained"])
def test_any_add_on_has_maps_measures_and_saved_figures(samples, tmp_path: Path, kind: str) -> None:
    explorer = mv.EmbeddingExplorer(tiny_model_with(kind), samples, modalities=("RGB", "NI", "TI"))
    explorer.start().join()
    assert len(explorer.view) == 3 * N
    assert "mAP plain" in html(explorer, "measures")
    explorer.open_row(1)
    assert len(explorer.strip.results) == 2
    saved = explorer.save(tmp_path)
    assert all(path.stat().st_size > 0 for path in saved)
    explorer.settings.show.value = "together"
    explorer.start().join()
    assert len(explorer.view) == N
    explorer.close()


def crowd_view(n_people: int) -> EmbeddingView:
    """Two images of each person from two cameras, in one modality; the add-on helps some and harms others."""
    rng = np.random.default_rng(3)
    pids = np.repeat(np.arange(n_people), 2)
    plain = rng.normal(size=(n_people, 8))[pids] + 0.6 * rng.normal(size=(2 * n_people, 8))
    table = EmbeddingTable(
        sample=np.arange(len(pids)),
        modality=np.full(len(pids), "RGB"),
        pid=pids,
        camid=np.tile([1, 2], n_people),
        scene=np.full(len(pids), -1),
        split=np.full(len(pids), "test"),
        files=tuple({"RGB": Path(f"{at}.png")} for at in range(len(pids))),
        plain=plain.astype(np.float32),
        enhanced=(plain + 0.5 * rng.normal(size=plain.shape)).astype(np.float32),
    )
    return mv.embedding_view(table)


@pytest.mark.parametrize("n_people", [20, 80])
def test_changes_of_many_identities_are_points_and_those_of_few_have_names(n_people: int) -> None:
    view = crowd_view(n_people)
    axis = mv.change_figure(view).axes[0]
    changes = np.sort(100 * view.comparisons["RGB"].change)
    if n_people == 20:
        assert len(axis.get_yticks()) == 20
        return
    drawn = [line for line in axis.lines if len(line.get_xdata()) and line.get_marker() in ("^", "v", ".")]
    found = {
        float(y): float(x) for line in drawn for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    np.testing.assert_allclose([found[place] for place in sorted(found)], changes)
    for line in drawn:
        sign = {"^": 1, "v": -1, ".": 0}[line.get_marker()]
        assert (np.sign(line.get_xdata()) == sign).all()
