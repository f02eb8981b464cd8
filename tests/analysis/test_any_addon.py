"""Every kind of add-on is split, whatever is in it: sums, the frozen map, plain loops, and modules run without a part."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles import decompose_pair, resampled_kernel
from support.own_modules import AttentionPooling, Convolutions, Exponential, Sorted, WithCls
from torch import nn
from torch.utils.checkpoint import checkpoint

from mswin_viz.analysis.frozen.frozen_map import UNEXPLAINED_FROM, FrozenMap
from mswin_viz.analysis.shares.decomposition import decompose, decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.analysis.windows.activations import window_activations
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.addon.parts import window_parts
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens

DIM, GRID, SCALES, BATCH = 6, (5, 3), (2, 4, 7), 3
N = GRID[0] * GRID[1]


OF_WINDOWS = {
    "scheme 1": lambda scales=SCALES, dim=DIM: CLIPMultiScaleFeatureExtractor(dim, scales),
    "scheme 2": lambda scales=SCALES, dim=DIM: CLIPWithProjectionMultiScale(dim, dim + 3, scales),
    "mixture": lambda scales=SCALES, dim=DIM: MixtureOfExpertsAddon(
        dim, scales, hidden_dim=8, temperature=0.7
    ),
}
OWN = {
    "attention pooling": lambda: Addon(AttentionPooling(DIM)),
    "convolutions": lambda: Addon(Convolutions(DIM, GRID)),
    "reads the CLS": lambda: Addon(WithCls(DIM)),
    "concatenated": lambda: Addon(AttentionPooling(DIM, 4), combine="concatenate"),
    "concatenated, reads the CLS": lambda: Addon(WithCls(DIM, 3), combine="concatenate"),
    "sorted": lambda: Addon(Sorted(DIM)),
}
EXACT = OF_WINDOWS | OWN
SLOTS = {
    "on": (Slot(2), Slot(4), Slot(7)),
    "off": (Slot(2), Slot(4, "off"), Slot(7)),
    "all off": (Slot(2, "off"), Slot(4, "off"), Slot(7, "off")),
    "mean": (Slot(2, "mean"), Slot(6, "mean"), Slot(7)),
    "resampled": (Slot(3), Slot(5), Slot(11)),
    "stride": (Slot(2, stride=1), Slot(4, stride=3), Slot(5, "mean", stride=2)),
    "tiles": (Slot(4, "mean", tile=(2, 2)), Slot(4), Slot(6, "mean", tile=(3, 2))),
}


def made(kind, *, seed=2, n_tokens=N, **options):
    """An add-on of a kind with biases that count, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        addon = (EXACT | {"exponential": lambda: Addon(Exponential(DIM))})[kind](**options)
        for parameter in addon.parameters():
            nn.init.normal_(parameter, std=0.5)
    addon = addon.eval()
    return addon.fitted(DIM, n_tokens) if isinstance(addon, Addon) else addon


def some_tokens(grid=GRID, *, batch=BATCH, dim=DIM, seed=1, neck=False, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    cls = torch.randn(batch, dim, generator=generator)
    patches = torch.randn(batch, grid[0] * grid[1], dim, generator=generator)
    scale, offset = torch.randn(2, dim, generator=generator)
    return Tokens(cls.to(dtype), patches.to(dtype), grid, Neck(scale, offset) if neck else None)


def direction_for(addon, *, batch=BATCH):
    return np.random.default_rng(3).normal(size=(batch, fusion_weights(addon).feature_dim))


def enhanced_by_torch(addon, tokens, patches=None):
    """The module itself in float64, its vector added behind the neck or put behind the CLS."""
    exact = copy.deepcopy(addon).double()
    cls, patches = tokens.cls.double(), tokens.patches.double() if patches is None else patches
    with torch.no_grad():
        vector = exact(patches, cls) if isinstance(addon, Addon) else exact(patches)
    if getattr(addon, "combine", "add") == "concatenate":
        return torch.cat([cls, vector], dim=1).numpy()
    gain = 1 if tokens.neck is None else tokens.neck.scale.double()
    return (cls + gain * vector).numpy()


def added_up(parts):
    return (
        parts.cls
        + parts.bias
        + parts.outside
        + parts.unexplained
        + sum(shares.sum(axis=1) for shares in parts.windows.values())
    )


@pytest.mark.parametrize("neck", [False, True], ids=["no neck", "neck"])
@pytest.mark.parametrize("kind", list(EXACT))
def test_shares_add_up_to_the_score_of_the_module(kind, neck):
    addon, tokens = made(kind), some_tokens(neck=neck)
    v = direction_for(addon)
    parts = decompose(tokens, addon, v)
    enhanced = enhanced_by_torch(addon, tokens)
    np.testing.assert_allclose(parts.enhanced, enhanced, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(parts.score, (enhanced * v).sum(axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-11, atol=1e-11)
    assert parts.residual.max() < 1e-12
    assert not parts.unexplained.any()
    assert np.abs(parts.bias).max() > 1e-3


def test_what_cannot_be_held_is_a_part_of_its_own_and_named():
    addon, tokens = made("exponential"), some_tokens()
    v = direction_for(addon)
    parts = decompose(tokens, addon, v)
    assert "exp" in parts.left
    assert (parts.residual > UNEXPLAINED_FROM).all()
    assert (np.abs(parts.unexplained) > 1e-3).all()
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-12)
    np.testing.assert_allclose(parts.score, (enhanced_by_torch(addon, tokens) * v).sum(axis=1), rtol=1e-10)


def test_the_cosine_of_what_cannot_be_held_keeps_every_part():
    addon, tokens = made("exponential"), some_tokens()
    cosine = decompose(tokens, addon, direction_for(addon)).cosine()
    np.testing.assert_allclose(added_up(cosine), cosine.score, rtol=1e-12)


@pytest.mark.parametrize("grid", [GRID, (14, 14), (7, 3)], ids=str)
@pytest.mark.parametrize("neck", [False, True], ids=["no neck", "neck"])
@pytest.mark.parametrize("kind", list(OF_WINDOWS))
def test_the_closed_form_is_the_frozen_map_of_the_module(kind, neck, grid):
    """On 14x14 windows run over the ends of rows; on 5x3 and 7x3 they leave tokens out."""
    addon, tokens = made(kind), some_tokens(grid, neck=neck)
    v = direction_for(addon)
    parts, frozen = decompose(tokens, addon, v), frozen_shares(addon, tokens, v)
    of_tokens = sum(parts.tokens.values())
    np.testing.assert_allclose(of_tokens, frozen.inputs[1].sum(axis=-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.cls, frozen.inputs[0].sum(axis=-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.bias, frozen.constants, rtol=1e-9, atol=1e-9)
    for scale, shares in parts.windows.items():
        geometry = windows(grid, scale)
        np.testing.assert_allclose(shares, parts.tokens[scale][:, geometry.tokens].sum(axis=2), atol=1e-9)
        assert not parts.tokens[scale][:, geometry.dropped].any()


@pytest.mark.parametrize("slots", list(SLOTS))
@pytest.mark.parametrize("neck", [False, True], ids=["no neck", "neck"])
@pytest.mark.parametrize("kind", list(OF_WINDOWS))
def test_the_closed_form_is_the_frozen_map_whatever_stands_in_the_slots(kind, neck, slots):
    addon, tokens = made(kind), some_tokens(neck=neck)
    v = direction_for(addon)
    changed = WithSlots(addon, SLOTS[slots], GRID)
    parts = decompose_fusion(tokens, fusion_weights(addon), v, slots=SLOTS[slots])
    frozen = frozen_shares(changed, tokens, v)
    np.testing.assert_allclose(parts.score, frozen.score, rtol=1e-9, atol=1e-9)
    of_tokens = sum((s.tokens for s in parts.slots if s is not None), start=np.zeros((BATCH, N)))
    np.testing.assert_allclose(of_tokens, frozen.inputs[1].sum(axis=-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.bias, frozen.constants, rtol=1e-9, atol=1e-9)
    assert parts.residual.max() < 1e-12


@pytest.mark.parametrize("kind", list(OF_WINDOWS))
def test_a_scale_above_the_tokens_is_one_window_of_all_of_them(kind):
    addon, tokens = made(kind, scales=(4, 20)), some_tokens(neck=True)
    v = direction_for(addon)
    parts, frozen = decompose(tokens, addon, v), frozen_shares(addon, tokens, v)
    assert parts.windows[20].shape == (BATCH, 1)
    assert parts.slots[1].origin == "fallback"
    np.testing.assert_allclose(
        sum(parts.tokens.values()), frozen.inputs[1].sum(axis=-1), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(parts.bias, frozen.constants, rtol=1e-9, atol=1e-9)


class WithSlots(nn.Module):
    """An add-on of windows in torch, with anything in its slots: what the closed form must be the frozen map of."""

    def __init__(self, addon, slots, grid):
        super().__init__()
        self.addon, self.slots, self.grid = addon, slots, grid

    def forward(self, patches):
        parts = window_parts(self.addon)
        seen = patches if parts.projection is None else self.addon.projection(patches)
        pooled = [self._pooled(seen, *of) for of in zip(parts.windows.convolutions, self.slots, strict=True)]
        if isinstance(self.addon, MixtureOfExpertsAddon):
            self.addon.windows.pooled = lambda _patches: pooled
            return self.addon(patches)
        fused = parts.windows.fusion(torch.cat(pooled, dim=1))
        return fused if parts.projection is None else self.addon.back_projection(fused)

    def _pooled(self, seen, convolution, slot):
        if slot.kernel == "off":
            return torch.zeros(len(seen), seen.shape[2], dtype=seen.dtype)
        places = torch.from_numpy(slot.geometry(self.grid).tokens.copy())
        windowed = seen[:, places]  # [B, n, s, D]
        if slot.kernel == "mean":
            return windowed.mean(dim=(1, 2))
        kernel = resampled_kernel(convolution.weight, slot.scale).to(seen.dtype)
        answers = torch.einsum("bnsd,ods->bno", windowed, kernel) + convolution.bias
        return answers.mean(dim=1)


def frozen_shares(addon, tokens, v):
    exact = copy.deepcopy(addon).double().requires_grad_(False)
    gain = 1 if tokens.neck is None else tokens.neck.scale.double()
    inputs = (tokens.cls.double(), tokens.patches.double())
    return FrozenMap(lambda cls, patches: cls + gain * exact(patches), inputs, exact).shares(torch.tensor(v))


def test_scheme_2_by_plain_loops():
    """Projection, LayerNorms and gates written out, one number at a time, on three tokens of two numbers and one scale."""
    dim, wide, scale = 2, 3, 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        addon = CLIPWithProjectionMultiScale(dim, wide, (scale,))
        for parameter in addon.parameters():
            nn.init.normal_(parameter, std=0.7)
    x, cls = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]], [0.3, -0.4]  # the third is in no window
    v = [0.8, -1.3]
    weights = [parameter.double().tolist() for parameter in addon.parameters()]
    (W1, b1, g1, o1, W2, b2) = weights[:6]
    K, c, W3, b3, W4, b4 = weights[6:12]
    W5, b5, g5, o5 = weights[12:]

    tokens_in, tokens_const = [], []  # of each window's tokens: the part of x, and that of the biases
    for t in range(scale):
        u = [sum(W1[o][i] * x[t][i] for i in range(dim)) for o in range(wide)]
        centre, const_centre = sum(u) / wide, sum(b1) / wide
        deviation = (
            sum((u[o] - centre + b1[o] - const_centre) ** 2 for o in range(wide)) / wide + 1e-5
        ) ** 0.5
        of_x = [g1[o] * (u[o] - centre) / deviation for o in range(wide)]
        of_bias = [g1[o] * (b1[o] - const_centre) / deviation + o1[o] for o in range(wide)]
        is_open = [of_x[o] + of_bias[o] > 0 for o in range(wide)]
        tokens_in.append([sum(W2[p][o] * of_x[o] for o in range(wide) if is_open[o]) for p in range(wide)])
        tokens_const.append(
            [sum(W2[p][o] * of_bias[o] for o in range(wide) if is_open[o]) + b2[p] for p in range(wide)]
        )
    taps = [  # what each token puts into the pooled vector, and what the biases do
        [sum(K[o][i][t] * tokens_in[t][i] for i in range(wide)) for o in range(wide)] for t in range(scale)
    ]
    pooled_const = [
        c[o] + sum(K[o][i][t] * tokens_const[t][i] for t in range(scale) for i in range(wide))
        for o in range(wide)
    ]

    def through(parts):
        return [[sum(W[o][i] * p[i] for i in range(wide)) for o in range(wide)] for p in parts]

    W = W3
    hidden = through([*taps, pooled_const])
    hidden[-1] = [hidden[-1][o] + b3[o] for o in range(wide)]
    gates = [sum(part[o] for part in hidden) > 0 for o in range(wide)]
    gated = [[part[o] * gates[o] for o in range(wide)] for part in hidden]
    W = W4
    fused = through(gated)
    fused[-1] = [fused[-1][o] + b4[o] for o in range(wide)]
    back = [[sum(W5[o][i] * part[i] for i in range(wide)) for o in range(dim)] for part in fused]
    back[-1] = [back[-1][o] + b5[o] for o in range(dim)]
    centred = [[part[o] - sum(part) / dim for o in range(dim)] for part in back]
    deviation = (sum(sum(part[o] for part in centred) ** 2 for o in range(dim)) / dim + 1e-5) ** 0.5
    shares = [sum(v[o] * g5[o] * part[o] / deviation for o in range(dim)) for part in centred]
    bias = shares[-1] + sum(v[o] * o5[o] for o in range(dim))

    tokens = Tokens(torch.tensor([cls]), torch.tensor([x]), (3, 1))
    parts = decompose(tokens, addon, np.array(v))
    np.testing.assert_allclose(parts.tokens[scale][0], [*shares[:-1], 0.0], rtol=1e-6, atol=1e-9)
    assert parts.windows[scale][0, 0] == pytest.approx(sum(shares[:-1]), rel=1e-6)
    assert parts.bias[0] == pytest.approx(bias, rel=1e-6)
    assert parts.cls[0] == pytest.approx(v[0] * cls[0] + v[1] * cls[1], rel=1e-6)
    assert 0 < sum(gates) < wide


def literal_of(addon):
    """The module's forward as its design writes it, every window convolved."""
    return addon.forward_literal if hasattr(addon, "forward_literal") else addon.windows.forward_literal


@pytest.mark.parametrize("slot", range(len(SCALES)))
@pytest.mark.parametrize("kind", list(OF_WINDOWS))
def test_removing_a_window_is_the_module_run_without_its_term(kind, slot):
    """The convolution's answer at that window becomes its bias, as a hook on it has it."""
    addon, tokens = made(kind), some_tokens(neck=True)
    v, window = direction_for(addon), 1
    exact = copy.deepcopy(addon).double()

    def without(convolution, _inputs, answers):
        answers[:, :, window] = convolution.bias
        return answers

    exact.windows.convolutions[slot].register_forward_hook(without)
    if kind == "mixture":  # it has no literal forward of its own
        exact.windows.pooled = lambda patches: [
            convolution(patches.transpose(1, 2)).mean(dim=2) for convolution in exact.windows.convolutions
        ]
    literal = exact.forward if kind == "mixture" else literal_of(exact)
    with torch.no_grad():
        shift = literal(tokens.patches.double()) * tokens.neck.scale.double()
    enhanced = (tokens.cls.double() + shift).numpy()
    removal = remove_each_window(tokens, fusion_weights(addon), v, slot)
    np.testing.assert_allclose(removal.score[:, window], (enhanced * v).sum(axis=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(removal.norm[:, window], np.linalg.norm(enhanced, axis=1), rtol=1e-9)


@pytest.mark.parametrize(
    "geometry", [Slot(1, "mean"), Slot(4, "mean"), Slot(6, "mean", tile=(3, 2))], ids=str
)
@pytest.mark.parametrize("kind", [*OWN, "exponential"])
def test_removing_a_window_of_an_own_module_is_the_module_with_its_tokens_zero(kind, geometry):
    addon, tokens = made(kind), some_tokens(neck=True)
    v, places = direction_for(addon), geometry.geometry(GRID).tokens
    removal = remove_each_window(tokens, fusion_weights(addon), v, 0, slots=[geometry])
    assert removal.score.shape == (BATCH, len(places))
    for window, covered in enumerate(places):
        patches = tokens.patches.double().clone()
        patches[:, torch.from_numpy(covered.copy())] = 0
        enhanced = enhanced_by_torch(addon, tokens, patches)
        np.testing.assert_allclose(removal.score[:, window], (enhanced * v).sum(axis=1), rtol=1e-9, atol=1e-9)
    assert not removal.flipped.any()


@pytest.mark.parametrize("kind", list(OWN))
def test_an_own_modules_shares_are_grouped_by_the_windows_that_are_asked_for(kind):
    addon, tokens = made(kind), some_tokens()
    v = direction_for(addon)
    by_token = decompose(tokens, addon, v)
    slot = Slot(4, "mean")
    grouped = decompose_fusion(tokens, fusion_weights(addon), v, slots=[slot])
    places = windows(GRID, 4).tokens
    np.testing.assert_allclose(grouped.windows[4], by_token.windows[1][:, places].sum(axis=2), atol=1e-10)
    np.testing.assert_allclose(
        grouped.outside, by_token.windows[1][:, windows(GRID, 4).dropped].sum(axis=1), atol=1e-10
    )
    assert np.abs(grouped.outside).max() > 0
    np.testing.assert_allclose(added_up(grouped), grouped.score, rtol=1e-11, atol=1e-11)


def test_overlapping_windows_of_an_own_module_count_each_token_once():
    addon, tokens = made("convolutions"), some_tokens()
    slot = Slot(3, "mean", stride=1)
    parts = decompose_fusion(tokens, fusion_weights(addon), direction_for(addon), slots=[slot])
    shares = parts.slots[0]
    assert isinstance(shares, SlotShares)
    np.testing.assert_allclose(shares.windows.sum(axis=1), shares.tokens.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-11)


@pytest.mark.parametrize("kind", [*EXACT, "exponential"])
def test_pairs_add_up_from_both_sides(kind):
    addon, tokens = made(kind), some_tokens()
    pair = decompose_pair(tokens[[0, 1]], tokens[[2, 0]], addon)
    a, b = (enhanced_by_torch(addon, tokens)[rows] for rows in ([0, 1], [2, 0]))
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(pair.similarity, cosine, rtol=1e-10)
    for side in (pair.a, pair.b):
        np.testing.assert_allclose(added_up(side), pair.similarity, rtol=1e-10)


def test_a_direction_as_wide_as_the_cls_leaves_out_what_is_concatenated():
    addon, tokens = made("concatenated"), some_tokens()
    v = np.random.default_rng(3).normal(size=DIM)
    parts = decompose(tokens, addon, v)
    np.testing.assert_allclose(parts.score, tokens.cls.double().numpy() @ v)
    np.testing.assert_allclose(parts.cls, parts.score)
    assert not parts.windows[1].any()


@pytest.mark.parametrize("kind", list(EXACT))
def test_an_image_has_the_same_shares_alone_and_in_a_batch(kind):
    addon, tokens = made(kind), some_tokens(neck=True)
    v = direction_for(addon)
    together = decompose(tokens, addon, v)
    for image in range(BATCH):
        alone = decompose(tokens[image], addon, v[image])
        for scale, shares in alone.windows.items():
            np.testing.assert_allclose(shares[0], together.windows[scale][image], rtol=1e-9, atol=1e-11)
        assert alone.bias[0] == pytest.approx(together.bias[image], rel=1e-9)


@pytest.mark.parametrize("kind", ["scheme 2", "mixture", "attention pooling"])
def test_a_weight_that_changes_changes_the_shares(kind):
    addon, tokens = made(kind), some_tokens()
    v = direction_for(addon)
    before = decompose(tokens, addon, v)
    with torch.no_grad():
        next(addon.parameters()).mul_(1.5)
    after = decompose(tokens, addon, v)
    np.testing.assert_allclose(after.enhanced, enhanced_by_torch(addon, tokens), rtol=1e-10, atol=1e-10)
    assert not np.allclose(after.score, before.score)


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(list(OF_WINDOWS)),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    scales=st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True),
    dim=st.integers(2, 6),
    batch=st.integers(1, 3),
    seed=st.integers(0, 999),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    neck=st.booleans(),
)
def test_windows_of_any_shape_scale_and_dtype_add_up(kind, grid, scales, dim, batch, seed, dtype, neck):
    addon = made(kind, seed=seed, scales=tuple(scales), dim=dim)
    tokens = some_tokens(grid, batch=batch, dim=dim, seed=seed, dtype=dtype, neck=neck)
    v = direction_for(addon, batch=batch)
    parts, frozen = decompose(tokens, addon, v), frozen_shares(addon, tokens, v)
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-9, atol=1e-9)
    assert parts.residual.max() < 1e-9
    np.testing.assert_allclose(parts.score, frozen.score, rtol=1e-7, atol=1e-7)
    of_tokens = sum(parts.tokens.values())
    np.testing.assert_allclose(of_tokens, frozen.inputs[1].sum(axis=-1), rtol=1e-7, atol=1e-7)


@settings(deadline=None, max_examples=25)
@given(
    module=st.sampled_from([AttentionPooling, WithCls]),
    combine=st.sampled_from(["add", "concatenate"]),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    dim=st.integers(1, 5),
    batch=st.integers(1, 3),
    seed=st.integers(0, 999),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    of_weights=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_own_modules_of_any_shape_and_dtype_add_up(
    module, combine, grid, dim, batch, seed, dtype, of_weights
):
    out = dim if combine == "add" else dim + 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        addon = Addon(module(dim, out), combine=combine).to(of_weights).fitted(dim, grid[0] * grid[1])
    tokens = some_tokens(grid, batch=batch, dim=dim, seed=seed, dtype=dtype)
    v = direction_for(addon, batch=batch)
    parts = decompose(tokens, addon, v)
    assert parts.enhanced.shape == (batch, dim if combine == "add" else 2 * dim + 2)
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-9, atol=1e-9)
    assert parts.residual.max() < 1e-9
    assert parts.windows[1].shape == (batch, grid[0] * grid[1])


def test_the_tokens_and_the_module_are_left_as_they_are():
    for kind in EXACT:
        addon, tokens = made(kind), some_tokens(neck=True)
        before = copy.deepcopy(addon.state_dict()), replace(tokens, patches=tokens.patches.clone())
        decompose(tokens, addon, direction_for(addon))
        remove_each_window(tokens, fusion_weights(addon), direction_for(addon), 0)
        assert all(torch.equal(value, addon.state_dict()[name]) for name, value in before[0].items())
        torch.testing.assert_close(tokens.patches, before[1].patches, rtol=0, atol=0)


class Checkpointed(nn.Module):
    """Runs its layer once more on the way back, which a held pass cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(DIM, DIM)

    def forward(self, patches):
        return checkpoint(self.layer, patches, use_reentrant=True).mean(dim=1)


class Exported(nn.Module):
    """Leaves torch for NumPy."""

    def forward(self, patches):
        return torch.from_numpy(patches.numpy().mean(axis=1))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(
    ("kind", "said"), [(Checkpointed, "RuntimeError: .*"), (Exported, "RuntimeError: .*grad")]
)
def test_a_module_that_no_held_pass_can_run_is_named_with_its_own_error(kind, said):
    addon, tokens = Addon(kind()).fitted(DIM, N), some_tokens()
    words = rf"{kind.__name__} failed with {said}.*; .* torch\.utils\.checkpoint only if self\.training"
    with pytest.raises(OptionError, match=words) as problem:
        decompose(tokens, addon, np.ones(DIM))
    assert isinstance(problem.value.__cause__, RuntimeError)


def test_a_module_that_no_model_has_taken_says_where_one_comes_from():
    for module in (AttentionPooling(DIM), Addon(AttentionPooling(DIM))):
        with pytest.raises(OptionError, match=r"load_model\(addon=module\)\.addon"):
            decompose(some_tokens(), module, np.ones(DIM))


@pytest.mark.parametrize("around", [nn.DataParallel, torch.compile])
def test_what_runs_a_module_faster_has_the_modules_shares(around):
    module = AttentionPooling(DIM).eval()
    plain, faster = (Addon(given).fitted(DIM, N) for given in (module, around(module)))
    v = np.random.default_rng(3).normal(size=DIM)
    parts = decompose(some_tokens(), faster, v)
    np.testing.assert_array_equal(parts.windows[1], decompose(some_tokens(), plain, v).windows[1])
    assert parts.residual.max() < 1e-12


def test_a_module_that_changes_its_tokens_in_place_is_split_and_they_stay():
    class InPlace(AttentionPooling):
        def forward(self, patches):
            patches += self.key.weight
            return super().forward(nn.functional.relu_(patches))

    addon, tokens = Addon(InPlace(DIM)).fitted(DIM, N), some_tokens()
    before = tokens.patches.clone()
    parts = decompose(tokens, addon, direction_for(addon))
    remove_each_window(tokens, fusion_weights(addon), direction_for(addon), 0)
    assert torch.equal(tokens.patches, before)
    np.testing.assert_allclose(added_up(parts), parts.score, rtol=1e-11, atol=1e-11)
    assert parts.residual.max() < 1e-12


@pytest.mark.parametrize("problem", [MemoryError("no room"), torch.OutOfMemoryError("no room")])
def test_a_module_for_which_memory_runs_out_is_not_blamed(problem):
    class Large(AttentionPooling):
        def forward(self, patches):
            if patches.dtype == torch.float64:  # as its shares have it
                raise problem
            return super().forward(patches)

    with pytest.raises(type(problem), match="no room"):
        decompose(some_tokens(), Addon(Large(DIM)).fitted(DIM, N), np.ones(DIM))


def test_tokens_of_another_width_than_a_modules_are_refused():
    weights = fusion_weights(Addon(AttentionPooling(DIM)).fitted(DIM, N))
    with pytest.raises(
        ShapeError, match=rf"as wide as the add-on's, {DIM}: got patches .*made for this model"
    ):
        weights.run(some_tokens(dim=DIM + 1))
    assert weights.run(some_tokens()).pulled_back(np.ones((BATCH, DIM))) == ()


@pytest.mark.parametrize(
    ("said", "got"), [(lambda patches: patches.mean(dim=1), rf"\({BATCH}, {DIM}\)"), (lambda _: "bright", "str")]
)  # fmt: skip
def test_what_a_module_says_of_its_tokens_is_one_vector_for_each(said, got):
    class Talking(AttentionPooling):
        def activations(self, patches):
            return said(patches)

    with pytest.raises(ShapeError, match=rf"one vector for each token, \[{BATCH}, {N}, wide\]: got {got}"):
        window_activations(some_tokens(), Addon(Talking(DIM)).fitted(DIM, N), 4)
