"""The explorer from the kernel's side: controls are moved, records and canvases are compared."""

from __future__ import annotations

import json
import re
import threading
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.scales.token_panels import PLAIN_PANELS
from mswin_viz.analysis.shares.directions import Prompts
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.waterfall import waterfall_words
from mswin_viz.view.scales import result_cache as answers
from mswin_viz.view.scales import shown_results
from mswin_viz.view.scales.figure import shown_words
from mswin_viz.view.scales.share_bars import share_rows, waterfall_of
from mswin_viz.view.scales.state import parsed


@pytest.fixture(scope="module")
def model() -> Model:
    return mv.load_model(device="cpu")


@pytest.fixture
def explorer(model: Model) -> mv.ScaleExplorer:
    own = model.bound()  # tokens are shared by all views of one model: here each test has its own
    return mv.ScaleExplorer(own, mv.samples()[:3], prompt="a person wearing a black top")


def message(explorer: mv.ScaleExplorer) -> str:
    """What is said, without the line that images from elsewhere are none that the embedded model knows."""
    lines = re.findall(r">([^<]+)<", every_message(explorer))
    return "\n".join(line for line in lines if not line.startswith("Out of domain"))


def every_message(explorer: mv.ScaleExplorer) -> str:
    return explorer._html["message"].value


def heat(explorer: mv.ScaleExplorer, key: str) -> np.ndarray:
    """The values on the board, ``[row window]``."""
    (column,) = (column for column in explorer.board.columns if column["key"] == key)
    return np.frombuffer(column["values"], np.float32).reshape(len(explorer.board.rows), -1)


def tokens_of(explorer: mv.ScaleExplorer, sample: int = 0, modality: str = "RGB") -> mv.Tokens:
    return explorer.model.encode([mv.samples()[sample].images[modality]], progress=False)


def assert_still_works(explorer: mv.ScaleExplorer) -> None:
    explorer.controls.scale.value = 31
    assert explorer.view.panel("free").geometry.scale == 31
    assert heat(explorer, "free").shape[1] == 128 // 31
    assert explorer.board.answered == explorer.controls.asked


def test_moving_the_scale_runs_no_backbone_pass(explorer, monkeypatch) -> None:
    monkeypatch.setattr(type(explorer.model), "encode_fitted", lambda *_: pytest.fail("the backbone ran"))
    for scale in (1, 5, 16, 77, 128):
        explorer.controls.scale.value = scale
        assert heat(explorer, "free").shape == (1, 128 // scale)


def test_moving_the_scale_leaves_the_trained_heatmaps_alone(explorer) -> None:
    before = {key: heat(explorer, key).copy() for key in ("scale-4", "scale-8", "scale-16", "fused", "plain")}
    explorer.controls.scale.value = 40
    assert all(np.array_equal(heat(explorer, key), values) for key, values in before.items())


def test_the_free_heatmap_shows_the_norms_of_the_window_activations(explorer) -> None:
    explorer.controls.scale.value, explorer.controls.value.value = 9, "norm"
    tokens = tokens_of(explorer)
    values = mv.window_activations(tokens, explorer.model.addon, 9).values[0]
    np.testing.assert_allclose(heat(explorer, "free")[0], np.linalg.norm(values, axis=1), rtol=1e-4)


def test_the_shares_on_screen_add_up_to_the_cosine(explorer) -> None:
    explorer.controls.slots[1].value = "free"
    assert sum(share for _, share in share_rows(explorer.result)) == pytest.approx(
        explorer.view.cosine.score[0]
    )


def test_the_cosine_on_screen_is_that_of_the_model(explorer) -> None:
    tokens = tokens_of(explorer)
    target = explorer.model.encode_text("a person wearing a black top")
    wanted = torch.cosine_similarity(explorer.model.enhance(tokens).cls, target).item()
    assert explorer.view.cosine.score[0] == pytest.approx(wanted, abs=1e-5)


def test_a_slot_that_is_off_has_no_share_and_moves_the_score(explorer) -> None:
    before = explorer.view.cosine.score[0]
    explorer.controls.value.value = "share"
    explorer.controls.slots[0].value = "off"
    assert np.isnan(heat(explorer, "scale-4")).all()
    assert explorer.view.cosine.score[0] != before


def test_the_free_scale_in_a_slot_is_said_and_moves_the_score(explorer) -> None:
    explorer.controls.scale.value = 12
    before = explorer.view.cosine.score[0]
    explorer.controls.slots[2].value = "free"
    assert [slot.scale for slot in explorer.view.slots] == [4, 8, 12]
    assert explorer.board.free_is_fused
    assert explorer.view.panel("free").origin == "resampled from 16"
    assert explorer.view.cosine.score[0] != before


def test_a_modality_is_encoded_once(explorer, monkeypatch) -> None:
    calls, encode = [], type(explorer.model).encode_fitted
    monkeypatch.setattr(
        type(explorer.model), "encode_fitted", lambda *a, **k: calls.append(1) or encode(*a, **k)
    )
    for modality in ("TI", "RGB", "TI", "RGB"):
        explorer.strip.modality = modality
    assert len(calls) == 1


def test_a_folder_of_one_s_own_replaces_the_samples(explorer, tmp_path: Path) -> None:
    Image.new("L", (60, 130), 90).save(tmp_path / "grey.png")
    explorer.bar.path.value = str(tmp_path)
    assert [item["name"] for item in explorer.strip.items] == ["grey"]
    assert message(explorer) == ""
    assert_still_works(explorer)


def test_a_modality_that_an_image_lacks_is_said(explorer, tmp_path: Path) -> None:
    Image.new("RGB", (60, 130)).save(tmp_path / "one.png")
    explorer.bar.path.value = str(tmp_path / "one.png")
    explorer.strip.modality = "NI"
    assert "no NI image" in message(explorer)
    explorer.strip.modality = "RGB"
    assert_still_works(explorer)


def test_a_picture_that_is_strongly_distorted_is_said_and_the_next_one_is_not(
    explorer, tmp_path: Path
) -> None:
    Image.new("RGB", (400, 60), "gray").save(tmp_path / "1.png")
    Image.new("RGB", (64, 128), "gray").save(tmp_path / "2.png")
    explorer.bar.path.value = str(tmp_path)
    assert "1.png is strongly distorted: resizing it from 60x400" in message(explorer)
    explorer.strip.selected = 1
    assert message(explorer) == ""
    explorer.controls.rows.value = "pair"
    explorer.strip.second = 0
    assert "1 of 2 images is strongly distorted" in message(explorer)


def test_a_thermal_file_of_few_grey_levels_is_said(explorer, tmp_path: Path) -> None:
    counts = (7000 + np.arange(128 * 64) % 3).astype(np.uint16).reshape(128, 64)
    Image.fromarray(counts).save(tmp_path / "1.png")
    explorer.bar.path.value = str(tmp_path)
    assert "1 of 1 keeps fewer than 32 grey levels" in message(explorer)


def test_the_badge_says_everything_and_cuts_off_what_is_long(explorer) -> None:
    badge = explorer._html["badge"].value
    for name, words in explorer.model.provenance_items.items():
        assert name in badge
        assert unescape(badge).count(words) == 2  # on the chip, and whole under the mouse
    assert "text-overflow:ellipsis" in badge


def broken_file(folder: Path) -> Path:
    whole = folder / "whole.jpg"
    Image.effect_noise((80, 160), 40).save(whole)
    path = folder / "broken" / "cut.jpg"
    path.parent.mkdir()
    path.write_bytes(whole.read_bytes()[:900])
    return path


def empty_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (broken_file, "cannot be read"),
        (empty_folder, "at least one image"),
    ],
)
def test_bad_images_are_said_and_the_explorer_goes_on(explorer, tmp_path, make, said) -> None:
    explorer.bar.path.value = str(make(tmp_path))
    assert said in message(explorer)
    explorer.bar.path.value = str(mv.samples()[0].images["RGB"])
    assert message(explorer) == ""
    assert_still_works(explorer)


def test_a_picture_that_lies_across_the_input_is_resized_to_it(explorer, tmp_path) -> None:
    Image.new("RGB", (256, 128)).save(tmp_path / "lying.png")
    explorer.bar.path.value = str(tmp_path / "lying.png")
    assert "lying.png is strongly distorted" in message(explorer)
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
    assert explorer.view.panel("free").geometry.scale == explorer.controls.scale.value
    assert heat(explorer, "free").shape == (1, 128 // explorer.controls.scale.value)
    assert explorer.board.answered == explorer.controls.asked


def test_changed_weights_are_seen_at_the_next_move() -> None:
    explorer = mv.ScaleExplorer(mv.load_model(device="cpu"), mv.samples()[:1])
    with torch.no_grad():
        explorer.model.addon.multi_scale_window.fusion[2].weight.zero_()
    explorer.controls.scale.value = 5
    assert all(np.abs(slot.windows).max() == 0 for slot in explorer.view.cosine.slots)


def test_plain_clip_has_one_panel_of_means() -> None:
    explorer = mv.ScaleExplorer(mv.load_model(addon=None, device="cpu"), mv.samples()[:1])
    panels = [(panel.key, panel.origin) for panel in explorer.view.panels]
    assert panels == [("free", "mean"), *((key, "") for key in PLAIN_PANELS)]
    assert explorer.view.cosine.score[0] == pytest.approx(explorer.view.plain_cosine)


def test_three_modalities_are_three_rows_of_one_batch(explorer) -> None:
    explorer.controls.rows.value, explorer.controls.value.value = "modalities", "norm"
    assert [row["name"] for row in explorer.board.rows] == ["RGB", "NI", "TI"]
    for row, modality in enumerate(("RGB", "NI", "TI")):
        values = mv.window_activations(tokens_of(explorer, 0, modality), explorer.model.addon, 8).values[0]
        np.testing.assert_allclose(heat(explorer, "scale-8")[row], np.linalg.norm(values, axis=1), rtol=1e-4)


def test_a_pair_shows_both_sides_of_one_similarity(explorer) -> None:
    explorer.strip.second = 2
    explorer.controls.rows.value = "pair"
    a, b = (explorer.model.enhance(tokens_of(explorer, i)).cls[0] for i in (0, 2))
    wanted = torch.cosine_similarity(a, b, dim=0).item()
    for side in (0, 1):
        assert sum(share for _, share in share_rows(explorer.result, side)) == pytest.approx(wanted, abs=1e-5)
    assert "Similarity of the two" in explorer._html["scores"].value


def test_a_pair_shows_what_the_similarity_changes_by_without_a_window_and_each_window_s_push(
    explorer,
) -> None:
    explorer.strip.second = 2
    explorer.controls.rows.value = "pair"
    addon, tokens = explorer.model.addon, [tokens_of(explorer, i) for i in (0, 2)]
    weights = mv.fusion_weights(addon)
    states = [weights.run(each) for each in tokens]
    shown = {"removal": heat(explorer, "scale-8").copy()}
    explorer.controls.value.value = "push"
    shown["push"] = heat(explorer, "scale-8")
    for row, other in ((0, 1), (1, 0)):
        v = states[other].enhanced[0] / np.linalg.norm(states[other].enhanced[0])
        left = states[row].without((1,), slice(None)).enhanced[0]
        changes = left @ v / np.linalg.norm(left, axis=1) - explorer.view.cosine.score[row]
        np.testing.assert_allclose(shown["removal"][row], changes, atol=2e-6)
        pushes = mv.net_pushes(tokens[row], addon, v).windows[8][0]
        np.testing.assert_allclose(shown["push"][row], pushes, atol=2e-6)
        explorer.board.pinned = {"key": "scale-8", "row": row, "window": 3}
        assert f"{changes[3]:+.5f}" in explorer._html["inspection"].value
        assert f"{pushes[3]:+.5f}" in explorer._html["inspection"].value


def test_a_prompt_in_the_words_of_a_pair_s_target_is_a_prompt(explorer, monkeypatch) -> None:
    known = Prompts(("the other image",), np.eye(1, explorer.model.dim), ())
    monkeypatch.setattr(answers, "encoded_prompts", lambda *_: known)
    explorer.controls.prompt.value = "the other image"
    assert (explorer.result.target, explorer.result.is_pair) == ("the other image", False)
    assert "Similarity of the two" not in explorer._html["scores"].value
    assert message(explorer) == ""


@pytest.mark.parametrize("target", ["text", "image", "shift", "channel", "own"])
def test_shares_add_up_for_every_target(explorer, target) -> None:
    explorer.controls.target.value = target
    assert message(explorer) == ""
    total = sum(share for _, share in share_rows(explorer.result))
    assert total == pytest.approx(explorer.view.cosine.score[0], rel=1e-6)
    assert explorer.result.target in unescape(explorer._html["scores"].value)


def test_the_shift_is_what_the_enhanced_cls_adds(explorer) -> None:
    explorer.controls.target.value = "shift"
    tokens = tokens_of(explorer)
    enhanced = explorer.model.enhance(tokens).cls[0]
    wanted = torch.cosine_similarity(enhanced, enhanced - tokens.cls[0], dim=0).item()
    assert explorer.view.cosine.score[0] == pytest.approx(wanted, abs=1e-5)


def test_several_prompts_are_scored_for_plain_and_enhanced_side_by_side(explorer) -> None:
    lines = ["a person wearing a red top", "a person wearing blue trousers"]
    explorer.controls.prompt.value = "\n".join([lines[0], "  ", lines[1]])
    tokens, texts = tokens_of(explorer), explorer.model.encode_text(lines)
    for cls, scores in (
        (tokens.cls, explorer.result.plain_scores),
        (explorer.model.enhance(tokens).cls, explorer.result.enhanced_scores),
    ):
        np.testing.assert_allclose(scores[:, 0], torch.cosine_similarity(cls, texts), atol=1e-5)
    assert explorer.result.target == lines[0]
    assert all(line in explorer._html["scores"].value for line in lines)


def test_shuffled_windows_leave_their_own_slot_and_move_the_others(explorer) -> None:
    explorer.controls.shuffle.value = 8
    # windows of 8 hold whole windows of 4, so that only scale 16 sees other runs
    assert explorer.result.shuffle.pooled_change[0, :2].tolist() == [0, 0]
    assert explorer.result.shuffle.pooled_change[0, 2] > 1e-3
    assert "scale 8 unchanged to the last digit" in explorer._html["scores"].value
    assert sorted(explorer.board.order) == list(range(128))
    explorer.controls.shuffle.value = 16
    assert explorer.result.shuffle.enhanced_change[0] == 0
    explorer.controls.shuffle.value = 0
    assert explorer.board.order == []


def test_tiles_are_shown_as_untrained_means(explorer) -> None:
    explorer.controls.windows.value = "tiles"
    explorer.controls.tile_rows.value = 8
    explorer.controls.tile_cols.value = 8
    panel = explorer.view.panel("free")
    assert (panel.title, panel.origin, panel.geometry.n_windows) == ("8x8 tiles", "mean", 2)
    (free,) = (column for column in explorer.board.columns if column["key"] == "free")
    assert "not in the trained model" in free["words"]


def settled(explorer: mv.ScaleExplorer) -> mv.ScaleExplorer:
    """The explorer with the free windows of every scale on its board, or known not to come."""
    thread = explorer._every_scale.worker.thread
    if thread is not None:
        thread.join(60)
    return explorer


def sent_scale(explorer: mv.ScaleExplorer, scale: int) -> np.ndarray:
    """The free windows of one of the scales that were sent, ``[row window]``."""
    n_rows = len(explorer.board.rows)
    values = np.frombuffer(explorer.board.pyramid["values"], np.float32)
    first = n_rows * sum(128 // s for s in range(1, scale))
    return values[first : first + n_rows * (128 // scale)].reshape(n_rows, -1)


@pytest.mark.parametrize("rows", ["one", "modalities", "pair"])
def test_the_free_windows_of_every_scale_are_sent_behind_the_answer(explorer, rows: str) -> None:
    explorer.controls.value.value, explorer.controls.rows.value = "share", rows
    sent = {scale: sent_scale(settled(explorer), scale).copy() for scale in (1, 8, 12, 77)}
    assert not explorer.controls.scale.is_followed
    for scale, values in sent.items():
        explorer.controls.scale.value = scale
        wanted = heat(explorer, "free")
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
        assert settled(explorer).board.pyramid["words"][scale - 1] == explorer.view.panel("free").words


def test_what_the_board_draws_alone_is_sent_once(explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = settled(explorer).board.pyramid
    monkeypatch.setattr(shown_results, "free_panels", lambda *_, **__: pytest.fail("computed again"))
    for scale in (3, 40, 12):
        explorer.controls.scale.value = scale
    assert settled(explorer).board.pyramid is first
    assert explorer.board.fits == {k: v for k, v in explorer.board.answered.items() if k != "scale"}


def test_where_more_than_the_free_panel_moves_the_kernel_follows(explorer) -> None:
    assert not settled(explorer).controls.scale.is_followed
    explorer.controls.slots[2].value = "free"
    assert settled(explorer).controls.scale.is_followed
    assert (explorer.board.pyramid, explorer.board.fits) == ({}, {})
    explorer.controls.slots[2].value = "off"
    assert not settled(explorer).controls.scale.is_followed


def test_other_weights_have_other_windows_at_every_scale(explorer) -> None:
    before = sent_scale(settled(explorer), 7).copy()
    with torch.no_grad():
        for parameter in explorer.model.addon.parameters():
            parameter.mul_(1.5)
    try:
        explorer.controls.scale.value = 7
        np.testing.assert_allclose(sent_scale(settled(explorer), 7), heat(explorer, "free"), rtol=1e-5)
        assert not np.allclose(sent_scale(explorer, 7), before)
    finally:
        with torch.no_grad():
            for parameter in explorer.model.addon.parameters():
                parameter.div_(1.5)


def test_a_fault_behind_the_answer_is_told_and_the_kernel_follows(explorer, monkeypatch) -> None:
    settled(explorer)
    monkeypatch.setattr(shown_results, "free_panels", lambda *_, **__: 1 / 0)
    explorer.controls.value.value = "cosine"
    settled(explorer)
    assert "division by zero" in message(explorer)
    assert explorer.controls.scale.is_followed
    monkeypatch.undo()
    assert_still_works(explorer)


def test_a_pinned_window_has_its_share_next_to_its_ablation(explorer) -> None:
    explorer.board.pinned = {"key": "scale-8", "row": 0, "window": 3}
    said = explorer._html["inspection"].value
    assert "Window 3 of scale 8, RGB" in said
    assert all(
        words in said for words in ("share of the norm", "net push", "change when removed", "|enhanced CLS|")
    )
    assert "512 ReLU gates" in said
    assert "plain" in explorer.board.pinnable
    for key, title in {"fused": "fused", "plain": "plain CLS"}.items():
        explorer.board.pinned = {"key": key, "row": 0, "window": 3}
        said = explorer._html["inspection"].value
        assert f"Patch 3 of {title}, RGB" in said
        assert "of the patch token as the add-on reads it" in said
        assert f"Pinned: patch 3 of {title}" in shown_words(explorer._shown, explorer.board.pinned)
    explorer.controls.cls.value = True
    explorer.board.pinned = {"key": "cls", "row": 0, "window": 3}
    assert "got a patch of the panel" in explorer._html["inspection"].value
    assert "cls" not in explorer.board.pinnable
    explorer.board.pinned = None
    assert explorer._html["inspection"].value == ""


def test_the_first_value_is_what_removal_changes_and_the_sentence_says_what_the_norm_takes(explorer) -> None:
    assert explorer.controls.value.value == "removal"
    explorer.controls.prompt.value = "a person wearing green bottoms"
    found = waterfall_of(explorer.result)
    plain = explorer.view.plain_cosine[0]
    assert found.plain == pytest.approx(plain)
    assert found.by_kind["norm"] == pytest.approx(found.cls - plain)
    assert found.plain + sum(step.value for step in found.steps) == pytest.approx(
        explorer.view.cosine.score[0]
    )
    assert waterfall_words(found) in unescape(explorer._html["scores"].value)
    titles = "\n".join(axis.get_title() for axis in explorer.figure().axes)
    assert waterfall_words(found).split(":")[0] in titles.replace("\n", " ")


def test_an_image_that_the_embedded_model_never_saw_is_out_of_domain(explorer, tmp_path: Path) -> None:
    assert "Out of domain" not in every_message(explorer)
    Image.new("RGB", (128, 256)).save(tmp_path / "photograph.png")
    explorer._open(str(tmp_path))
    assert "this image is not among this package&#39;s drawings" in every_message(explorer)
    assert_still_works(explorer)


def test_what_could_not_be_answered_is_told_to_the_board(explorer) -> None:
    explorer.board.show(explorer.view.panels, answered=explorer.board.answered)
    explorer.controls.target.value = "channel"
    assert explorer.board.failed is None
    explorer._samples[1] = mv.Sample(-1, -1, {"RGB": Path("/no/such/file.jpg")})
    explorer.strip.selected = 1
    assert explorer.board.failed == explorer.controls.asked
    assert explorer.board.answered != explorer.controls.asked
    explorer.strip.selected = 0
    assert_still_works(explorer)


def test_the_figure_shows_every_panel_and_the_shares(explorer) -> None:
    titles = [axis.get_title() for axis in explorer.figure().axes]
    assert titles[1:7] == [
        *("scale 4\ntrained", "scale 8\ntrained", "scale 16\ntrained", "scale 12\nresampled from 16"),
        *("fused", "plain CLS"),
    ]


def test_the_figure_leaves_out_what_is_hidden_and_says_where_it_comes_from(explorer) -> None:
    explorer.board.hidden = ["scale-4", "plain"]
    figure = explorer.figure()
    assert [axis.get_title().split("\n")[0] for axis in figure.axes[1:5]] == [
        "scale 8",
        "scale 16",
        "scale 12",
        "fused",
    ]
    assert "embedded CLIP" in figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_is_saved_as_its_ending_says(explorer, tmp_path: Path, kind: str, start: bytes) -> None:
    assert explorer.save_figure(tmp_path / f"view.{kind}").read_bytes().startswith(start)


def test_a_figure_in_another_format_is_refused(explorer, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.png or \.svg or \.pdf: got .*view\.gif"):
        explorer.save_figure(tmp_path / "view.gif")


def test_the_save_button_sends_a_file_and_the_copy_button_the_state(explorer, monkeypatch) -> None:
    sent = []
    monkeypatch.setattr(explorer.board, "send", lambda content, buffers=None: sent.append((content, buffers)))
    explorer.bar.download.format.value = "svg"
    explorer.bar.download.button.click()
    explorer.bar.copy.click()
    (download, (file,)), (copied, _) = sent
    assert download == {"kind": "download", "name": "000001_cam1_0_00_scales.svg"}
    assert file.startswith(b"<?xml")
    assert json.loads(copied["text"]) == explorer.state


def test_a_state_rebuilds_the_view(model, explorer) -> None:
    changes = {
        "scale": 21,
        "kernel": "mean",
        "value": "share",
        "target": "shift",
        "rows": "modalities",
        "stride": 7,
    }
    for name, value in {**changes, "shuffle": 8, "slot_8": "off", "slot_16": "free", "opacity": 0.3}.items():
        getattr(explorer.controls, name).value = value
    explorer.strip.selected, explorer.strip.second, explorer.strip.modality = 2, 1, "NI"
    explorer.board.hidden, explorer.board.pinned = ["plain"], {"key": "free", "row": 1, "window": 2}
    again = mv.ScaleExplorer.from_state(model, mv.samples()[:3], json.dumps(explorer.state))
    assert again.state == explorer.state
    for ours, theirs in zip(again.view.panels, explorer.view.panels, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert again._html["scores"].value == explorer._html["scores"].value
    assert again._html["inspection"].value == explorer._html["inspection"].value


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"version": 99}, OptionError, "version 99"),
        ({"sample": "gone"}, DataError, "'gone'"),
        ({"modality": "XX"}, OptionError, "XX"),
        ({"controls": {"zoom": 3}}, OptionError, "zoom"),
        ({"controls": {"value": "size"}}, OptionError, "size"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(model, explorer, change, error, said) -> None:
    with pytest.raises(error, match=said):
        mv.ScaleExplorer.from_state(model, mv.samples()[:3], {**explorer.state, **change})


def test_text_that_is_no_state_is_refused(model) -> None:
    with pytest.raises(OptionError, match=r"a state must be JSON: .*; copy it again with 'copy state'"):
        mv.ScaleExplorer.from_state(model, mv.samples()[:1], "{scale")


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        ("scale", 3.7, "scale of a state must be a whole number from 1 to 128: got 3.7"),
        ("scale", 9999, "from 1 to 128: got 9999"), ("scale", True, "got True"), ("scale", "21", "got '21'"),
        ("scale", 10**4000, "got 1000"), ("scale", None, "got None"), ("scale", [], r"got \[\]"),
        ("stride", -1, "from 0 to 128: got -1"), ("opacity", 1.5, "a number from 0.0 to 1.0: got 1.5"),
        ("opacity", float("nan"), "got nan"), ("opacity", False, "got False"), ("value", "size", "one of 'removal', "),
        ("value", None, "got None"), ("shuffle", 5, "one of 0, 4, 8, 16"), ("cmap", "jet", "one of 'auto', "),
        ("outline", 1, "True or False: got 1"), ("outline", "no", "True or False: got 'no'"), ("prompt", 3, "must be text: got 3"),
        ("slot_8", {"a": 1}, "one of "), ("kernel", "a" * 10**6, "one of 'auto', 'mean': got "),
    ],
)  # fmt: skip
def test_a_value_that_a_control_does_not_take_as_it_is_is_refused(explorer, control, value, said) -> None:
    state = explorer.state | {"controls": explorer.state["controls"] | {control: value}}
    before = explorer.state
    with pytest.raises(OptionError, match=said) as caught:
        explorer._apply(parsed(state))
    assert explorer.state == before
    assert len(str(caught.value)) < 400


WRONG = (
    None,
    float("nan"),
    "abc",
    True,
    [],
    [[[]]],
    {},
    {1: 2},
    -1,
    10**5000,
    2.5,
    b"",
    "x" * 20_000,
    [3],
    {"key": 5},
)


@pytest.mark.parametrize(
    "field", ["version", "weights", "sample", "second", "digests", "modality", "controls", "hidden", "pinned"]
)
def test_a_field_of_another_kind_is_refused_by_name(explorer, field: str) -> None:
    state = explorer.state | {"pinned": {"key": "free", "row": 1, "window": 2}}
    right = {"weights": ("abc",), "sample": ("abc",), "second": ("abc",), "modality": ("abc",)}
    right |= {"digests": ({},), "controls": ({}, {"key": 5}), "hidden": ([],), "pinned": (None, {})}
    for wrong in (value for value in WRONG if value not in right.get(field, ())):
        with pytest.raises(OptionError, match=field) as caught:
            parsed(state | {field: wrong})
        assert "copy it again" in str(caught.value)
        assert len(str(caught.value)) < 400
    if field not in ("digests", "hidden", "pinned"):  # states of version 1 lack the first
        with pytest.raises(OptionError, match=f"{field}: field required"):
            parsed({name: value for name, value in state.items() if name != field})


@pytest.mark.parametrize(
    "pinned", [{"key": "free"}, {"key": "free", "row": -1, "window": 2}, {"key": "free", "row": True, "window": 2},
               {"key": 1, "row": 1, "window": 2}, {"key": "free", "row": 1, "window": 2**31}, "free", [1, 2], 7],
)  # fmt: skip
def test_a_malformed_pin_is_refused_in_our_words(explorer, pinned) -> None:
    with pytest.raises(OptionError, match=r"the state cannot be used: pinned.*; copy it again"):
        parsed(explorer.state | {"pinned": pinned})


@pytest.mark.parametrize(
    "state", ["", "{", "null", "[]", "7", '"text"', "NaN", '{"version": NaN}', "[" * 10**5, '{"a":' * 10**5, " " * (2 * 2**20),
              '{"version": ' + "9" * 5000 + "}", None, 7, [], [("version", 2)], b"{}", {1, 2}, object(), "\0", "\ud800"],
    ids=lambda state: repr(state)[:20],
)  # fmt: skip
def test_what_is_no_state_is_refused_in_one_line(state) -> None:
    with pytest.raises(OptionError, match=r"copy it again") as caught:
        parsed(state)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_state_cut_off_anywhere_is_refused(explorer) -> None:
    whole = json.dumps(explorer.state)
    for length in range(0, len(whole), 7):
        with pytest.raises(OptionError, match="a state must be JSON"):
            parsed(whole[:length])


def test_other_weights_than_the_state_s_are_named(model, explorer) -> None:
    state = {**explorer.state, "weights": "weights: another CLIP"}
    assert "another CLIP" in message(mv.ScaleExplorer.from_state(model, mv.samples()[:3], state))


def test_the_background_draws_thumbnails_and_computes_every_token_once(explorer) -> None:
    explorer._background.start(explorer._samples).join()
    assert len(explorer.strip.thumbs) == 9
    assert all(thumb.startswith(b"\xff\xd8") for thumb in explorer.strip.thumbs)
    assert (explorer.strip.progress, explorer.strip.status) == (1, "")
    for sample in mv.samples()[:3]:
        assert all(path in explorer._kept for path in sample.images.values())


def test_the_background_can_be_stopped(explorer) -> None:
    explorer._background.on_strip({"kind": "stop"}, explorer._samples)
    thread = explorer._background.start(explorer._samples)
    explorer._background.on_strip({"kind": "stop"}, explorer._samples)
    thread.join()
    explorer._background.stop()
    assert_still_works(explorer)


def test_the_explorer_answers_while_the_background_works(explorer, monkeypatch) -> None:
    allowed, encode = threading.Event(), type(explorer.model).encode_fitted

    def slow(*args, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            allowed.wait(10)
        return encode(*args, **kwargs)

    monkeypatch.setattr(type(explorer.model), "encode_fitted", slow)
    thread = explorer._background.start(explorer._samples)
    assert_still_works(explorer)
    explorer.strip.selected = 1
    assert explorer.board.answered["selected"] == 1
    assert thread.is_alive()
    allowed.set()
    thread.join()


def test_an_explorer_without_samples_is_refused(model) -> None:
    with pytest.raises(DataError, match="at least one sample"):
        mv.ScaleExplorer(model, [])


# ---- states and the samples they name -------------------------------------------------------------


def frames(root: Path, people: tuple[str, ...] = ("alice", "bob")) -> list[mv.Sample]:
    """Two frames of each person, with the same file names in each one's folder."""
    found = []
    for number, person in enumerate(people):
        (root / person).mkdir(parents=True)
        for frame in range(2):
            path = root / person / f"frame_{frame:04d}.png"
            seed = ("alice", "bob").index(person) * 2 + frame
            pixels = np.random.default_rng(seed).integers(0, 256, (256, 128, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
            found.append(mv.Sample(number, frame, {"RGB": path}))
    return found


def chosen(explorer: mv.ScaleExplorer) -> tuple[Path, Path]:
    strip, samples = explorer.strip, explorer._samples
    return tuple(samples[at].images["RGB"] for at in (strip.selected, strip.second))


def copied(model: Model, samples: list[mv.Sample], first: int, second: int) -> str:
    explorer = mv.ScaleExplorer(model, samples)
    explorer.strip.selected, explorer.strip.second = first, second
    state = json.dumps(explorer.state)
    explorer.close()
    return state


def test_a_state_names_a_sample_by_its_path_below_the_data_set(model, tmp_path) -> None:
    state = json.loads(copied(model, frames(tmp_path), 2, 1))
    assert (state["version"], state["sample"], state["second"]) == (
        2,
        "bob/frame_0000.png",
        "alice/frame_0001.png",
    )
    assert str(tmp_path) not in json.dumps(state)


@pytest.mark.parametrize("order", [1, -1])
def test_a_moved_data_set_in_another_order_shows_the_same_images(model, tmp_path, order) -> None:
    state = copied(model, frames(tmp_path / "here"), 2, 1)
    again = mv.ScaleExplorer.from_state(model, frames(tmp_path / "there")[::order], state)
    there = tmp_path / "there"
    assert chosen(again) == (there / "bob" / "frame_0000.png", there / "alice" / "frame_0001.png")
    assert message(again) == ""
    again.close()


def test_another_person_s_frame_of_the_same_name_is_refused(model, tmp_path) -> None:
    samples = frames(tmp_path)
    state = copied(model, samples, 2, 3)
    with pytest.raises(DataError, match=r"none of 2 is named 'bob/frame_0000\.png' .*frame_0000\.png"):
        mv.ScaleExplorer.from_state(model, samples[:2], state)
    state = copied(model, samples[2:], 0, 1)
    with pytest.raises(DataError, match="another picture"):
        mv.ScaleExplorer.from_state(model, samples[:2], state)


def test_a_file_that_has_changed_since_is_named(model, tmp_path) -> None:
    samples = frames(tmp_path)
    state = copied(model, samples, 2, 1)
    Image.new("RGB", (128, 256)).save(samples[2].images["RGB"])
    again = mv.ScaleExplorer.from_state(model, samples, state)
    assert "bob/frame_0000.png is no longer the file" in message(again)
    again.close()


def test_an_old_state_loads_where_its_names_are_unique_and_is_refused_elsewhere(model, tmp_path) -> None:
    samples = frames(tmp_path)
    state = json.loads(copied(model, samples, 2, 3))
    old = {**state, "version": 1, "sample": "frame_0000", "second": "frame_0001"}
    del old["digests"]
    again = mv.ScaleExplorer.from_state(model, samples[2:], old)
    assert chosen(again) == tuple(samples[at].images["RGB"] for at in (2, 3))
    again.close()
    with pytest.raises(DataError, match=r"may be alice/frame_0000\.png, bob/frame_0000\.png"):
        mv.ScaleExplorer.from_state(model, samples, old)
