"""Shares, integrated gradients and ablation side by side: equal exactly where theory says so."""

from __future__ import annotations

import numpy as np
import pytest
from support.tiny import SCALES, direction, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_gap, share_scales
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.errors import OptionError

ALONG, COSINE = mv.Target.direction(direction()), mv.Target.image(direction())


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def tokens(model: mv.Model) -> mv.Tokens:
    return model.encode(pictures(3))


def test_without_biases_integrated_gradients_and_shares_are_one(tokens) -> None:
    model = tiny_model(biases=False)
    gap = share_gap(model, model.encode(pictures(3)), ALONG, 4)
    np.testing.assert_allclose(gap.integrated, gap.shares, atol=1e-4)
    np.testing.assert_allclose(gap.bias, 0, atol=1e-9)
    total = gap.cls + gap.shares.sum(axis=1)
    np.testing.assert_allclose(total, gap.score, atol=1e-9)


def test_with_biases_the_gap_is_no_more_than_gates_explain(model, tokens) -> None:
    gap = share_gap(model, tokens, ALONG, 4)
    total = gap.cls + gap.shares.sum(axis=1) + gap.bias
    np.testing.assert_allclose(total, gap.score, atol=1e-9)
    assert (gap.flipped_on_path > 0).all()
    assert np.abs(gap.integrated - gap.shares).max() > 0.01


def test_removal_is_the_share_where_no_gate_flips(model, tokens) -> None:
    gap = share_gap(model, tokens, ALONG, 5)
    steady = gap.flipped == 0
    assert steady.any()
    assert not steady.all()
    np.testing.assert_allclose(gap.removal[steady], gap.own_share[steady], atol=1e-9)
    assert np.abs(gap.removal - gap.own_share)[~steady].max() > 1e-3


def test_a_cosine_s_removal_recomputes_the_norm(model, tokens) -> None:
    gap = share_gap(model, tokens, COSINE, 5)
    every = remove_each_window(tokens, fusion_weights(model.addon), direction(), 2)
    np.testing.assert_allclose(gap.removal[:, 1], -every.cosine_change[:, 1], atol=1e-6)
    steady = gap.flipped == 0
    np.testing.assert_allclose(gap.removal_norm_kept[steady], gap.own_share[steady], atol=1e-6)
    assert gap.shares.shape == gap.own_share.shape == gap.removal.shape == (3, 2)


def test_targets_and_scales_without_shares_are_refused(model, tokens) -> None:
    for target in (mv.Target.norm(), mv.Target.image(direction(), feature="plain")):
        with pytest.raises(OptionError, match="exact shares need a direction or cosine"):
            share_gap(model, tokens, target, 4)
    with pytest.raises(OptionError, match="the scale must be one of the trained"):
        share_gap(model, tokens, ALONG, 3)


def test_exact_shares_stand_beside_attributions_as_one_of_them(model, tokens) -> None:
    found = exact_shares(model, tokens, COSINE, 5)
    expected = mv.decompose(tokens, model.addon, direction()).cosine()
    np.testing.assert_allclose(found.values, expected.windows[5], atol=1e-7)
    np.testing.assert_allclose(found.norm, expected.norm, atol=1e-6)
    assert found.on_patches().shape == (3, 12)
    np.testing.assert_allclose(found.on_patches()[:, 10:], 0)
    np.testing.assert_allclose(found.on_patches().sum(axis=1), found.values.sum(axis=1))


def test_the_scales_whose_shares_are_shown_first_are_the_trained_ones_and_none_without_an_add_on(
    model,
) -> None:
    assert share_scales(model) == SCALES
    assert share_scales(tiny_model(addon=False)) == ()
