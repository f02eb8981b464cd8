"""The explorer from the kernel's side: controls are moved, records and canvases are compared."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mswin_viz as mv
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.view.share_bars import share_rows


@pytest.fixture(scope="module")
def model() -> Model:
    return mv.load_model(device="cpu")


@pytest.fixture
def explorer(model: Model) -> mv.ScaleExplorer:
    return mv.ScaleExplorer(model, mv.samples()[:3], prompt="a person wearing a black top")


def message(explorer: mv.ScaleExplorer) -> str:
    return explorer._html["message"].value


def heat(explorer: mv.ScaleExplorer, number: int) -> np.ndarray:
    return np.frombuffer(explorer.canvases[number].values, np.float32)


def assert_still_works(explorer: mv.ScaleExplorer) -> None:
    explorer.controls.scale.value = 31
    assert explorer.view.panels[-1].scale == 31
    assert len(heat(explorer, -1)) == 128 // 31


def test_moving_the_scale_runs_no_backbone_pass(explorer, monkeypatch) -> None:
    monkeypatch.setattr(type(explorer.model), "encode", lambda *_: pytest.fail("the backbone ran"))
    for scale in (1, 5, 16, 77, 128):
        explorer.controls.scale.value = scale
        assert len(heat(explorer, -1)) == 128 // scale


def test_moving_the_scale_leaves_the_trained_heatmaps_alone(explorer) -> None:
    before = [heat(explorer, i).copy() for i in range(3)]
    explorer.controls.scale.value = 40
    assert all(np.array_equal(heat(explorer, i), values) for i, values in enumerate(before))


def test_the_free_heatmap_shows_the_norms_of_the_window_activations(explorer) -> None:
    explorer.controls.scale.value = 9
    tokens = explorer.model.encode([mv.samples()[0].images["RGB"]])
    values = mv.window_activations(tokens, explorer.model.addon, 9).values[0]
    np.testing.assert_allclose(heat(explorer, -1), np.linalg.norm(values, axis=1), rtol=1e-4)


def test_the_shares_on_screen_add_up_to_the_cosine(explorer) -> None:
    explorer.controls.slots[1].value = "free"
    assert sum(share for _, share in share_rows(explorer.view)) == pytest.approx(
        explorer.view.cosine.score[0]
    )


def test_the_cosine_on_screen_is_that_of_the_model(explorer) -> None:
    tokens = explorer.model.encode([mv.samples()[0].images["RGB"]])
    target = explorer.model.encode_text("a person wearing a black top")
    wanted = torch.cosine_similarity(explorer.model.enhance(tokens).cls, target).item()
    assert explorer.view.cosine.score[0] == pytest.approx(wanted, abs=1e-5)


def test_a_slot_that_is_off_has_no_share_and_moves_the_score(explorer) -> None:
    before = explorer.view.cosine.score[0]
    explorer.controls.value.value = "share"
    explorer.controls.slots[0].value = "off"
    assert np.isnan(heat(explorer, 0)).all()
    assert explorer.view.cosine.score[0] != before


def test_the_free_scale_in_a_slot_is_said_and_moves_the_score(explorer) -> None:
    explorer.controls.scale.value = 12
    before = explorer.view.cosine.score[0]
    explorer.controls.slots[2].value = "free"
    assert explorer.view.slot_scales == (4, 8, 12)
    assert explorer.view.panels[-1].origin == "resampled from 16"
    assert explorer.view.cosine.score[0] != before


def test_a_modality_is_encoded_once(explorer, monkeypatch) -> None:
    calls, encode = [], type(explorer.model).encode
    monkeypatch.setattr(type(explorer.model), "encode", lambda *a, **k: calls.append(1) or encode(*a, **k))
    for modality in ("TI", "RGB", "TI", "RGB"):
        explorer.controls.modality.value = modality
    assert len(calls) == 1


def test_a_folder_of_one_s_own_replaces_the_samples(explorer, tmp_path: Path) -> None:
    Image.new("L", (60, 130), 90).save(tmp_path / "grey.png")
    explorer.controls.path.value = str(tmp_path)
    assert [label for label, _ in explorer.controls.sample.options] == ["grey"]
    assert message(explorer) == ""
    assert_still_works(explorer)


def test_a_modality_that_an_image_lacks_is_said(explorer, tmp_path: Path) -> None:
    Image.new("RGB", (60, 130)).save(tmp_path / "one.png")
    explorer.controls.path.value = str(tmp_path / "one.png")
    explorer.controls.modality.value = "NI"
    assert "no NI image" in message(explorer)
    explorer.controls.modality.value = "RGB"
    assert_still_works(explorer)


def broken_file(folder: Path) -> Path:
    whole = folder / "whole.jpg"
    Image.effect_noise((80, 160), 40).save(whole)
    path = folder / "broken" / "cut.jpg"
    path.parent.mkdir()
    path.write_bytes(whole.read_bytes()[:900])
    return path


def transposed_file(folder: Path) -> Path:
    Image.new("RGB", (256, 128)).save(folder / "lying.png")
    return folder / "lying.png"


def empty_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (broken_file, "cannot be read"),
        (transposed_file, "128 high and 256 wide"),
        (empty_folder, "at least one image"),
    ],
)
def test_bad_images_are_said_and_the_explorer_goes_on(explorer, tmp_path, make, said) -> None:
    explorer.controls.path.value = str(make(tmp_path))
    assert said in message(explorer)
    explorer.controls.path.value = str(mv.samples()[0].images["RGB"])
    assert message(explorer) == ""
    assert_still_works(explorer)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [(" ", "prompt"), ("red " * 60, "tokens"), ("zebra", "never saw"), ("a zebra in a red top", "zebra")],
)
def test_bad_prompts_are_said_and_the_explorer_goes_on(explorer, prompt, said) -> None:
    explorer.controls.prompt.value = prompt
    assert said in message(explorer)
    assert_still_works(explorer)


def test_of_many_moves_from_several_threads_the_last_value_stays(explorer) -> None:
    threads = [
        threading.Thread(target=setattr, args=(explorer.controls.scale, "value", scale))
        for scale in range(20, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert explorer.view.panels[-1].scale == explorer.controls.scale.value
    assert len(heat(explorer, -1)) == 128 // explorer.controls.scale.value


def test_changed_weights_are_seen_at_the_next_move() -> None:
    explorer = mv.ScaleExplorer(mv.load_model(device="cpu"), mv.samples()[:1])
    with torch.no_grad():
        explorer.model.addon.multi_scale_window.fusion[2].weight.zero_()
    explorer.controls.scale.value = 5
    assert all(np.abs(slot.windows).max() == 0 for slot in explorer.view.cosine.slots)


def test_plain_clip_has_one_panel_of_means() -> None:
    explorer = mv.ScaleExplorer(mv.load_model(addon=None, device="cpu"), mv.samples()[:1])
    assert [panel.origin for panel in explorer.view.panels] == ["mean"]
    assert explorer.view.cosine.score[0] == pytest.approx(explorer.view.plain_cosine)


def test_the_figure_shows_every_panel_and_the_shares(explorer) -> None:
    titles = [axis.get_title() for axis in explorer.figure().axes]
    assert titles[1:5] == [
        "scale 4\ntrained",
        "scale 8\ntrained",
        "scale 16\ntrained",
        "scale 12\nresampled from 16",
    ]


def test_an_explorer_without_samples_is_refused(model) -> None:
    with pytest.raises(DataError, match="at least one sample"):
        mv.ScaleExplorer(model, [])


def test_scheme_2_is_refused_by_name(tmp_path: Path) -> None:
    mv.save_addon(mv.CLIPWithProjectionMultiScale(512, 24, (2, 3)), tmp_path / "scheme2.safetensors")
    with pytest.raises(OptionError, match="scheme 2"):
        mv.ScaleExplorer(
            mv.load_model(addon=tmp_path / "scheme2.safetensors", device="cpu"), mv.samples()[:1]
        )
