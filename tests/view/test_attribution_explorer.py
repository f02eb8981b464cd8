"""The attribution explorer without a browser: start, progress, stop, pairs, and what is said when it cannot be done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS, METHOD_LABELS
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.errors import DataError, OptionError, StoppedError
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.attributions.panels import map_panel


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return mv.load_model(device="cpu")


@pytest.fixture
def explorer(model: mv.Model) -> mv.AttributionExplorer:
    explorer = mv.AttributionExplorer(model, mv.samples()[:3], prompt="a person wearing a black top")
    explorer.controls.n_steps.value = 4
    explorer.controls.methods.value = ("gradient_x_input", "legrad")
    return explorer


def run(explorer: mv.AttributionExplorer) -> None:
    explorer.start().join(timeout=120)
    assert explorer.worker.stop_button.disabled
    assert not explorer.worker.run.disabled


def test_a_click_shows_each_method_s_map_beside_the_exact_window_shares(explorer) -> None:
    explorer.worker.run.click()
    run(explorer)
    shares = [f"exact shares, scale {scale}" for scale in explorer.model.addon.scales]
    assert list(explorer.maps) == [*shares, "gradient_x_input, enhanced", "legrad, enhanced"]
    assert explorer.worker.progress.value == 1
    assert explorer.worker.status.value.startswith("done")
    assert [column["key"] for column in explorer.board.columns] == list(explorer.maps)
    assert "enhanced CLS" in explorer._scores.value
    titles = [axis.get_title() for axis in explorer.figure().axes]
    assert any(title.startswith("Gradient x input") for title in titles)


@pytest.mark.parametrize(
    ("addon", "shares"),
    [
        (lambda dim: mv.Addon(Mean(dim), windows=(8, (4, 4))), ["exact shares, scale 8"]),
        (lambda dim: mv.Addon(Mean(dim), combine="concatenate"), ["exact shares, scale 1"]),
        (
            lambda dim: mv.CLIPWithProjectionMultiScale(dim, 16, (4, 8)),
            ["exact shares, scale 4", "exact shares, scale 8"],
        ),
    ],
)
def test_addons_of_every_kind_have_shares_and_maps(addon, shares) -> None:
    plain = mv.load_model(device="cpu", addon=None)
    model = mv.load_model(device="cpu", addon=addon(plain.dim))
    explorer = mv.AttributionExplorer(model, mv.samples()[:2], prompt="a person wearing a black top")
    explorer.controls.features.value = "both"
    explorer.controls.methods.value = ("exact_split", "gradient_x_input")
    run(explorer)
    assert explorer._guarded.problems == {}
    kinds = ("plain", "enhanced", "enhanced - plain")
    methods = [f"{name}, {kind}" for name in ("exact_split", "gradient_x_input") for kind in kinds]
    assert sorted(explorer.maps) == sorted([*shares, *methods])
    for kind in kinds:
        assert np.abs(explorer.maps[f"exact_split, {kind}"].delta).max() < 1e-12
    titles = [axis.get_title() for axis in explorer.figure().axes]
    assert any(title.startswith("Exact split") for title in titles)


class Mean(torch.nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.last = torch.nn.Linear(dim, dim)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(self.last(patches)).mean(dim=1)


def test_methods_are_shown_by_their_labels_and_chosen_by_their_names(explorer) -> None:
    options = dict(explorer.controls.methods.options)
    assert tuple(options.values()) == ATTRIBUTION_METHODS
    assert options["Grad-CAM"] == "gradcam"
    assert not [label for label in options if "_" in label]


def test_both_features_give_their_difference_too(explorer) -> None:
    explorer.controls.features.value = "both"
    explorer.controls.methods.value = ("gradient_x_input",)
    run(explorer)
    found = {name.removeprefix("gradient_x_input, "): a.values for name, a in explorer.maps.items()}
    np.testing.assert_allclose(found["enhanced - plain"], found["enhanced"] - found["plain"])


def test_a_pair_is_explained_from_either_side(explorer) -> None:
    explorer.controls.target.value, explorer.controls.strip.second = "image", 2
    explorer.controls.methods.value = ("gradient_x_input",)
    run(explorer)
    (found,) = [a for name, a in explorer.maps.items() if name.startswith("gradient")]
    assert found.values.shape[0] == 2
    assert found.score[0] == pytest.approx(found.score[1], abs=1e-5)


def test_stopping_ends_the_work_and_what_was_there_stays(explorer) -> None:
    run(explorer)
    before = explorer.maps
    explorer.controls.methods.value = ("occlusion",)
    explorer.controls.features.value = "plain"
    thread = explorer.start()
    assert explorer.start() is thread  # one at a time
    explorer.worker.stop_button.click()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert "mswin-out-of-date" in explorer.board._dom_classes
    assert explorer.worker.status.value == "stopped"
    assert explorer.maps is before
    assert not explorer.worker.run.disabled


def test_what_cannot_be_done_is_said_and_the_rest_goes_on(explorer) -> None:
    explorer.controls.prompt.value = " "
    run(explorer)
    assert "prompt" in explorer._messages.value
    explorer.controls.prompt.value = "a person wearing a black top"
    run(explorer)
    assert explorer._messages.value == ""
    assert explorer.maps


def test_no_sample_and_no_map_are_refused(model, explorer) -> None:
    with pytest.raises(DataError, match="at least one sample"):
        mv.AttributionExplorer(model, [])
    with pytest.raises(OptionError, match="none have been computed yet"):
        explorer.figure()


# ---- the board ------------------------------------------------------------------------------------


def rows_of(explorer, key: str) -> np.ndarray:
    column = next(column for column in explorer.board.columns if column["key"] == key)
    return np.frombuffer(column["values"], np.float32).reshape(len(explorer.board.rows), -1)


def test_the_board_shows_pixels_in_cells_patches_and_windows_and_loses_nothing(explorer) -> None:
    """Against a loop over pixels: every cell is the sum of its own, every patch and window has its value."""
    explorer.controls.methods.value = ("gradient_x_input", "gradcam")
    explorer.controls.target.value = "image"
    run(explorer)
    assert len(explorer.board.rows) == 2
    pixels = explorer.maps["gradient_x_input, enhanced"].values
    height, width = (
        side // cells
        for side, cells in zip(
            pixels.shape[1:], (explorer.board.grid_rows, explorer.board.grid_cols), strict=True
        )
    )
    shown = rows_of(explorer, "gradient_x_input, enhanced").reshape(2, explorer.board.grid_rows, -1)
    for image, r, c in [(0, 0, 0), (1, 63, 31), (0, 17, 5), (1, 40, 30)]:
        own = pixels[image, r * height : (r + 1) * height, c * width : (c + 1) * width]
        assert shown[image, r, c] == pytest.approx(own.sum(), rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(
        rows_of(explorer, "gradcam, enhanced"), explorer.maps["gradcam, enhanced"].values, rtol=1e-5
    )
    for scale in explorer.model.addon.scales:
        title = f"exact shares, scale {scale}"
        np.testing.assert_allclose(
            rows_of(explorer, title), explorer.maps[title].values, rtol=1e-5, atol=1e-8
        )


@pytest.mark.parametrize("grid", [(16, 8), (6, 4), (7, 3)])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 6, 8, 12, 16])
@pytest.mark.parametrize("n_cells", [1, 2, 4])
def test_a_window_lies_where_its_tokens_are(grid, scale: int, n_cells: int) -> None:
    geometry = windows(grid, scale)
    values = np.arange(1.0, geometry.n_windows + 1)[None]
    none = np.zeros(1)
    one = Attribution(
        values, none, none, none, none, none, "exact_share", "windows", "", grid, geometry, 0.1, {}, ""
    )
    panel = map_panel("exact shares", one, n_cells)
    assert panel.geometry.grid == (grid[0] * n_cells, grid[1] * n_cells)
    painted = np.full(panel.geometry.n_tokens, np.nan)
    for window, cells in enumerate(panel.geometry.tokens):
        painted[cells] = panel.values[0, window]
    painted = painted.reshape(panel.geometry.grid)[::n_cells, ::n_cells].ravel()
    is_whole = panel.geometry.n_windows == geometry.n_windows
    for window, tokens in enumerate(geometry.tokens):
        np.testing.assert_allclose(painted[tokens], values[0, window] / (1 if is_whole else scale))


def test_maps_appear_as_they_finish(explorer, monkeypatch) -> None:
    seen: list[int] = []
    real = explorer.board.show
    monkeypatch.setattr(
        explorer.board, "show", lambda panels, **options: (seen.append(len(panels)), real(panels, **options))
    )
    run(explorer)
    n_shares = len(explorer.model.addon.scales)
    assert seen == [n_shares, n_shares + 1, n_shares + 2]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda e: setattr(e.controls.strip, "selected", 1), lambda e: setattr(e.controls.strip, "selected", 0)),
        (lambda e: setattr(e.controls.prompt, "value", "a dog"), lambda e: setattr(e.controls.prompt, "value", "a person wearing a black top")),
        (lambda e: setattr(e.controls.n_steps, "value", 8), lambda e: setattr(e.controls.n_steps, "value", 4)),
        (lambda e: setattr(e.controls.methods, "value", ("legrad",)), lambda e: setattr(e.controls.methods, "value", ("gradient_x_input", "legrad"))),
        (lambda e: setattr(e.controls.target, "value", "image"), lambda e: setattr(e.controls.target, "value", "prompt")),
        (lambda e: setattr(e.controls.strip, "modality", "TI"), lambda e: setattr(e.controls.strip, "modality", "RGB")),
    ],
)  # fmt: skip
def test_maps_are_marked_while_they_do_not_fit_the_controls(explorer, change, back) -> None:
    explorer.controls.methods.value = ("gradient_x_input", "legrad")
    run(explorer)
    assert "mswin-out-of-date" not in explorer.board._dom_classes
    name = explorer._named_figure()[0]
    change(explorer)
    assert all("mswin-out-of-date" in part._dom_classes for part in (explorer.board, explorer._scores))
    assert "out of date" in explorer._messages.value
    assert explorer._named_figure()[0] == name
    assert "Older than the controls." in explorer.figure().get_supxlabel()
    back(explorer)
    assert "mswin-out-of-date" not in explorer.board._dom_classes
    assert explorer._messages.value == ""


def test_an_error_is_not_called_done_above_old_maps(explorer, monkeypatch, tmp_path) -> None:
    run(explorer)
    before = explorer.maps
    monkeypatch.setattr(TokenCache, "pictures", lambda *_: 1 / 0)
    run(explorer)  # for the very same controls: their file may have changed
    assert explorer.worker.status.value == "failed"
    assert "mswin-out-of-date" in explorer.board._dom_classes
    assert explorer.maps is before
    monkeypatch.undo()
    run(explorer)
    assert explorer.worker.status.value.startswith("done in")
    assert "mswin-out-of-date" not in explorer.board._dom_classes


def test_the_controls_of_an_earlier_version_still_work_and_say_their_new_names(explorer) -> None:
    controls = explorer.controls
    with pytest.warns(DeprecationWarning, match="strip.selected"):
        controls.sample.value = 1
    with pytest.warns(DeprecationWarning, match="strip.second"):
        controls.pair.value = 2
    with pytest.warns(DeprecationWarning, match="strip.modality"):
        controls.modality.value = "TI"
    assert (controls.strip.selected, controls.strip.second, controls.strip.modality) == (1, 2, "TI")
    assert controls.target.value == "image"
    with pytest.warns(DeprecationWarning, match="target and"):
        controls.pair.value = -1
    assert controls.target.value == "prompt"


def test_a_pair_of_all_methods_takes_several_lines_and_every_picture_its_name() -> None:
    none, images = np.zeros(2), [Image.new("RGB", (8, 16))] * 2
    one = Attribution(
        np.ones((2, 8)), none, none, none, none, none, "gradcam", "tokens", "", (4, 2), None, 0.1, {}, ""
    )
    figure = attributions_figure(images, {f"map {at}": one for at in range(31)}, names=("anna", "berta"))
    width = figure.get_size_inches()[0]
    assert width < 16
    titles = [axis.get_title() for axis in figure.axes]
    assert [titles.count(name) for name in ("anna", "berta")] == [4, 4]
    assert sum(title.startswith("map ") for title in titles) == 31


def test_a_saved_file_holds_what_is_on_screen(explorer, tmp_path, monkeypatch) -> None:
    sent = []
    monkeypatch.setattr(explorer.board, "send", lambda content, _buffers=None: sent.append(content["name"]))
    run(explorer)
    explorer.controls.strip.selected = 2
    explorer.download.button.click()
    assert sent == [f"{explorer._samples[0].name}_attributions.png"]
    assert explorer.save_figure(tmp_path / "maps.svg").read_text().startswith("<?xml")


# ---- ranking --------------------------------------------------------------------------------------


def test_the_chosen_methods_are_ranked_with_progress_into_a_table(explorer) -> None:
    explorer.ranking.n_images.value = 2
    said: list[str] = []
    explorer.ranking.worker.status.observe(lambda change: said.append(str(change["new"])), "value")
    explorer.ranking.worker.start().join(300)
    ranking = explorer.ranking.ranking
    assert set(ranking.attributions) == {"gradient_x_input", "legrad"}
    shown = explorer.ranking.table.value
    for words in ("LeGrad", "Gradient x input", "2 images", "a person wearing a black top"):
        assert words in shown
    ranked = [METHOD_LABELS.get(name, name) for name in ranking.faithfulness.ranked()]
    assert [row[0] for row in ranking.cells()[1]][: len(ranked)] == ranked
    assert any("…" in words for words in said)
    assert said[-1].startswith("done in")


def test_a_ranking_is_stopped_and_one_without_methods_is_refused(explorer, monkeypatch) -> None:
    explorer.controls.methods.value = ()
    explorer.ranking.worker.start().join(60)
    assert explorer.ranking.worker.status.value == "failed"
    explorer.controls.methods.value = ("legrad",)
    reports = []

    def stop() -> bool:
        return bool(reports)

    with pytest.raises(StoppedError):
        mv.rank_methods(
            explorer.model, [explorer._samples[0].images["RGB"]], mv.Target.text("a person"), methods=["legrad"],
            report=reports.append, stop=stop,
        )  # fmt: skip
    assert reports[0].words.startswith("LeGrad")
