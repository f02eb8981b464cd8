"""Views of several images at once, geometry beyond the design, and single windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.oracles import decompose_pair

from mswin_viz.analysis.scales.inspection import inspected_window
from mswin_viz.analysis.scales.request import VALUES, Subject, ViewRequest, first_value
from mswin_viz.analysis.scales.token_panels import PLAIN_PANELS
from mswin_viz.analysis.scales.view import fused_part, scale_view, trained_part
from mswin_viz.analysis.shares.decomposition import decompose, decompose_fusion
from mswin_viz.analysis.shares.directions import target_directions
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.net_push import net_pushes, norm_shares, shares_of_norm
from mswin_viz.analysis.shares.part_values import PART_VALUES
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.analysis.windows.activations import seen_tokens, token_means, window_activations
from mswin_viz.analysis.windows.geometry import tiles, windows
from mswin_viz.errors import OptionError, ScaleError

from .conftest import BATCH, DIM, GRID, SCALES

ON = ("on", "on", "on")


@pytest.fixture
def direction():
    return np.random.default_rng(5).normal(size=DIM)


@pytest.fixture
def subject(tokens, addon, direction) -> Subject:
    return Subject(tokens, addon, fusion_weights(addon), direction)


def test_the_panels_are_the_slots_the_free_scale_the_fusion_and_the_plain_cls(subject):
    view = scale_view(subject, ViewRequest(5, slots=ON))
    assert [panel.key for panel in view.panels] == [
        "scale-2",
        "scale-4",
        "scale-7",
        "free",
        "fused",
        *PLAIN_PANELS,
    ]
    assert all(panel.values.shape == (BATCH, panel.geometry.n_windows) for panel in view.panels)


def test_each_image_of_a_batch_is_answered_as_if_alone(subject):
    for value in VALUES:
        request = ViewRequest(5, value=value, channel=3, slots=("on", "off", "free"))
        together = scale_view(subject, request)
        for image in range(BATCH):
            alone = Subject(subject.tokens[image], subject.addon, subject.weights, subject.direction)
            for a, b in zip(together.panels, scale_view(alone, request).panels, strict=True):
                np.testing.assert_allclose(a.values[image], b.values[0], rtol=1e-5, atol=1e-7)


def test_the_fused_panel_adds_up_with_cls_and_bias_to_the_cosine(subject):
    view = scale_view(subject, ViewRequest(5, slots=("on", "free", "off")))
    total = view.panel("fused").values.sum(axis=1) + view.cosine.cls + view.cosine.bias
    np.testing.assert_allclose(total, view.cosine.score, rtol=1e-9)


def test_the_plain_panel_is_each_patch_s_cosine_to_the_plain_cls(subject):
    cls, patches = subject.tokens.cls, subject.tokens.patches
    expected = torch.cosine_similarity(patches, cls[:, None], dim=2)
    view = scale_view(subject, ViewRequest(5, slots=ON))
    np.testing.assert_allclose(view.panel("plain").values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", ["norm", *PART_VALUES])
def test_parts_kept_from_another_scale_give_the_same_view(subject, value):
    first, then = ViewRequest(3, value=value, slots=ON), ViewRequest(6, value=value, slots=ON)
    kept = fused_part(subject, first, trained=trained_part(subject, first))
    for a, b in zip(
        scale_view(subject, then, fused=kept).panels, scale_view(subject, then).panels, strict=True
    ):
        np.testing.assert_array_equal(a.values, b.values)


def test_tiles_and_overlaps_are_plain_means_of_their_tokens(subject):
    request = ViewRequest(5, tile=(2, 2), stride=1, slots=ON)
    panel = scale_view(subject, request).panel("free")
    assert (panel.title, panel.origin) == ("2x2 tiles", "mean")
    assert "not in the trained model" in panel.words
    patches = subject.tokens.patches.numpy()
    for w, tile in enumerate(tiles(GRID, (2, 2), stride=1).tokens):
        expected = np.linalg.norm(patches[:, tile].mean(axis=1), axis=1)
        np.testing.assert_allclose(panel.values[:, w], expected, rtol=1e-5)


def test_an_overlapping_stride_is_said_to_be_beyond_the_design_and_end_to_end_is_not(subject):
    words = [
        scale_view(subject, ViewRequest(4, stride=s, slots=ON)).panel("free").words for s in (None, 4, 2)
    ]
    assert ["not in the trained model" in said for said in words] == [False, False, True]


@pytest.mark.parametrize("slot", [Slot(4, "mean", None, (2, 2)), Slot(4, "trained", 1), Slot(6, "mean", 2)])
def test_shares_add_up_with_tiles_and_overlaps_in_a_slot_too(subject, slot, direction):
    slots = (Slot(2), slot, Slot(7))
    parts = decompose_fusion(subject.tokens, subject.weights, direction, slots=slots)
    assert parts.residual.max() < 1e-12
    for shares in parts.slots:
        np.testing.assert_allclose(
            shares.tokens.sum(axis=1), shares.windows.sum(axis=1), rtol=1e-9, atol=1e-12
        )


def test_a_slot_of_tiles_pools_the_mean_of_its_tiles(subject):
    slot = Slot(4, "mean", None, (2, 2))
    parts = decompose_fusion(subject.tokens, subject.weights, np.eye(DIM)[0], slots=(slot, Slot(4), Slot(7)))
    geometry = tiles(GRID, (2, 2))
    assert parts.slots[0].geometry is geometry
    assert (
        parts.slots[0].tokens[:, geometry.dropped].tolist()
        == np.zeros((BATCH, len(geometry.dropped))).tolist()
    )


def test_a_slot_refuses_trained_tiles_and_a_wrong_size():
    with pytest.raises(OptionError, match="no kernel is trained on 2-D tiles"):
        Slot(4, "trained", None, (2, 2))
    with pytest.raises(OptionError, match="4 tokens: got scale 5"):
        Slot(5, "mean", None, (2, 2))


def test_means_of_any_geometry_agree_with_the_mean_kernel(tokens, addon):
    expected = window_activations(tokens, addon, 4, kernel="mean", stride=3).values
    found = token_means(seen_tokens(tokens, addon), windows(GRID, 4, stride=3))
    np.testing.assert_array_equal(found.values, expected)


def test_a_pair_is_split_both_ways_and_both_add_up_to_the_similarity(subject):
    pair = subject.tokens[[0, 2]]
    both = Subject(pair, subject.addon, subject.weights, target_directions("pair", pair, subject.weights))
    cosine = scale_view(both, ViewRequest(5, slots=ON)).cosine
    expected = decompose_pair(pair[0], pair[1], subject.addon)
    np.testing.assert_allclose(cosine.score, [expected.similarity[0]] * 2, rtol=1e-10)
    for image, side in enumerate((expected.a, expected.b)):
        np.testing.assert_allclose(cosine.cls[image], side.cls[0], rtol=1e-9)
        np.testing.assert_allclose(cosine.bias[image], side.bias[0], rtol=1e-9)
        for scale in SCALES:
            np.testing.assert_allclose(
                cosine.windows[scale][image], side.windows[scale][0], rtol=1e-8, atol=1e-14
            )


def test_an_inspected_window_has_its_share_and_its_ablation(subject, direction):
    view = scale_view(subject, ViewRequest(5, slots=ON))
    found = inspected_window(subject, view, "scale-4", 1, 2)
    parts = decompose(subject.tokens[1], subject.addon, direction)
    without = remove_each_window(subject.tokens[1], subject.weights, direction, 1)
    assert found.score_share == pytest.approx(parts.windows[4][0, 2])
    assert found.share == pytest.approx(parts.cosine().windows[4][0, 2])
    assert found.change == pytest.approx(without.cosine_change[0, 2])
    assert (found.score_change, found.n_flipped) == (
        pytest.approx(without.change[0, 2]),
        without.flipped[0, 2],
    )
    assert found.norm_share == pytest.approx(norm_shares(subject.tokens[1], subject.addon).windows[4][0, 2])
    pushes = net_pushes(subject.tokens[1], subject.addon, direction)
    assert found.push == pytest.approx(pushes.windows[4][0, 2])
    assert found.push == pytest.approx(found.share - parts.cosine().score[0] * found.norm_share)


def test_a_free_window_is_inspected_as_if_it_replaced_the_nearest_scale(subject, direction):
    view = scale_view(subject, ViewRequest(5, value="share", slots=ON))
    found = inspected_window(subject, view, "free", 0, 1)
    parts = decompose_fusion(subject.tokens[0], subject.weights, direction, slots=(Slot(2), Slot(5), Slot(7)))
    assert found.share == pytest.approx(parts.cosine().slots[1].windows[0, 1])
    assert found.share == pytest.approx(view.panel("free").values[0, 1])


@pytest.mark.parametrize("value", PART_VALUES)
@pytest.mark.parametrize("slots", [ON, ("on", "free", "off"), ("free", "on", "free")])
def test_every_panel_of_windows_shows_what_an_inspection_of_its_windows_says(subject, slots, value):
    view = scale_view(subject, ViewRequest(5, value=value, slots=slots))
    name = {"removal": "change"}.get(value, value)
    shown = [key for key in ("scale-2", "scale-4", "scale-7", "free") if key in view.places]
    for key in (*shown, "fused"):
        panel = view.panel(key)
        assert panel.unit == value
        for image, window in ((0, 0), (1, panel.geometry.n_windows - 1)):
            found = inspected_window(subject, view, key, image, window)
            assert getattr(found, name) == pytest.approx(panel.values[image, window], rel=1e-4, abs=1e-6)


def test_the_fused_panel_has_each_patch_s_value_through_all_slots(subject, direction):
    pushes = scale_view(subject, ViewRequest(5, value="push", slots=ON)).panel("fused")
    expected = net_pushes(subject.tokens, subject.addon, direction)
    np.testing.assert_allclose(pushes.values.sum(axis=1) + expected.cls + expected.bias, 0, atol=1e-12)
    removal = scale_view(subject, ViewRequest(5, value="removal", slots=("off", "off", "on"))).panel("fused")
    assert (pushes.unit, removal.unit) == ("push", "removal")
    assert not removal.values[:, 14].any()  # in no window of seven
    assert scale_view(subject, ViewRequest(5, slots=ON)).panel("fused").unit == "share"


@pytest.mark.parametrize("key", ["fused", "plain"])
def test_an_inspected_patch_has_its_shares_through_all_slots(subject, direction, key):
    view = scale_view(subject, ViewRequest(5, slots=("on", "off", "free")))
    found, of_scale = (
        inspected_window(subject, view, key, 1, 4),
        inspected_window(subject, view, "scale-2", 1, 2),
    )
    slots, alone = (Slot(2), Slot(4, "off"), Slot(5)), subject.tokens[1]
    parts = decompose_fusion(alone, subject.weights, direction, slots=slots)
    cosine, norm = parts.cosine(), shares_of_norm(subject.weights.run(alone, slots))
    for name, shares in {"score_share": parts, "share": cosine, "norm_share": norm}.items():
        each = [slot.tokens[0, 4] for slot in shares.slots if slot is not None]
        assert len(each) == 2
        assert getattr(found, name) == pytest.approx(sum(each))
    assert found.push == pytest.approx(found.share - cosine.score[0] * found.norm_share)
    assert found.norm_before == of_scale.norm_before == pytest.approx(parts.norm[0])
    assert (found.is_patch, of_scale.is_patch) == (True, False)


def test_a_patch_that_no_window_covers_does_nothing(subject):
    found = inspected_window(
        subject, scale_view(subject, ViewRequest(5, slots=("off", "off", "on"))), "fused", 0, 14
    )
    nothing = inspected_window(
        subject, scale_view(subject, ViewRequest(5, slots=("off",) * 3)), "fused", 0, 3
    )
    for each in (found, nothing):
        assert each.share == each.push == each.change == each.score_change == each.n_flipped == 0
        assert each.norm_after == each.norm_before


def test_a_patch_that_no_add_on_reads_cannot_be_inspected(subject):
    plain = Subject(subject.tokens, None, None, subject.direction)
    with pytest.raises(
        OptionError, match=r"patches that an add-on reads, .* got a patch of the panel 'plain CLS'"
    ):
        inspected_window(plain, scale_view(plain, ViewRequest(5)), "plain", 0, 3)


@pytest.mark.parametrize("value", PART_VALUES)
def test_without_an_add_on_no_window_does_anything_to_the_cosine(subject, value):
    plain = Subject(subject.tokens, None, None, subject.direction)
    view = scale_view(plain, ViewRequest(5, value=value))
    assert np.isnan(view.panel("free").values).all()
    assert "plain CLIP" in view.panel("free").words


def test_the_first_value_is_what_a_removal_changes_where_something_can_be_removed(subject):
    assert (first_value(subject.weights), first_value(None)) == ("removal", "norm")


@pytest.mark.parametrize(
    ("key", "image", "window", "said"),
    [
        ("fused", 0, 15, "of fused is one of 0..14: got 15"),
        ("scale-4", 9, 0, "got 9"),
        ("scale-4", 0, 99, "got 99"),
        ("scale-2", 0, 0, "not in the fusion"),
        ("scale-5", 0, 0, "got 'scale-5'"),
    ],
)
def test_what_cannot_be_inspected_is_said(subject, key, image, window, said):
    view = scale_view(subject, ViewRequest(5, slots=("off", "on", "on")))
    with pytest.raises(OptionError, match=said):
        inspected_window(subject, view, key, image, window)


def test_a_tile_that_does_not_fit_is_an_error(subject):
    with pytest.raises(ScaleError, match="rows"):
        scale_view(subject, ViewRequest(5, tile=(6, 1), slots=ON))


@pytest.mark.parametrize("request_", [ViewRequest(5, slots=("on",)), ViewRequest(5, value="size", slots=ON)])
def test_a_request_that_cannot_be_answered_is_an_error(subject, request_):
    with pytest.raises(OptionError, match="got"):
        scale_view(subject, request_)
