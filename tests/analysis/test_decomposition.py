"""Exact shares: the worked example, plain loops, autograd, and the sums that must hold."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles import decompose_pair
from support.tiny import slot_pooled

from mswin_viz.analysis.shares.decomposition import decompose, decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.errors import ShapeError
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens.tokens import Tokens

from .conftest import DIM, SCALES


@pytest.fixture
def direction():
    return np.random.default_rng(3).normal(size=DIM)


@pytest.fixture
def worked_example():
    addon = CLIPMultiScaleFeatureExtractor(2, (2,))
    eye = torch.eye(2)
    with torch.no_grad():
        module = addon.multi_scale_window
        module.sliding_windows[0].weight.copy_(torch.stack([eye, eye.flip(0)], dim=2))
        module.sliding_windows[0].bias.zero_()
        for linear, bias in ((module.fusion[0], [0.0, -1.0]), (module.fusion[2], [0.5, 0.0])):
            linear.weight.copy_(eye)
            linear.bias.copy_(torch.tensor(bias))
    patches = torch.tensor([[[1.0, 0], [0, 1], [2, 0], [0, 2]]])
    return Tokens(torch.ones(1, 2), patches, (4, 1)), addon, np.array([1.0, 0.0])


def added_up(decomposition):
    windows = sum(shares.sum(axis=1) for shares in decomposition.windows.values())
    return decomposition.cls + windows + decomposition.bias


def shares_by_loops(tokens, addon, v):
    """Window, token and bias shares of the first image, written out as the formulas are."""
    module = copy.deepcopy(addon).double().multi_scale_window
    x = tokens.patches[0].double().numpy()
    n_tokens, dim = x.shape
    W1, b1, W2, b2 = (p.detach().numpy() for p in module.fusion.parameters())
    h = W1 @ np.concatenate([p[0].detach().numpy() for p in module.pooled(tokens.patches[:1].double())]) + b1
    gated = np.array([sum(W2[o, i] * v[o] for o in range(dim)) if h[i] > 0 else 0 for i in range(dim)])
    windows, by_token, bias = {}, {}, float(gated @ b1 + v @ b2)
    for slot, (scale, conv) in enumerate(zip(module.scales, module.sliding_windows, strict=True)):
        r = W1[:, slot * dim : (slot + 1) * dim].T @ gated
        kernel, n_windows = conv.weight.detach().numpy(), n_tokens // scale
        windows[scale], by_token[scale] = np.zeros(n_windows), np.zeros(n_tokens)
        for w in range(n_windows):
            for k in range(scale):
                share = r @ kernel[:, :, k] @ x[w * scale + k] / n_windows
                windows[scale][w] += share
                by_token[scale][w * scale + k] = share
        bias += r @ conv.bias.detach().numpy()
    return windows, by_token, bias


def test_the_worked_example_comes_out_number_by_number(worked_example):
    result = decompose(*worked_example)
    assert result.score == pytest.approx([4.5])
    assert result.cls == pytest.approx([1])
    assert result.windows[2] == pytest.approx(np.array([[1.0, 2.0]]))
    assert result.tokens[2] == pytest.approx(np.array([[0.5, 0.5, 1, 1]]))
    assert result.bias == pytest.approx([0.5])
    assert result.gates.tolist() == [[True, False]]
    assert result.enhanced == pytest.approx(np.array([[4.5, 1.0]]))


def test_shares_are_those_of_plain_loops(tokens, addon, direction):
    result = decompose(tokens, addon, direction)
    windows, by_token, bias = shares_by_loops(tokens, addon, direction)
    assert set(result.windows) == set(result.tokens) == set(SCALES)
    for scale in SCALES:
        np.testing.assert_allclose(result.windows[scale][0], windows[scale], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(result.tokens[scale][0], by_token[scale], rtol=1e-9, atol=1e-12)
    assert result.bias[0] == pytest.approx(bias)


def test_the_score_is_the_direction_along_the_enhanced_cls(tokens, addon, direction):
    result = decompose(tokens, addon, direction)
    enhanced = (tokens.cls + addon(tokens.patches)).detach().numpy()
    np.testing.assert_allclose(result.score, enhanced @ direction, rtol=1e-4)
    np.testing.assert_allclose(result.norm, np.linalg.norm(enhanced, axis=1), rtol=1e-4)
    np.testing.assert_allclose(result.plain_norm, tokens.cls.norm(dim=1).numpy(), rtol=1e-6)


def test_cls_windows_and_bias_add_up_to_the_score(tokens, addon, direction):
    result = decompose(tokens, addon, direction)
    np.testing.assert_allclose(added_up(result), result.score, rtol=1e-12)
    assert (result.residual < 1e-12).all()


def test_token_shares_add_up_to_their_windows_and_dropped_tokens_have_none(tokens, addon, direction):
    result = decompose(tokens, addon, direction)
    for scale, shares in result.tokens.items():
        n_windows = 15 // scale
        covered = shares[:, : n_windows * scale].reshape(3, n_windows, scale)
        np.testing.assert_allclose(covered.sum(axis=2), result.windows[scale], rtol=1e-9, atol=1e-12)
        assert not shares[:, n_windows * scale :].any()


def test_token_shares_of_all_scales_are_gradient_times_input(tokens, addon, direction):
    patches = tokens.patches.double().requires_grad_()
    score = copy.deepcopy(addon).double()(patches) @ torch.from_numpy(direction)
    (gradient,) = torch.autograd.grad(score.sum(), patches)
    expected = (gradient * patches).sum(dim=2).detach().numpy()
    result = decompose(tokens, addon, direction)
    np.testing.assert_allclose(sum(result.tokens.values()), expected, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    scales=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    dim=st.integers(1, 5),
    batch=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_shares_add_up_for_any_grid_scales_and_width(grid, scales, dim, batch, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        addon = CLIPMultiScaleFeatureExtractor(dim, scales)
        tokens = Tokens(torch.randn(batch, dim), torch.randn(batch, grid[0] * grid[1], dim), grid)
        v = torch.randn(batch, dim)
    result = decompose(tokens, addon, v)
    np.testing.assert_allclose(added_up(result), result.score, atol=1e-9)
    assert (result.residual <= 1e-5).all()
    with torch.no_grad():
        enhanced = tokens.cls + addon(tokens.patches)
    np.testing.assert_allclose(result.score, (enhanced * v).sum(dim=1).numpy(), rtol=1e-3, atol=1e-4)
    for shares in result.tokens.values():
        assert shares.shape == (batch, grid[0] * grid[1])


def test_without_an_add_on_the_cls_has_the_whole_score(tokens, direction):
    result = decompose(tokens, None, torch.from_numpy(direction))
    np.testing.assert_array_equal(result.score, result.cls)
    assert result.windows == result.tokens == {}
    assert not result.bias.any()
    assert not result.residual.any()


def test_a_scale_above_the_tokens_is_one_window_with_no_bias_of_its_own(
    tokens, addon_with_fallback, direction
):
    result = decompose(tokens, addon_with_fallback, direction)
    assert result.windows[20].shape == (3, 1)
    assert result.slots[1].origin == "fallback"
    assert not result.slots[1].bias.any()
    np.testing.assert_allclose(result.tokens[20].sum(axis=1), result.windows[20][:, 0], rtol=1e-9)
    np.testing.assert_allclose(added_up(result), result.score, rtol=1e-12)


def test_each_image_can_have_its_own_direction(tokens, addon):
    directions = np.random.default_rng(4).normal(size=(3, DIM))
    together = decompose(tokens, addon, directions)
    for i in range(3):
        alone = decompose(tokens[i], addon, directions[i])
        np.testing.assert_allclose(alone.score, together.score[i : i + 1], rtol=1e-12)
        np.testing.assert_allclose(alone.windows[4][0], together.windows[4][i], rtol=1e-9)


FUSIONS = [
    (Slot(2), Slot(4, "off"), Slot(7)),
    (Slot(5), Slot(4), Slot(7)),
    (Slot(5), Slot(5), Slot(5, "mean")),
    (Slot(2, "off"), Slot(4, "off"), Slot(7, "off")),
]


@pytest.mark.parametrize("slots", FUSIONS)
def test_shares_add_up_whatever_stands_in_the_slots(tokens, addon, direction, slots):
    result = decompose_fusion(tokens, fusion_weights(addon), direction, slots=slots)
    np.testing.assert_allclose(added_up(result), result.score, rtol=1e-12)
    assert [s is None for s in result.slots] == [slot.kernel == "off" for slot in slots]
    assert set(result.windows) == {slot.scale for slot in slots if slot.kernel != "off"}


def test_slots_of_equal_scale_are_added_up_by_scale_and_kept_apart_by_slot(tokens, addon, direction):
    slots = (Slot(5), Slot(4), Slot(5, "mean"))
    result = decompose_fusion(tokens, fusion_weights(addon), direction, slots=slots)
    np.testing.assert_allclose(result.windows[5], result.slots[0].windows + result.slots[2].windows)
    np.testing.assert_allclose(result.tokens[5], result.slots[0].tokens + result.slots[2].tokens)
    assert [s.origin for s in result.slots] == ["resampled", "trained", "mean"]


def test_pooled_vectors_kept_from_before_change_no_share(tokens, addon, direction):
    weights = fusion_weights(addon)
    slots = (Slot(2), Slot(5), Slot(7))
    kept = [slot_pooled(tokens, weights, 0), None, slot_pooled(tokens, weights, 2)]
    result = decompose_fusion(tokens, weights, direction, slots=slots, pooled=kept)
    expected = decompose_fusion(tokens, weights, direction, slots=slots)
    np.testing.assert_array_equal(result.windows[5], expected.windows[5])
    np.testing.assert_array_equal(result.bias, expected.bias)


def test_shares_of_a_cosine_add_up_to_the_cosine_whatever_the_directions_length(tokens, addon, direction):
    enhanced = (tokens.cls + addon(tokens.patches)).detach()
    expected = torch.nn.functional.cosine_similarity(enhanced, torch.from_numpy(direction)[None]).numpy()
    for length in (1.0, 7.5):
        result = decompose(tokens, addon, length * direction).cosine()
        np.testing.assert_allclose(result.score, expected, rtol=1e-4)
        np.testing.assert_allclose(added_up(result), result.score, rtol=1e-12)
        slots = sum(s.windows.sum(axis=1) for s in result.slots)
        np.testing.assert_allclose(slots + result.cls + result.bias, result.score, rtol=1e-12)


def test_the_cosine_of_a_zero_direction_is_not_a_number(tokens, addon):
    assert np.isnan(decompose(tokens, addon, np.zeros(DIM)).cosine().score).all()


def test_a_pair_splits_into_the_same_similarity_from_either_side(tokens, addon):
    a, b = tokens[[0, 1]], tokens[[2, 0]]
    pair = decompose_pair(a, b, addon)
    features = [(t.cls + addon(t.patches)).detach() for t in (a, b)]
    expected = torch.nn.functional.cosine_similarity(*features).numpy()
    np.testing.assert_allclose(pair.similarity, expected, rtol=1e-4, atol=1e-6)
    for side in (pair.a, pair.b):
        np.testing.assert_allclose(added_up(side), pair.similarity, rtol=1e-10)
    assert not np.allclose(pair.a.windows[4], pair.b.windows[4])


def test_a_pair_without_an_add_on_is_the_plain_cosine(tokens):
    pair = decompose_pair(tokens[0], tokens[1], None)
    expected = torch.nn.functional.cosine_similarity(tokens.cls[:1], tokens.cls[1:2]).numpy()
    np.testing.assert_allclose(pair.similarity, expected, rtol=1e-5)


def test_pairs_of_unequal_numbers_are_an_error(tokens, addon):
    with pytest.raises(ShapeError, match="same number of images"):
        decompose_pair(tokens[0], tokens, addon)


def test_a_direction_that_does_not_fit_is_an_error(tokens, addon):
    for bad in (np.ones(5), np.ones((2, DIM)), np.float64(1)):
        with pytest.raises(ShapeError, match=r"\[D\] or \[B, D\]"):
            decompose(tokens, addon, bad)


def test_scheme_2_is_split_over_its_windows(tokens, direction):
    result = decompose(tokens, CLIPWithProjectionMultiScale(DIM, 9, SCALES), direction)
    assert tuple(result.windows) == SCALES
    np.testing.assert_allclose(added_up(result), result.score, rtol=1e-12)
    assert (result.residual < 1e-12).all()
