"""Position embeddings move to another grid as the host model moves them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mswin_viz.errors import WeightsError
from mswin_viz.model.weights.positions import grid_doubt, resized_positions, source_grid


def by_hand(positions: torch.Tensor, source: tuple[int, int], target: tuple[int, int]) -> torch.Tensor:
    """Each axis: output t of n lies at u = max(0, (t + 0.5) g / n - 0.5), between floor(u) and the next."""

    def taps(t: int, g: int, n: int) -> list[tuple[int, float]]:
        u = max(0.0, (t + 0.5) * g / n - 0.5)
        a = math.floor(u)
        return [(a, 1 - (u - a)), (min(a + 1, g - 1), u - a)]

    out = [positions[0]]
    for row in range(target[0]):
        for col in range(target[1]):
            out.append(
                sum(
                    wr * wc * positions[1 + r * source[1] + c]
                    for r, wr in taps(row, source[0], target[0])
                    for c, wc in taps(col, source[1], target[1])
                )
            )
    return torch.stack(out)


@pytest.mark.parametrize(
    ("source", "target"),
    [((14, 14), (16, 8)), ((14, 14), (8, 16)), ((16, 8), (8, 16)), ((6, 2), (3, 5)), ((4, 4), (20, 9))],
)
def test_resizing_equals_the_bilinear_formula_written_out(source, target):
    generator = torch.Generator().manual_seed(0)
    positions = torch.randn(1 + source[0] * source[1], 3, generator=generator)
    torch.testing.assert_close(
        resized_positions(positions, source, target), by_hand(positions, source, target), rtol=0, atol=5e-6
    )


def test_the_same_grid_keeps_every_bit():
    positions = torch.randn(13, 3, generator=torch.Generator().manual_seed(1))
    assert resized_positions(positions, (6, 2), (6, 2)) is positions


def test_the_cls_row_is_kept():
    positions = torch.randn(17, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(resized_positions(positions, (4, 4), (6, 2))[0], positions[0])


@pytest.mark.parametrize(
    ("n_tokens", "target", "grid"),
    [
        (196, (16, 8), (14, 14)),
        (196, (28, 7), (28, 7)),
        (128, (16, 8), (16, 8)),
        (128, (8, 16), (8, 16)),
        (128, (14, 14), (16, 8)),
        (128, (5, 9), (8, 16)),
        (210, (21, 10), (21, 10)),
        (144, (18, 8), (18, 8)),
        (144, (8, 18), (8, 18)),
        (144, (16, 9), (16, 9)),
        (144, (12, 12), (12, 12)),
        (144, (16, 8), (12, 12)),
        (144, (0, 0), (12, 12)),
        (196, (14, 14), (14, 14)),
        (196, (0, 0), (14, 14)),
        (128, (0, 0), (16, 8)),
        (576, (36, 16), (36, 16)),
        (576, (24, 24), (24, 24)),
        (576, (16, 36), (16, 36)),
        (49, (7, 7), (7, 7)),
        (49, (16, 8), (7, 7)),
        (72, (6, 12), (6, 12)),
        (72, (9, 8), (9, 8)),
        (72, (10, 20), (6, 12)),
    ],
)
def test_the_source_grid_is_the_targets_where_the_count_fits_then_square_then_two_to_one(
    n_tokens, target, grid
):
    assert source_grid(n_tokens, target) == grid


def test_a_count_that_lies_on_no_known_grid_is_refused():
    with pytest.raises(WeightsError, match="210 of them for a 16x8 grid"):
        source_grid(210, (16, 8))


@given(rows=st.integers(1, 40), cols=st.integers(1, 40))
def test_the_grid_asked_for_is_taken_wherever_its_count_fits(rows, cols):
    assert source_grid(rows * cols, (rows, cols)) == (rows, cols)


@pytest.mark.parametrize(
    ("n_tokens", "target", "said"),
    [
        (196, (14, 14), ""),
        (196, (16, 8), ""),
        (49, (0, 0), ""),
        (128, (16, 8), ""),
        (128, (8, 16), ""),
        (144, (12, 12), ""),
        (144, (18, 8), "also make 12x12; 18x8 is as the input asks for"),
        (144, (16, 8), "also make 18x8, 16x9, 9x16, 8x18; 12x12 is assumed; the image_size"),
        (128, (14, 14), "also make 8x16; 16x8 is assumed"),
        (128, (0, 0), "also make 8x16; 16x8 is assumed"),
    ],
)
def test_a_count_that_makes_several_grids_is_said_to(n_tokens, target, said):
    doubt = grid_doubt(n_tokens, target)
    assert said in doubt
    assert bool(said) is bool(doubt)
