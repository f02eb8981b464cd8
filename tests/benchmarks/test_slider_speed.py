"""What one step of the scale slider costs in the kernel; target: under 10 ms on one core."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.tiny import slot_pooled

from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.windows.activations import reduce_activations, window_activations
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens.tokens import Tokens


@pytest.fixture(scope="module")
def tokens():
    generator = torch.Generator().manual_seed(0)
    return Tokens(
        torch.randn(1, 512, generator=generator), torch.randn(1, 128, 512, generator=generator), (16, 8)
    )


@pytest.fixture(scope="module")
def addon():
    torch.manual_seed(0)
    return CLIPMultiScaleFeatureExtractor()


@pytest.fixture(scope="module")
def weights(addon):
    return fusion_weights(addon)


@pytest.fixture(scope="module")
def direction():
    v = np.random.default_rng(0).normal(size=512)
    return v / np.linalg.norm(v)


@pytest.mark.parametrize("scale", [1, 5, 7, 13, 16, 40])
def test_window_activations_and_their_norms(benchmark, tokens, addon, scale):
    benchmark.group = "slider: window activations"
    benchmark(lambda: reduce_activations(window_activations(tokens, addon, scale), "norm"))


@pytest.mark.parametrize("scale", [1, 16, 40])
def test_shares_with_one_slot_given_another_scale(benchmark, tokens, weights, direction, scale):
    benchmark.group = "slider: shares"
    slots = (Slot(4), Slot(8), Slot(scale))
    benchmark(decompose_fusion, tokens, weights, direction, slots=slots)


@pytest.mark.parametrize("scale", [1, 16, 40])
def test_shares_with_the_trained_slots_pooled_before(benchmark, tokens, weights, direction, scale):
    benchmark.group = "slider: shares, trained slots pooled before"
    slots = (Slot(4), Slot(8), Slot(scale))
    pooled = [slot_pooled(tokens, weights, 0), slot_pooled(tokens, weights, 1), None]
    benchmark(decompose_fusion, tokens, weights, direction, slots=slots, pooled=pooled)
