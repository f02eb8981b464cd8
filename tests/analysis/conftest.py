"""A small batch on a grid that is not square, and add-ons whose windows do not cover it evenly."""

from __future__ import annotations

import pytest
import torch

from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens.tokens import Tokens

BATCH, GRID, DIM = 3, (5, 3), 6
SCALES = (2, 4, 7)  # 7, 3 and 2 windows of the 15 tokens; 1, 3 and 1 dropped


@pytest.fixture
def tokens() -> Tokens:
    generator = torch.Generator().manual_seed(1)
    n_tokens = GRID[0] * GRID[1]
    return Tokens(
        torch.randn(BATCH, DIM, generator=generator),
        torch.randn(BATCH, n_tokens, DIM, generator=generator),
        GRID,
    )


@pytest.fixture
def addon() -> CLIPMultiScaleFeatureExtractor:
    return random_addon(SCALES)


@pytest.fixture
def addon_with_fallback() -> CLIPMultiScaleFeatureExtractor:
    """Its scale 20 exceeds the 15 tokens."""
    return random_addon((4, 20))


def random_addon(scales: tuple[int, ...]) -> CLIPMultiScaleFeatureExtractor:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        addon = CLIPMultiScaleFeatureExtractor(DIM, scales)
        for parameter in addon.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return addon
