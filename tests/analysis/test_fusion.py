"""The fusion in plain arrays against the torch modules it was copied from."""

from __future__ import annotations

import copy
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.oracles import decompose_pair, resampled_kernel
from support.tiny import direction as tiny_direction
from support.tiny import pictures, slot_pooled, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_gap
from mswin_viz.analysis.shares import fusion_weights as module_of_weights
from mswin_viz.analysis.shares.directions import target_directions
from mswin_viz.analysis.shares.fusion import enhanced_cls
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_shuffle import shuffle_windows
from mswin_viz.errors import OptionError, ScaleError, ShapeError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.tokens.tokens import Tokens

from .conftest import DIM, SCALES


def enhanced_by_torch(tokens, addon):
    exact = copy.deepcopy(addon).double()
    return (tokens.cls.double() + exact(tokens.patches.double())).detach().numpy()


def enhanced_from_pooled(tokens, addon, pooled):
    exact = copy.deepcopy(addon).double()
    vectors = torch.cat([torch.as_tensor(p) for p in pooled], dim=1)
    return (tokens.cls.double() + exact.multi_scale_window.fusion(vectors)).detach().numpy()


def test_all_slots_on_is_the_module_itself(tokens, addon):
    enhanced = enhanced_cls(tokens, fusion_weights(addon))
    np.testing.assert_allclose(enhanced, enhanced_by_torch(tokens, addon), rtol=1e-12, atol=1e-12)


def test_a_scale_above_the_tokens_falls_back_as_the_module_does(tokens, addon_with_fallback):
    enhanced = enhanced_cls(tokens, fusion_weights(addon_with_fallback))
    np.testing.assert_allclose(enhanced, enhanced_by_torch(tokens, addon_with_fallback), rtol=1e-12)


def test_the_windows_alone_have_the_same_weights_as_their_wrapper(tokens, addon):
    bare = enhanced_cls(tokens, fusion_weights(addon.multi_scale_window))
    np.testing.assert_array_equal(bare, enhanced_cls(tokens, fusion_weights(addon)))


def test_pooled_slots_are_the_modules_pooled_vectors(tokens, addon):
    weights = fusion_weights(addon)
    for index, expected in enumerate(addon.multi_scale_window.pooled(tokens.patches)):
        pooled = slot_pooled(tokens, weights, index)
        np.testing.assert_allclose(pooled, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_slot_that_is_off_hands_over_zeros_without_its_bias(tokens, addon):
    weights = fusion_weights(addon)
    slots = (Slot(2), Slot(4, "off"), Slot(7))
    pooled = [slot_pooled(tokens, weights, 0), np.zeros((3, DIM)), slot_pooled(tokens, weights, 2)]
    np.testing.assert_allclose(
        enhanced_cls(tokens, weights, slots), enhanced_from_pooled(tokens, addon, pooled), rtol=1e-12
    )


def test_a_slot_that_is_off_may_have_any_scale(tokens, addon):
    off = [Slot(scale, "off") for scale in (2, 400, 0)]
    assert enhanced_cls(tokens, fusion_weights(addon), off).shape == (3, DIM)


@pytest.mark.parametrize("scale", [1, 3, 5, 15])
def test_a_replaced_slot_convolves_with_its_own_kernel_resampled(tokens, addon, scale):
    weights = fusion_weights(addon)
    conv = copy.deepcopy(addon.multi_scale_window.sliding_windows[1]).double()
    kernel = resampled_kernel(conv.weight, scale)
    sequence = tokens.patches.double().transpose(1, 2)
    expected = torch.nn.functional.conv1d(sequence, kernel, conv.bias, stride=scale).mean(dim=2)
    pooled = slot_pooled(tokens, weights, 1, Slot(scale))
    np.testing.assert_allclose(pooled, expected.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_a_slot_of_plain_means_averages_the_covered_tokens_without_a_bias(tokens, addon):
    pooled = slot_pooled(tokens, fusion_weights(addon), 0, Slot(4, "mean"))
    np.testing.assert_allclose(pooled, tokens.patches[:, :12].double().mean(dim=1).numpy(), rtol=1e-12)


def test_pooled_vectors_kept_from_before_change_nothing(tokens, addon):
    weights = fusion_weights(addon)
    kept = [slot_pooled(tokens, weights, 0), None, slot_pooled(tokens, weights, 2)]
    state = weights.run(tokens, pooled=kept)
    np.testing.assert_array_equal(state.enhanced, enhanced_cls(tokens, weights))


def test_the_copy_is_read_only_and_keeps_its_numbers_when_training_goes_on(tokens, addon):
    addon = addon.double()  # float64 parameters are the ones NumPy could share
    weights = fusion_weights(addon)
    before = enhanced_cls(tokens, weights)
    with torch.no_grad():
        for parameter in addon.parameters():
            parameter.mul_(2)
    np.testing.assert_array_equal(enhanced_cls(tokens, weights), before)
    with pytest.raises(ValueError, match="read-only"):
        weights.head.W1[0] = 0


def test_gates_and_origins_are_told(tokens, addon):
    slots = (Slot(2), Slot(5), Slot(7, "mean"))
    state = fusion_weights(addon).run(tokens, slots)
    assert [view.origin for view in state.slots] == ["trained", "resampled", "mean"]
    np.testing.assert_array_equal(state.fused.gates, state.fused.hidden > 0)


@pytest.mark.parametrize("scales", [SCALES, (4, 20)])
def test_scheme_2_with_all_slots_on_is_the_module_itself(tokens, scales):
    wide = CLIPWithProjectionMultiScale(DIM, 9, scales)
    weights = fusion_weights(wide)
    assert weights.scales == scales
    np.testing.assert_allclose(
        enhanced_cls(tokens, weights), enhanced_by_torch(tokens, wide), rtol=1e-10, atol=1e-12
    )


def test_a_copy_of_no_add_on_is_an_error():
    with pytest.raises(OptionError, match="got None"):
        fusion_weights(None)


@pytest.mark.parametrize("slot", [Slot(16), Slot(0), Slot(16, "mean")])
def test_a_slot_scale_outside_the_tokens_is_an_error(tokens, addon, slot):
    with pytest.raises(ScaleError, match=f"got {slot.scale}"):
        enhanced_cls(tokens, fusion_weights(addon), (Slot(2), slot, Slot(7)))


def test_a_wrong_number_of_slots_is_an_error(tokens, addon):
    with pytest.raises(ShapeError, match="3 slots: got 2"):
        enhanced_cls(tokens, fusion_weights(addon), (Slot(2), Slot(4)))


def test_tokens_of_another_width_are_an_error(tokens, addon):
    narrow = Tokens(tokens.cls[:, :5], tokens.patches[:, :, :5], tokens.grid)
    with pytest.raises(ShapeError, match="as wide as the add-on's, 6"):
        enhanced_cls(narrow, fusion_weights(addon))


def test_an_unknown_slot_kernel_is_an_error():
    with pytest.raises(OptionError, match="'on'"):
        Slot(4, "on")


def rewritten_in_place(addon: torch.nn.Module) -> None:
    with torch.no_grad():
        addon.multi_scale_window.fusion[0].weight.mul_(1.5)


def rewritten_behind_the_count(addon: torch.nn.Module) -> None:
    addon.multi_scale_window.fusion[0].weight.data[0, 0] += 0.25


def replaced(addon: torch.nn.Module) -> None:
    last = addon.multi_scale_window.fusion[-1]
    last.bias = torch.nn.Parameter(last.bias.detach() + 1)


def loaded(addon: torch.nn.Module) -> None:
    addon.load_state_dict({name: value * 2 for name, value in addon.state_dict().items()})


@pytest.mark.parametrize("change", [rewritten_in_place, rewritten_behind_the_count, replaced, loaded])
def test_weights_are_copied_once_and_again_after_a_change(tokens, addon, change):
    addon = copy.deepcopy(addon)
    before = fusion_weights(addon)
    assert fusion_weights(addon) is before
    change(addon)
    after = fusion_weights(addon)
    assert after is not before
    assert fusion_weights(addon) is after
    np.testing.assert_allclose(enhanced_cls(tokens, after), enhanced_by_torch(tokens, addon), rtol=1e-12)


def test_everything_that_reads_an_addon_shares_one_copy_of_its_weights(monkeypatch):
    model, images, target = tiny_model(), pictures(), mv.Target.direction(tiny_direction())
    tokens, made = model.encode(images, progress=False), []
    real = module_of_weights._copied_parts
    monkeypatch.setattr(module_of_weights, "_copied_parts", lambda *args: made.append(args) or real(*args))
    mv.decompose(tokens, model.addon, tiny_direction())
    decompose_pair(tokens[:1], tokens[1:], model.addon)
    exact_shares(model, tokens, target, 4)
    share_gap(model, tokens, target, 4, n_steps=2)
    mv.window_activations(tokens, model.addon, 4)
    weights = fusion_weights(model.addon)
    target_directions("shift", tokens, weights)
    shuffle_windows(tokens, weights, 4)
    assert len(made) == 1


def test_the_gate_reads_the_one_copy_too(tokens, monkeypatch):
    addon, made = MixtureOfExpertsAddon(DIM, SCALES, hidden_dim=4).eval(), []
    real = module_of_weights._copied_parts
    monkeypatch.setattr(module_of_weights, "_copied_parts", lambda *args: made.append(args) or real(*args))
    mv.gate_weights(tokens, addon)
    mv.decompose(tokens, addon, np.ones(DIM))
    assert len(made) == 1


def test_a_changed_buffer_is_a_change(addon):
    addon = copy.deepcopy(addon)
    addon.register_buffer("gain", torch.ones(3), persistent=False)
    before = fusion_weights(addon)
    assert fusion_weights(addon) is before
    addon.gain.mul_(2)
    assert fusion_weights(addon) is not before


def test_weights_of_inference_mode_are_copied_too(tokens, addon):
    with torch.inference_mode():
        frozen = copy.deepcopy(addon).requires_grad_(False)
        for parameter in frozen.parameters():
            parameter.data = parameter.data.clone()
        before = fusion_weights(frozen)
        assert fusion_weights(frozen) is before
        frozen.multi_scale_window.fusion[0].weight.data[0, 0] += 1
        assert fusion_weights(frozen) is not before


def test_two_copies_of_an_addon_have_weights_of_their_own(addon):
    assert fusion_weights(copy.deepcopy(addon)) is not fusion_weights(copy.deepcopy(addon))


def test_the_copied_weights_cannot_be_written(addon):
    weights = fusion_weights(addon)
    with pytest.raises(ValueError, match="read-only"):
        weights.kernels[0][0, 0, 0] = 1


def test_every_thread_gets_the_one_copy(addon):
    addon = copy.deepcopy(addon)
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(lambda _: fusion_weights(addon), range(32)))
    assert len({id(some) for some in copies}) == 1


def test_the_copy_goes_with_the_addon(addon):
    addon = copy.deepcopy(addon)
    weights = weakref.ref(fusion_weights(addon))
    assert weights() is not None
    del addon
    gc.collect()
    assert weights() is None
