"""The add-on learns planted identities from tokens alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.heads import mean_patch_control, window_head
from mswin_viz.model.training import Schedule, train_head


@pytest.fixture(scope="module")
def planted() -> tuple[mv.Tokens, np.ndarray]:
    """Ten people whose patches differ in one faint direction each; the CLS tokens are noise."""
    generator = torch.Generator().manual_seed(0)
    pids = np.repeat(np.arange(10), 6)
    signs = torch.randn(10, 1, 16, generator=generator)[pids]
    patches = signs + torch.randn(60, 12, 16, generator=generator)
    return mv.Tokens(torch.randn(60, 16, generator=generator), patches, (4, 3)), pids


def test_training_lowers_the_loss_and_raises_map(planted) -> None:
    tokens, pids = planted
    trained = mv.train_addon(tokens, pids, scales=(2, 3), steps=150, learning_rate=3e-3, progress=False)
    assert trained.losses[-10:].mean() < 0.6 * trained.losses[:10].mean()
    with torch.no_grad():
        enhanced = tokens.cls + trained.addon(tokens.patches)
    cameras = np.arange(60)
    assert (
        mv.retrieval(enhanced.numpy(), pids, cameras).mAP
        > mv.retrieval(tokens.cls.numpy(), pids, cameras).mAP + 0.2
    )


def test_one_seed_gives_one_set_of_weights(planted) -> None:
    states = [
        mv.train_addon(*planted, scales=(3,), steps=3, seed=4, progress=False).addon.state_dict()
        for _ in "ab"
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_leaves_the_generator_alone(planted) -> None:
    before = torch.get_rng_state()
    mv.train_addon(*planted, scales=(3,), steps=2, progress=False)
    assert torch.equal(before, torch.get_rng_state())


def test_an_addon_trained_on_folded_tokens_is_the_one_trained_on_all(planted) -> None:
    head = window_head(16, (2, 3), seed=5)
    losses = train_head(*planted, head, seed=5, schedule=Schedule(12), progress=False)
    trained = mv.train_addon(*planted, scales=(2, 3), seed=5, steps=12, progress=False)  # 12 tokens become 6
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-4)
    for one, other in zip(trained.addon.parameters(), head.body.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_any_head_is_trained_in_place_and_left_in_evaluation_mode(planted) -> None:
    tokens, pids = planted
    head = mean_patch_control(16, 2000)
    losses = train_head(tokens, pids, head, schedule=Schedule(150, 3e-3), progress=False)
    assert not head.training
    assert losses.shape == (150,)
    assert losses[-10:].mean() < 0.6 * losses[:10].mean()


def test_pids_that_do_not_match_the_tokens_are_refused(planted) -> None:
    with pytest.raises(ShapeError, match="59 pids for 60 images"):
        mv.train_addon(planted[0], planted[1][:-1])


def test_identities_with_one_image_each_are_refused(planted) -> None:
    with pytest.raises(OptionError, match="two identities"):
        mv.train_addon(planted[0], np.arange(60))
