"""Tokens of a batch as a sequence of images."""

from __future__ import annotations

import pytest
import torch

import mswin_viz as mv
from mswin_viz.errors import ShapeError
from mswin_viz.model.tokens.tokens import Tokens

TOKENS = mv.Tokens(torch.arange(6.0).view(3, 2), torch.ones(3, 4, 2), (2, 2))


def test_a_loop_over_tokens_ends_after_the_last_image():
    assert [one.cls.tolist() for one in TOKENS] == [[[0, 1]], [[2, 3]], [[4, 5]]]


@pytest.mark.parametrize("index", [3, -4, 99])
def test_an_image_beyond_the_batch_is_an_index_error(index):
    with pytest.raises(IndexError, match=f"tokens of 3 images are numbered 0..2: got {index}"):
        TOKENS[index]


@pytest.mark.parametrize(("index", "row"), [(0, 0), (2, 2), (-1, 2), (-3, 0)])
def test_one_image_keeps_the_batch_axis(index, row):
    assert TOKENS[index].cls.tolist() == [[2 * row, 2 * row + 1]]


def test_batches_of_different_models_and_no_batches_are_not_joined():
    one = Tokens(torch.ones(2, 3), torch.ones(2, 6, 3), (3, 2))
    for parts in ([], [one, Tokens(torch.ones(2, 3), torch.ones(2, 6, 3), (2, 3))]):
        with pytest.raises(ShapeError, match="of one model"):
            Tokens.joined(parts)
    assert len(Tokens.joined([one, one])) == 4
