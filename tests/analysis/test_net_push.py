"""Net pushes, shares of the norm and removals of every part: sums, plain loops, autograd, and networks run again."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.oracles import resampled_kernel

import mswin_viz as mv
from mswin_viz.analysis.scales.inspection import inspected_window
from mswin_viz.analysis.scales.request import Subject, ViewRequest
from mswin_viz.analysis.scales.view import scale_view
from mswin_viz.analysis.shares.decomposition import decomposed, direction_of_each
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.net_push import cosine_gradient, net_pushes, norm_shares
from mswin_viz.analysis.shares.part_values import PART_VALUES, part_values, window_values
from mswin_viz.analysis.shares.slot_batch import SlotBatch, batch_values, fused_with
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.parts import window_parts
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens

from .conftest import BATCH, GRID
from .test_any_addon import EXACT, OF_WINDOWS, OWN, SLOTS, enhanced_by_torch, made

N = GRID[0] * GRID[1]
NECK = Neck(torch.linspace(0.5, 2, 6), torch.linspace(-1, 1, 6))


@pytest.fixture
def direction() -> np.ndarray:
    return np.random.default_rng(5).normal(size=6)


def every_part(parts) -> np.ndarray:
    slots = [s.windows.sum(axis=1) for s in parts.slots if s is not None]
    return np.stack([parts.cls, parts.bias, parts.outside, parts.unexplained, *slots])


@pytest.mark.parametrize("has_neck", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_pushes_of_all_parts_add_up_to_zero_and_shares_of_the_norm_to_one(tokens, direction, name, has_neck):
    if has_neck:
        tokens = Tokens(tokens.cls, tokens.patches, GRID, NECK)
    addon = made(name)
    pushes, norm = net_pushes(tokens, addon, direction), norm_shares(tokens, addon)
    cosine = mv.decompose(tokens, addon, direction).cosine()
    np.testing.assert_allclose(every_part(pushes).sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(every_part(norm).sum(axis=0), 1, rtol=1e-12)
    expected = every_part(cosine) - cosine.score * every_part(norm)
    np.testing.assert_allclose(every_part(pushes), expected, atol=1e-12)
    assert np.abs(every_part(pushes)).max() > 1e-3


def test_without_an_add_on_the_cls_has_all_of_the_norm_and_pushes_nothing(tokens, direction):
    np.testing.assert_allclose(norm_shares(tokens, None).cls, 1)
    np.testing.assert_allclose(net_pushes(tokens, None, direction).cls, 0, atol=1e-15)


@pytest.mark.parametrize("name", EXACT)
def test_a_push_is_the_share_along_the_gradient_of_the_cosine(tokens, direction, name):
    addon = made(name)
    weights = fusion_weights(addon)
    state = weights.run(tokens)
    v = direction_of_each(direction, tokens, weights)
    pushes = net_pushes(tokens, addon, direction)
    along = decomposed(state, cosine_gradient(state.enhanced, v))
    for push, share in zip(pushes.slots, along.slots, strict=True):
        np.testing.assert_allclose(push.windows, share.windows, atol=1e-13)
        np.testing.assert_allclose(push.tokens, share.tokens, atol=1e-13)


def test_a_push_is_gradient_times_input_of_the_cosine(tokens, addon, direction):
    module = copy.deepcopy(addon).double()
    cls, patches = (x.double().requires_grad_() for x in (tokens.cls, tokens.patches))
    cosine = torch.cosine_similarity(cls + module(patches), torch.tensor(direction)[None], dim=1)
    of_cls, of_patches = torch.autograd.grad(cosine.sum(), (cls, patches))
    pushes = net_pushes(tokens, addon, direction)
    np.testing.assert_allclose(pushes.cls, (of_cls * cls).sum(dim=1).detach(), atol=1e-12)
    of_tokens = np.sum([slot.tokens for slot in pushes.slots], axis=0)
    np.testing.assert_allclose(of_tokens, (of_patches * patches).sum(dim=2).detach(), atol=1e-12)


def worked_example() -> tuple[Tokens, CLIPMultiScaleSlidingWindow]:
    """Two dimensions, one scale of two, four tokens; one hidden unit is closed."""
    addon = CLIPMultiScaleSlidingWindow(2, (2,))
    kernel = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    with torch.no_grad():
        addon.sliding_windows[0].weight.copy_(kernel)
        addon.sliding_windows[0].bias.zero_()
        for layer, bias in ((addon.fusion[0], (0.0, -1.0)), (addon.fusion[2], (0.5, 0.0))):
            layer.weight.copy_(torch.eye(2))
            layer.bias.copy_(torch.tensor(bias))
    patches = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]]])
    return Tokens(torch.tensor([[1.0, 1.0]]), patches, (2, 2)), addon.eval()


def test_the_worked_example_comes_out_number_by_number():
    tokens, addon = worked_example()
    v = np.array([1.0, 0.0])  # e = cls (1, 1) + windows (1, 0) and (2, 0) + bias (0.5, 0) = (4.5, 1)
    norm = np.hypot(4.5, 1)
    pushes, of_norm = net_pushes(tokens, addon, v), norm_shares(tokens, addon)
    parts = np.array([[1.0, 1.0], [1.0, 0.0], [2.0, 0.0], [0.5, 0.0]])  # CLS, windows, bias
    lengths = parts @ [4.5, 1.0] / norm**2
    expected = parts[:, 0] / norm - 4.5 / norm * lengths
    np.testing.assert_allclose([of_norm.cls[0], *of_norm.windows[2][0], of_norm.bias[0]], lengths)
    np.testing.assert_allclose([pushes.cls[0], *pushes.windows[2][0], pushes.bias[0]], expected)
    left = remove_each_window(tokens, fusion_weights(addon), v, 0)
    changes = [3.5 / np.hypot(3.5, 1) - 4.5 / norm, 2.5 / np.hypot(2.5, 1) - 4.5 / norm]
    np.testing.assert_allclose(left.cosine_change[0], changes)
    state = fusion_weights(addon).run(tokens)
    cosine = decomposed(state, v[None]).cosine()
    values = part_values(state, v[None], "removal", cosine)
    np.testing.assert_allclose(values.slots[0][0], changes, rtol=1e-6)
    token_changes = [e / np.hypot(e, 1) - 4.5 / norm for e in (4.0, 4.0, 3.5, 3.5)]
    np.testing.assert_allclose(values.tokens[0], token_changes, rtol=1e-6)


def run_again(
    tokens: Tokens, addon: torch.nn.Module, removed: list[tuple[int | None, list[int]]]
) -> np.ndarray:
    """The enhanced CLS with the terms of tokens zeroed in one slot's convolution, or in all; plain torch, window by window."""
    module = copy.deepcopy(addon).double()
    parts = window_parts(module)
    with torch.no_grad():
        seen = parts.seen(tokens.patches.double())
        pooled = []
        for i, conv in enumerate(parts.windows.convolutions):
            emptied = seen.clone()
            for slot, places in removed:
                if slot in (i, None):
                    emptied[:, places] = 0
            scale = conv.kernel_size[0]
            outputs = [conv(emptied[:, at : at + scale].mT)[..., 0] for at in range(0, N - scale + 1, scale)]
            pooled.append(torch.stack(outputs).mean(dim=0))
        parts.windows.pooled = lambda _patches: pooled
        return (tokens.cls.double() + module(tokens.patches.double())).numpy()


def cosine_of(enhanced: np.ndarray, direction: np.ndarray) -> np.ndarray:
    return enhanced @ direction / np.linalg.norm(enhanced, axis=1) / np.linalg.norm(direction)


@pytest.mark.parametrize("name", OF_WINDOWS)
def test_every_window_and_token_removed_is_the_network_run_again_without_its_terms(tokens, direction, name):
    addon = made(name)
    state = fusion_weights(addon).run(tokens)
    v = np.tile(direction, (BATCH, 1))
    values = part_values(state, v, "removal", decomposed(state, v).cosine())
    whole = cosine_of(run_again(tokens, addon, []), direction)
    for slot, changes in enumerate(values.slots):
        for window, places in enumerate(state.geometry(slot).tokens.tolist()):
            left = cosine_of(run_again(tokens, addon, [(slot, places)]), direction)
            np.testing.assert_allclose(changes[:, window], left - whole, atol=1e-6)
    for token in range(N):
        left = cosine_of(run_again(tokens, addon, [(None, [token])]), direction)
        np.testing.assert_allclose(values.tokens[:, token], left - whole, atol=1e-6)


@pytest.mark.parametrize("key", ["fused", "plain"])
@pytest.mark.parametrize("name", EXACT)
def test_an_inspected_patch_changes_what_the_network_without_it_does(tokens, direction, name, key):
    addon = made(name)
    weights = fusion_weights(addon)
    subject = Subject(tokens, addon, weights, direction)
    view = scale_view(subject, ViewRequest(5, value="removal", slots=("on",) * len(weights.scales)))
    v = direction_of_each(direction, tokens, weights)[0]

    def again(token: int | None) -> np.ndarray:
        removed = [] if token is None else [token]
        if name in OF_WINDOWS:
            return run_again(tokens, addon, [(None, removed)])
        patches = tokens.patches.double().clone()
        patches[:, removed] = 0
        return enhanced_by_torch(addon, tokens, patches)

    whole = again(None)
    for token in (0, 6, N - 1):
        left = again(token)
        for image in range(BATCH):
            found = inspected_window(subject, view, key, image, token)
            changes = [
                (cosine_of(e[None], v) - cosine_of(w[None], v))[0] for e, w in ((left[image], whole[image]),)
            ]
            assert found.change == pytest.approx(changes[0], abs=1e-12)
            assert found.score_change == pytest.approx((left[image] - whole[image]) @ v, abs=1e-11)
            assert found.norm_after == pytest.approx(np.linalg.norm(left[image]), abs=1e-11)
            assert found.change == pytest.approx(view.panel("fused").values[image, token], abs=1e-6)


@pytest.mark.parametrize("kernel", ["auto", "mean"])
@pytest.mark.parametrize("name", OF_WINDOWS)
def test_free_windows_in_two_slots_are_removed_from_both(tokens, direction, name, kernel):
    """Plain torch, window by window: the network with the kernels of scale 5 in two slots, and a window's tokens zero there."""
    addon, held, scale = made(name), (0, 2), 5
    weights = fusion_weights(addon)
    subject = Subject(tokens, addon, weights, direction)
    request = ViewRequest(scale, kernel=kernel, value="removal", slots=("free", "on", "free"))
    view = scale_view(subject, request)
    module = copy.deepcopy(addon).double()
    parts = window_parts(module)

    def again(window: int | None) -> np.ndarray:
        with torch.no_grad():
            seen, pooled = parts.seen(tokens.patches.double()), []
            for i, conv in enumerate(parts.windows.convolutions):
                taps, weight = (
                    (scale, resampled_kernel(conv.weight, scale))
                    if i in held
                    else (conv.kernel_size[0], conv.weight)
                )
                outputs = []
                for at in range(0, N - taps + 1, taps):
                    inside = seen[:, at : at + taps] * (i not in held or at // taps != window)
                    if i in held and kernel == "mean":
                        outputs.append(inside.mean(dim=1))
                    else:
                        outputs.append(torch.einsum("btd,odt->bo", inside, weight) + conv.bias)
                pooled.append(torch.stack(outputs).mean(dim=0))
            parts.windows.pooled = lambda _patches: pooled
            return (tokens.cls.double() + module(tokens.patches.double())).numpy()

    whole = again(None)
    np.testing.assert_allclose(weights.run(tokens, view.slots).enhanced, whole, atol=1e-12)
    for window in range(3):
        left = again(window)
        changes = cosine_of(left, direction) - cosine_of(whole, direction)
        np.testing.assert_allclose(view.panel("free").values[:, window], changes, atol=1e-6)
        for image in range(BATCH):
            found = inspected_window(subject, view, "free", image, window)
            assert found.change == pytest.approx(changes[image], abs=1e-12)
            assert found.norm_after == pytest.approx(np.linalg.norm(left[image]), abs=1e-12)
    for value in ("share", "push"):
        shown = scale_view(subject, replace(request, value=value))
        found = [inspected_window(subject, shown, "free", 1, window) for window in range(3)]
        np.testing.assert_allclose(
            shown.panel("free").values[1], [getattr(each, value) for each in found], atol=1e-12
        )


@pytest.mark.parametrize("name", OWN)
def test_tokens_of_a_window_of_an_own_module_are_zero_when_it_is_removed(tokens, direction, name):
    addon = made(name)
    weights = fusion_weights(addon)
    state = weights.run(tokens, (Slot(4, "mean", stride=3),))
    v = direction_of_each(direction, tokens, weights)
    values = part_values(state, v, "removal", decomposed(state, v).cosine())

    def again(places: list[int]) -> np.ndarray:
        patches = tokens.patches.double().clone()
        patches[:, places] = 0
        return cosine_of(enhanced_by_torch(addon, tokens, patches), v[0])

    for window, places in enumerate(state.geometry(0).tokens.tolist()):
        np.testing.assert_allclose(values.slots[0][:, window], again(places) - again([]), atol=1e-6)
    for token in range(N):
        np.testing.assert_allclose(values.tokens[:, token], again([token]) - again([]), atol=1e-6)


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("name", OF_WINDOWS)
def test_drawn_removals_are_the_exact_ones_with_any_windows_in_the_slots(tokens, direction, name, slots):
    weights = fusion_weights(made(name))
    state = weights.run(tokens, SLOTS[slots])
    v = np.tile(direction, (BATCH, 1))
    cosine = decomposed(state, v).cosine()
    for slot, changes in enumerate(part_values(state, v, "removal", cosine).slots):
        if changes is None:
            assert SLOTS[slots][slot].kernel == "off"
            continue
        exact = remove_each_window(tokens, weights, direction, slot, slots=SLOTS[slots]).cosine_change
        np.testing.assert_allclose(changes, exact, atol=1e-6)
        np.testing.assert_array_equal(changes, window_values(state, v, "removal", (slot,)))


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("name", OF_WINDOWS)
def test_a_token_s_terms_add_up_to_its_windows(tokens, name, slots):
    weights = fusion_weights(made(name))
    for view in weights.run(tokens, SLOTS[slots]).slots:
        if view is not None:
            exact = view.terms(weights, slice(None)) / view.geometry.n_windows
            np.testing.assert_allclose(view.every_term(weights), exact, atol=1e-5)
            np.testing.assert_allclose(view.token_terms(weights).sum(axis=1), exact.sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("value", PART_VALUES)
def test_windows_that_stand_in_two_slots_are_valued_together(tokens, addon, direction, value):
    weights, v = fusion_weights(addon), np.tile(direction, (BATCH, 1))
    slots = (Slot(5), Slot(4), Slot(5))
    state = weights.run(tokens, slots)
    found = window_values(state, v, value, (0, 2))
    if value == "removal":
        for window in range(3):
            left = [state.slots[i].terms(weights, window)[:, 0] / 3 for i in (0, 2)]
            pooled = [p.copy() for p in state.pooled]
            pooled[0], pooled[2] = pooled[0] - left[0], pooled[2] - left[1]
            again = cosine_of(weights.run(tokens, slots, pooled).enhanced, direction)
            np.testing.assert_allclose(
                found[:, window], again - cosine_of(state.enhanced, direction), atol=1e-6
            )
    else:
        cosine = decomposed(state, v).cosine()
        each = [part_values(state, v, value, cosine).slots[i] for i in (0, 2)]
        np.testing.assert_allclose(found, sum(each))


@pytest.mark.parametrize("value", PART_VALUES)
@pytest.mark.parametrize("name", OF_WINDOWS)
def test_many_windowings_at_once_are_those_of_one_fusion_after_another(tokens, direction, name, value):
    weights, v = fusion_weights(made(name)), np.tile(direction, (BATCH, 1))
    state = weights.run(tokens)
    others = [Slot(3), Slot(4, "mean"), Slot(2, "mean", stride=1)]
    pooled, terms, windowing, expected = [], [], [], []
    for i, slot in enumerate(others):
        alone = weights.run(tokens, (Slot(2), slot, Slot(7)))
        view = alone.slots[1]
        if value != "removal":  # shares are of what is linear in the patch tokens
            view = replace(view, tokens=view.linear)
        pooled.append(alone.pooled[1])
        terms.append(view.terms(weights, slice(None)) / view.geometry.n_windows)
        windowing += [i] * view.geometry.n_windows
        expected.append(window_values(alone, v, value, (1,)))
    batch = SlotBatch(
        1, fused_with(state, 1, np.stack(pooled, axis=1)), np.concatenate(terms, axis=1), np.array(windowing)
    )
    found = batch_values(state, v, batch, value)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-6)


@pytest.mark.parametrize("name", OF_WINDOWS)
def test_a_direction_seen_from_one_slot_is_that_of_all_slots(tokens, direction, name):
    weights, v = fusion_weights(made(name)), np.tile(direction, (BATCH, 1))
    state = weights.run(tokens)
    every = weights.head.pulled_back(v, state.fused).directions
    for index, expected in enumerate(every):
        np.testing.assert_allclose(weights.head.pulled_back_to(index, v, state.fused), expected, atol=1e-14)


def test_many_windowings_refuse_a_value_that_is_no_part_s(tokens, addon, direction):
    state = fusion_weights(addon).run(tokens)
    batch = SlotBatch(
        0, fused_with(state, 0, np.zeros((BATCH, 1, 6))), np.zeros((BATCH, 1, 6)), np.zeros(1, int)
    )
    with pytest.raises(OptionError, match="share, push, removal: got 'norm'"):
        batch_values(state, np.tile(direction, (BATCH, 1)), batch, "norm")


def test_a_removed_window_shrinks_the_norm_so_a_positive_share_need_not_raise_the_cosine():
    """Along the CLS there are two of length 1 each, of which one points elsewhere: it has a share, and costs more."""
    tokens, addon = worked_example()
    v = np.array([0.1, 1.0])
    shares = mv.decompose(tokens, addon, v).cosine().windows[2]
    assert (shares > 0).all()
    assert (net_pushes(tokens, addon, v).windows[2] < 0).all()
    assert (remove_each_window(tokens, fusion_weights(addon), v, 0).cosine_change > 0).all()


def test_windows_of_the_same_tokens_in_another_shape_are_others(tokens):
    """Every token alone, and rows of three: the same numbers one behind the other."""
    weights = fusion_weights(made("attention pooling"))
    alone, rows = (weights.run(tokens, (Slot(scale, "mean"),)).without_each((0,)) for scale in (1, 3))
    assert (alone.enhanced.shape[1], rows.enhanced.shape[1]) == (15, 5)
