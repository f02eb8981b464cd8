"""The explorers on a host model with cameras, prompts, adapters and a mixture of experts: they ask for what it needs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.host_files import MIXTURE_ON, mixture_state, tower_state, yml

import mswin_viz as mv
from mswin_viz.analysis.scales.request import VALUES
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.view.scales.share_bars import gate_html, share_rows

MODALITIES = ("RGB", "NI", "TI")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> mv.Model:
    folder = tmp_path_factory.mktemp("host")
    torch.save(tower_state(width=64, depth=2) | mixture_state(), folder / "host.pth")
    return mv.load_host_model(yml(folder, more=MIXTURE_ON), folder / "host.pth", device="cpu")


@pytest.fixture
def explorer(model) -> mv.ScaleExplorer:
    explorer = mv.ScaleExplorer(model, mv.samples()[:3])
    explorer.controls.rows.value = "modalities"
    return explorer


def expected_tokens(model: mv.Model, modality: str) -> mv.Tokens:
    sample = mv.samples()[0]
    return model.encode([sample.images[modality]], camera=sample.camid - 1, modality=modality)


def test_all_three_modalities_are_encoded_as_what_they_are(explorer, model):
    tokens = explorer.result.subject.tokens
    for row, modality in enumerate(MODALITIES):
        expected = expected_tokens(model, modality)
        torch.testing.assert_close(tokens.cls[row], expected.cls[0])
        torch.testing.assert_close(tokens.patches[row], expected.patches[0])


def test_the_shares_of_all_rows_add_up_to_the_cosine_of_the_module(explorer, model):
    for row, modality in enumerate(MODALITIES):
        tokens = expected_tokens(model, modality)
        wanted = torch.cosine_similarity(model.enhance(tokens).cls, tokens.cls).item()
        total = sum(share for _, share in share_rows(explorer.result, row))
        assert total == pytest.approx(explorer.view.cosine.score[row]) == pytest.approx(wanted, abs=1e-5)
    assert explorer.view.cosine.residual.max() < 1e-5


def test_the_gate_is_on_screen_as_bars_for_each_modality(explorer, model):
    shown = explorer._html["scores"].value
    assert shown.count('class="mswin-gate-row"') == 3
    for modality in MODALITIES:
        gate = model.addon.gate(expected_tokens(model, modality).patches)[0]
        block = shown.split(f'<div class="mswin-gate-row"><b>{modality}</b>')[1]
        widths = [float(w) for w in re.findall(r"left:0\.00%;width:([\d.]+)%", block)[:3]]
        np.testing.assert_allclose(widths, 100 * gate.detach().numpy(), atol=0.02)


def test_a_slot_that_is_off_moves_the_gate(explorer):
    before = explorer.view.cosine.gate.copy()
    explorer.controls.slots[0].value = "off"
    assert np.abs(explorer.view.cosine.gate - before).max() > 1e-3
    np.testing.assert_allclose(explorer.view.cosine.gate.sum(axis=1), 1)


@pytest.mark.parametrize("value", VALUES)
def test_every_value_and_the_free_scale_can_be_looked_at(explorer, value):
    explorer.controls.value.value = value
    explorer.controls.scale.value = 11
    assert explorer.view.panel("free").values.shape == (3, 128 // 11)
    assert explorer._html["message"].value == ""


def test_a_pinned_window_says_that_nothing_is_frozen_in_its_ablation(explorer):
    explorer.board.pinned = {"key": "scale-8", "row": 1, "window": 3}
    assert "weights, deviations and GELU factors are computed again" in explorer._html["inspection"].value
    assert "ReLU" not in explorer._html["inspection"].value


def test_a_pair_is_encoded_with_the_camera_of_each(explorer, model):
    explorer.controls.rows.value = "pair"
    explorer.strip.second = 2
    chosen = [mv.samples()[0], mv.samples()[2]]
    for row, sample in enumerate(chosen):
        expected = model.encode([sample.images["RGB"]], camera=sample.camid - 1, modality="RGB")
        torch.testing.assert_close(explorer.result.subject.tokens.cls[row], expected.cls[0])


def test_an_image_of_no_known_camera_takes_the_mean_and_says_so(explorer, tmp_path: Path):
    Image.new("RGB", (60, 130), (90, 20, 20)).save(tmp_path / "own.png")
    explorer.bar.path.value = str(tmp_path / "own.png")
    assert "camera of this image is not known" in explorer._html["message"].value
    expected = explorer.model.encode([tmp_path / "own.png"], camera="mean", modality="RGB")
    torch.testing.assert_close(explorer.result.subject.tokens.cls, expected.cls)


def test_a_camera_that_the_weights_never_saw_is_said_and_the_last_view_stays(model, explorer):
    sample = mv.samples()[0]
    strange = mv.Sample(sample.pid, 9, sample.images)
    explorer._samples[1] = strange
    before = explorer.view
    explorer.strip.selected = 1
    assert "know the cameras 1..4: got an image of camera 9" in explorer._html["message"].value
    assert explorer.view is before


def test_the_badge_and_the_figure_say_what_is_in_use(explorer):
    badge = explorer._html["badge"].value
    for said in (
        "prompts for each modality",
        "camera embedding of 4 cameras",
        "mixture of experts",
        "MambaPro.yml",
    ):
        assert said in badge
    titles = [axis.get_title() for axis in explorer.figure().axes]
    assert sum("gate 4: 0." in title for title in titles) == 3


def test_work_ahead_knows_modality_and_camera(explorer):
    explorer._background.start(mv.samples()[:3]).join(60)
    assert explorer.strip.status == ""
    explorer.strip.modality = "TI"
    assert explorer._html["message"].value == ""


def test_attributions_run_on_a_pair_of_two_cameras(model):
    explorer = mv.AttributionExplorer(model, mv.samples()[:3])
    explorer.controls.target.value, explorer.controls.strip.second = "image", 2
    explorer.controls.strip.modality = "TI"
    explorer.start().join(180)
    assert explorer.maps, explorer._messages.value
    shares = explorer.maps["exact shares, scale 8"]
    tags = [mv.ImageTag("TI", mv.samples()[at].camid) for at in (0, 2)]
    paths = [mv.samples()[at].images["TI"] for at in (0, 2)]
    enhanced = model.enhance(model.encode(paths, tags=tags)).cls
    wanted = torch.cosine_similarity(enhanced[0], enhanced[1], dim=0).item()
    np.testing.assert_allclose(shares.score, wanted, rtol=1e-4)


def test_without_a_gate_there_are_no_bars():
    assert gate_html(["RGB"], ["scale 4"], None) == ""


def test_names_in_the_bars_are_escaped():
    assert "<i>" not in gate_html(["<i>"], [Slot(4).kernel], np.ones((1, 1)))
