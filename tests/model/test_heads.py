"""Heads: what each reads, how large it is, and the phase means that windows see."""

from __future__ import annotations

import pytest
import torch

from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import (
    Head,
    cls_control,
    matched_mlp,
    mean_patch_control,
    n_parameters,
    phase_means,
    window_head,
)

DIM = 6


@pytest.fixture
def tokens() -> Tokens:
    generator = torch.Generator().manual_seed(3)
    return Tokens(
        torch.randn(5, DIM, generator=generator), torch.randn(5, 24, DIM, generator=generator), (8, 3)
    )


@pytest.fixture
def shuffled(tokens: Tokens) -> Tokens:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))
    return Tokens(tokens.cls, tokens.patches[:, order], tokens.grid)


def test_the_control_on_cls_sees_no_patch(tokens: Tokens) -> None:
    head = cls_control(DIM, 500)
    torch.testing.assert_close(head(tokens), head.body(tokens.cls))
    torch.testing.assert_close(
        head(tokens), head(Tokens(tokens.cls, torch.zeros_like(tokens.patches), (8, 3)))
    )


def test_the_control_on_the_mean_patch_sees_neither_cls_nor_the_order(tokens, shuffled) -> None:
    head = mean_patch_control(DIM, 500)
    torch.testing.assert_close(head(tokens), head.body(tokens.patches.sum(dim=1) / 24))
    torch.testing.assert_close(
        head(tokens), head(Tokens(torch.zeros_like(tokens.cls), shuffled.patches, (8, 3)))
    )


def test_the_windows_see_the_order_of_the_patches(tokens, shuffled) -> None:
    head = window_head(DIM, (2, 4))
    assert (head(tokens) - head(shuffled)).abs().max() > 0.01


@pytest.mark.parametrize(("dim", "scales"), [(6, (2, 3)), (16, (4, 8, 16)), (512, (4, 8, 16))])
def test_controls_are_as_large_as_the_windows_to_within_half_a_hidden_unit(dim, scales) -> None:
    size = n_parameters(window_head(dim, scales))
    assert abs(n_parameters(matched_mlp(dim, size)) - size) <= (2 * dim + 1) / 2


def test_the_windows_at_width_512_have_the_parameters_of_the_design() -> None:
    assert n_parameters(window_head(512, (4, 8, 16))) == 8_391_168


def test_folded_tokens_give_the_windows_and_the_mean_patch_the_same(tokens: Tokens) -> None:
    some = phase_means(tokens, (2, 3, 6))
    assert some.patches.shape == (5, 6, DIM)
    assert some.grid == (1, 6)
    head = window_head(DIM, (2, 3, 6), seed=1)
    literal = head.body.multi_scale_window.forward_literal(tokens.patches)
    torch.testing.assert_close(head(some), literal, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(some.patches.mean(dim=1), tokens.patches.mean(dim=1))


def test_tokens_whose_number_the_scales_do_not_divide_are_left_as_they_are(tokens: Tokens) -> None:
    assert phase_means(tokens, (5,)) is tokens
    assert phase_means(tokens, (48,)) is tokens


@pytest.mark.parametrize("make", [cls_control, mean_patch_control])
def test_one_seed_gives_one_set_of_weights_and_leaves_the_generator_alone(make) -> None:
    before = torch.get_rng_state()
    first, again, other = make(DIM, 500, seed=2), make(DIM, 500, seed=2), make(DIM, 500, seed=3)
    assert torch.equal(first.body[0].weight, again.body[0].weight)
    assert not torch.equal(first.body[0].weight, other.body[0].weight)
    assert torch.equal(before, torch.get_rng_state())


def test_a_head_that_reads_something_else_is_refused() -> None:
    with pytest.raises(OptionError, match="mean patch: got 'pixels'"):
        Head(torch.nn.Identity(), "pixels")


def test_a_control_smaller_than_one_hidden_unit_is_refused() -> None:
    with pytest.raises(OptionError, match="at least 19 parameters: got size=5"):
        matched_mlp(6, 5)
