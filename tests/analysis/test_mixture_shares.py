"""Shares of a mixture of experts add up to the score; ablations and activations ask it like any other add-on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.oracles import decompose_pair

import mswin_viz as mv
from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.fusion import enhanced_cls
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon, TopK

from .conftest import DIM, GRID, SCALES

N = GRID[0] * GRID[1]


def random_mixture(scales=SCALES, **sizes) -> MixtureOfExpertsAddon:
    with torch.random.fork_rng():
        torch.manual_seed(9)
        addon = MixtureOfExpertsAddon(DIM, scales, **({"hidden_dim": 11, "temperature": 0.7} | sizes)).eval()
        for parameter in addon.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return addon


@pytest.fixture
def mixture() -> MixtureOfExpertsAddon:
    return random_mixture()


@pytest.fixture
def direction() -> np.ndarray:
    return np.random.default_rng(5).normal(size=DIM)


@pytest.mark.parametrize(
    "sizes", [{}, {"expert_layers": 1, "gate_layers": 1}, {"expert_layers": 3, "gate_layers": 4}]
)
@pytest.mark.parametrize("scales", [SCALES, (4, 20)])
def test_shares_add_up_to_the_score_of_the_module(tokens, direction, scales, sizes):
    addon = random_mixture(scales, **sizes)
    parts = mv.decompose(tokens, addon, direction)
    total = parts.cls + parts.bias + sum(shares.sum(axis=1) for shares in parts.windows.values())
    with torch.no_grad():
        score = ((tokens.cls + addon(tokens.patches)).double().numpy() * direction).sum(axis=1)
    np.testing.assert_allclose(total, score, rtol=1e-5, atol=1e-5)
    assert parts.residual.max() < 1e-12
    assert np.abs(parts.bias).max() > 0.01
    for scale in scales:
        np.testing.assert_allclose(parts.tokens[scale].sum(axis=1), parts.windows[scale].sum(axis=1))


@pytest.mark.parametrize("top_k", [TopK(1), TopK(2), TopK(2, "hard")])
def test_shares_and_ablations_of_a_routed_mixture_are_those_of_the_module(tokens, direction, mixture, top_k):
    mixture.top_k = top_k
    parts = mv.decompose(tokens, mixture, direction)
    total = parts.cls + parts.bias + sum(shares.sum(axis=1) for shares in parts.windows.values())
    with torch.no_grad():
        score = ((tokens.cls + mixture(tokens.patches)).double().numpy() * direction).sum(axis=1)
    np.testing.assert_allclose(total, score, rtol=1e-5, atol=1e-5)
    silent = mv.gate_weights(tokens, mixture).values == 0
    for i, scale in enumerate(SCALES):
        assert (parts.windows[scale][silent[:, i]] == 0).all()
    assert silent.any()


def frozen_score(addon, state, patches: torch.Tensor) -> torch.Tensor:
    """The add-on in torch with gate, lengths and factors held at ``state``, a function linear in the patches."""
    pooled = addon.multi_scale_extractor.pooled(patches)

    def layer(module, at, x, held):
        u = module[at](x)
        centred = u - u.mean(dim=1, keepdim=True)
        normed = centred / held[0] * module[at + 1].weight + module[at + 1].bias
        return normed * held[1]

    mixed = 0
    for i, (expert, f) in enumerate(zip(addon.moe_fusion.experts, pooled, strict=True)):
        h = f
        for j, held in enumerate(state["experts"][i]):
            h = layer(expert.expert, 4 * j, h, held)
        mixed = mixed + state["gate"][:, i : i + 1] * (h + f)
    return layer(addon.moe_fusion.final_fusion, 0, mixed, state["last"])


def held_of(addon, patches: torch.Tensor) -> dict:
    def of(module, at, x):
        u = module[at](x)
        length = (u.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        normed = module[at + 1](u)
        return (length, torch.special.ndtr(normed)), module[at + 2](normed)

    pooled, experts, mixed, gate = addon.multi_scale_extractor.pooled(patches), [], 0, addon.gate(patches)
    for i, (expert, f) in enumerate(zip(addon.moe_fusion.experts, pooled, strict=True)):
        h, own = f, []
        for j in range(len(expert.expert) // 4):
            held, h = of(expert.expert, 4 * j, h)
            own.append(held)
        experts.append(own)
        mixed = mixed + gate[:, i : i + 1] * (h + f)
    last, _ = of(addon.moe_fusion.final_fusion, 0, mixed)
    return {"experts": experts, "gate": gate, "last": last}


def test_a_tokens_share_is_gradient_times_input_of_the_frozen_module(tokens, mixture, direction):
    addon, v = mixture.double(), torch.from_numpy(direction)
    patches = tokens.patches.double().requires_grad_()
    state = held_of(addon, patches.detach())
    frozen = frozen_score(addon, state, patches)
    np.testing.assert_allclose(frozen.detach(), addon(patches).detach(), rtol=1e-10)
    (gradient,) = torch.autograd.grad((frozen @ v).sum(), patches)
    expected = (gradient * patches).sum(dim=2).detach().numpy()
    parts = mv.decompose(tokens, mixture, direction)
    np.testing.assert_allclose(sum(parts.tokens.values()), expected, rtol=1e-8, atol=1e-10)


def test_the_gate_of_a_decomposition_is_that_of_the_module(tokens, mixture, direction):
    expected = mixture.gate(tokens.patches).detach().numpy()
    np.testing.assert_allclose(mv.decompose(tokens, mixture, direction).gate, expected, rtol=1e-5)
    found = mv.gate_weights(tokens, mixture)
    assert found.scales == SCALES
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    np.testing.assert_allclose(found.values.sum(axis=1), 1, rtol=1e-6)


def test_another_temperature_or_routing_is_seen_though_no_weight_has_changed(tokens, mixture, direction):
    before = mv.decompose(tokens, mixture, direction)
    mixture.temperature = 0.2
    assert not np.allclose(mv.decompose(tokens, mixture, direction).gate, before.gate)
    mixture.top_k = TopK(1)
    np.testing.assert_array_equal((mv.gate_weights(tokens, mixture).values > 0).sum(axis=1), 1)


def test_scheme_one_and_plain_clip_have_no_gate(tokens, addon, direction):
    assert mv.decompose(tokens, addon, direction).gate is None
    for module, said in ((addon, "CLIPMultiScaleFeatureExtractor"), (None, "none")):
        with pytest.raises(OptionError, match=f"has a gate: got {said}"):
            mv.gate_weights(tokens, module)


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_an_ablation_runs_the_module_without_one_windows_term(tokens, mixture, direction, slot):
    weights, scale, window = fusion_weights(mixture), SCALES[slot], 1
    without = remove_each_window(tokens, weights, direction, slot)
    pooled = mixture.multi_scale_extractor.pooled(tokens.patches)
    kernel = mixture.multi_scale_extractor.sliding_windows[slot].weight
    term = sum(tokens.patches[:, window * scale + k] @ kernel[:, :, k].T for k in range(scale))
    pooled[slot] = pooled[slot] - term / (N // scale)
    fusion = mixture.moe_fusion
    gate = (fusion.gating_network.gate(torch.cat(pooled, dim=1)) / 0.7).softmax(dim=1)
    mixed = sum(gate[:, i : i + 1] * (fusion.experts[i](f) + f) for i, f in enumerate(pooled))
    enhanced = (tokens.cls + fusion.final_fusion(mixed)).detach().double().numpy()
    np.testing.assert_allclose(without.score[:, window], enhanced @ direction, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(without.norm[:, window], np.linalg.norm(enhanced, axis=1), rtol=1e-5)
    assert not without.flipped.any()


def test_pairs_split_from_either_side(tokens, mixture):
    pair = decompose_pair(tokens[[0, 1]], tokens[[2, 0]], mixture)
    for side in (pair.a, pair.b):
        total = side.cls + side.bias + sum(shares.sum(axis=1) for shares in side.windows.values())
        np.testing.assert_allclose(total, pair.similarity, rtol=1e-10)


@pytest.mark.parametrize("slots", [(Slot(2), Slot(4, "off"), Slot(7)), (Slot(3, "mean"), Slot(5), Slot(7))])
def test_slots_that_are_off_or_hold_another_scale_still_add_up(tokens, mixture, direction, slots):
    parts = decompose_fusion(tokens, fusion_weights(mixture), direction, slots=slots)
    assert parts.residual.max() < 1e-12
    np.testing.assert_allclose(parts.enhanced, enhanced_cls(tokens, fusion_weights(mixture), slots))


def test_window_activations_are_the_convolutions_outputs(tokens, mixture):
    found = mv.window_activations(tokens, mixture, 4)
    assert found.origin == "trained"
    conv = mixture.multi_scale_extractor.sliding_windows[1]
    with torch.no_grad():
        expected = conv(tokens.patches.transpose(1, 2)).transpose(1, 2)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)
