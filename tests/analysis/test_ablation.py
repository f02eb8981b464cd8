"""Windows taken away one by one, against the network run again by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from mswin_viz.analysis.shares.decomposition import decompose, decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.errors import OptionError

from .conftest import DIM, SCALES


@pytest.fixture
def direction():
    return np.random.default_rng(5).normal(size=DIM)


def run_again_without(tokens, addon, index, window):
    """Enhanced CLS and hidden units with the window's tokens zeroed for this one scale."""
    module = copy.deepcopy(addon).double().multi_scale_window
    patches = tokens.patches.double()
    pooled = module.pooled(patches)
    scale = module.scales[index]
    emptied = patches.clone()
    emptied[:, window * scale : (window + 1) * scale] = 0
    pooled[index] = module.pooled(emptied)[index]
    hidden = module.fusion[0](torch.cat(pooled, dim=1))
    return (tokens.cls.double() + module.fusion[2](hidden.relu())).detach().numpy(), hidden.detach().numpy()


@pytest.mark.parametrize("index", range(len(SCALES)))
def test_taking_a_window_away_is_running_the_network_again_without_its_term(tokens, addon, direction, index):
    weights = fusion_weights(addon)
    before = decompose(tokens, addon, direction)
    each = remove_each_window(tokens, weights, direction, index)
    unit = direction / np.linalg.norm(direction)
    for window in range(15 // SCALES[index]):
        enhanced, hidden = run_again_without(tokens, addon, index, window)
        norm = np.linalg.norm(enhanced, axis=1)
        flipped = ((hidden > 0) != before.gates).sum(axis=1)
        np.testing.assert_allclose(each.score[:, window], enhanced @ direction, rtol=1e-9)
        np.testing.assert_allclose(each.norm[:, window], norm, rtol=1e-9)
        np.testing.assert_allclose(each.cosine[:, window], enhanced @ unit / norm, rtol=1e-9)
        np.testing.assert_array_equal(each.flipped[:, window], flipped)
    np.testing.assert_allclose(each.change, each.score - before.score[:, None], atol=1e-12)
    np.testing.assert_allclose(each.cosine_change, each.cosine - before.cosine().score[:, None], atol=1e-12)


@pytest.mark.parametrize("slots", [None, (Slot(3), Slot(5, "mean"), Slot(7, "off"))])
def test_where_no_gate_flips_the_change_is_minus_the_share_and_elsewhere_not(tokens, addon, direction, slots):
    weights = fusion_weights(addon)
    shares = decompose_fusion(tokens, weights, direction, slots=slots).slots
    seen = {True: 0, False: 0}
    for index in (0, 1):
        each = remove_each_window(tokens, weights, direction, index, slots=slots)
        steady = each.flipped == 0
        np.testing.assert_allclose(each.change[steady], -shares[index].windows[steady], rtol=1e-9, atol=1e-12)
        assert not np.isclose(each.change, -shares[index].windows)[~steady].any()
        seen[True] += steady.sum()
        seen[False] += (~steady).sum()
    assert min(seen.values()) > 0


def test_the_pseudo_window_of_a_fallback_can_be_taken_away(tokens, addon_with_fallback, direction):
    weights = fusion_weights(addon_with_fallback)
    slots = (Slot(4), Slot(20, "off"))
    each = remove_each_window(tokens, weights, direction, 1)
    without = decompose_fusion(tokens, weights, direction, slots=slots)
    np.testing.assert_allclose(each.score[:, 0], without.score, rtol=1e-9)


@pytest.mark.parametrize(("index", "said"), [(3, r"0\.\.2: got 3"), (-1, "got -1"), (1, "off")])
def test_a_slot_that_is_not_there_is_an_error(tokens, addon, direction, index, said):
    slots = (Slot(2), Slot(4, "off"), Slot(7))
    with pytest.raises(OptionError, match=said):
        remove_each_window(tokens, fusion_weights(addon), direction, index, slots=slots)
    assert decompose_fusion(tokens, fusion_weights(addon), direction, slots=slots).slot(2).slot == Slot(7)
    with pytest.raises(OptionError, match="only a slot that is on has shares: got slot 1, which is off"):
        decompose_fusion(tokens, fusion_weights(addon), direction, slots=slots).slot(1)
    with pytest.raises(OptionError, match="only a slot that is on has windows: got slot 1, which is off"):
        fusion_weights(addon).run(tokens, slots).without([1], 0)


def test_an_add_on_whose_layer_has_no_bias_is_refused_with_what_to_do(tokens, addon, direction):
    other = copy.deepcopy(addon)
    other.multi_scale_window.fusion[0].bias = None
    with pytest.raises(OptionError, match="must have a bias: got one without; use zeros"):
        decompose(tokens, other, direction)
    other.multi_scale_window.fusion[0].bias = torch.nn.Parameter(
        torch.zeros(len(other.multi_scale_window.fusion[0].weight))
    )
    assert decompose(tokens, other, direction).residual.max() < 1e-12
