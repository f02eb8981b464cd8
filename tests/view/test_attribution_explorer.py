"""The attribution explorer without a browser: start, progress, stop, pairs, and what is said when it cannot be done."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS
from mswin_viz.errors import DataError, OptionError


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
    assert bytes(explorer._picture.value).startswith(b"\x89PNG")
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
    explorer.controls.pair.value = 2
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
    assert "mswin-out-of-date" in explorer._picture._dom_classes
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
