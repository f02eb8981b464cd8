"""The order of windows carries no weight; other scales do see a shuffle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_shuffle import common_run, shuffle_windows, shuffled_order
from mswin_viz.errors import ScaleError
from mswin_viz.model.tokens.tokens import Tokens

from .conftest import DIM, random_addon

SCALES, GRID = (2, 3), (7, 2)  # 14 tokens: two of 15 would be dropped otherwise; runs of 6 leave a tail of 2


@pytest.fixture
def tokens() -> Tokens:
    generator = torch.Generator().manual_seed(3)
    patches = torch.randn(2, 14, DIM, generator=generator)
    return Tokens(torch.randn(2, DIM, generator=generator), patches, GRID)


@pytest.fixture
def weights():
    return fusion_weights(random_addon(SCALES))


def test_a_shuffle_moves_every_whole_run_and_leaves_the_tail():
    order = shuffled_order(23, 4, seed=1)
    assert sorted(order) == list(range(23))
    assert order[20:].tolist() == [20, 21, 22]
    runs = order[:20].reshape(5, 4)
    assert (runs[:, 0] % 4 == 0).all()
    assert (np.diff(runs, axis=1) == 1).all()
    assert (runs[:, 0] != np.arange(0, 20, 4)).all()


def test_the_same_seed_shuffles_alike_and_another_otherwise():
    assert shuffled_order(60, 2, seed=4).tolist() == shuffled_order(60, 2, seed=4).tolist()
    assert shuffled_order(60, 2, seed=4).tolist() != shuffled_order(60, 2, seed=5).tolist()


@pytest.mark.parametrize("run", [0, 8, 99])
def test_a_shuffle_of_less_than_two_runs_is_an_error(run):
    with pytest.raises(ScaleError, match=f"runs of {run}"):
        shuffled_order(14, run)


def test_shuffling_one_scale_s_windows_leaves_its_pooled_vector_to_the_last_digit_and_moves_the_others(
    tokens, weights
):
    shuffle = shuffle_windows(tokens, weights, SCALES[1])
    assert (shuffle.pooled_change[:, 1] == 0).all()
    assert (shuffle.pooled_change[:, 0] > 1e-3).all()
    assert (shuffle.enhanced_change > 1e-4).all()


def test_shuffling_runs_of_the_common_multiple_moves_nothing(tokens, weights):
    assert common_run(SCALES) == 6
    shuffle = shuffle_windows(tokens, weights, 6)
    assert shuffle.pooled_change.max() == 0
    assert shuffle.enhanced_change.max() == 0
    assert (shuffle.tokens.patches != tokens.patches).any()


def test_the_trained_scales_have_a_common_run_of_16():
    assert common_run((4, 8, 16)) == 16


def test_a_slot_that_is_off_does_not_move(tokens, weights):
    shuffle = shuffle_windows(tokens, weights, SCALES[1], slots=(Slot(2, "off"), Slot(3)))
    assert shuffle.pooled_change.max() == shuffle.enhanced_change.max() == 0


def test_the_change_is_what_the_network_itself_says(tokens):
    addon = random_addon(SCALES)
    shuffle = shuffle_windows(tokens, fusion_weights(addon), 3)
    moved = Tokens(tokens.cls, tokens.patches[:, shuffle.order.tolist()], GRID)
    with torch.no_grad():
        before, after = (t.cls + addon(t.patches) for t in (tokens, moved))
    expected = (after - before).norm(dim=1) / before.norm(dim=1)
    np.testing.assert_allclose(shuffle.enhanced_change, expected, rtol=1e-3)


def test_plain_clip_has_no_slot_to_move(tokens):
    shuffle = shuffle_windows(tokens, None, 3)
    assert shuffle.pooled_change.shape == (2, 0)
    assert shuffle.enhanced_change.tolist() == [0, 0]
