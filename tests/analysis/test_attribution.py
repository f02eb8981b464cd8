"""Captum held against hand-written autograd, plain loops and the exact decomposition."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from support.tiny import DEPTH, DIM, GRID, PATCH, SCALES, SIZE, direction, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution import settings
from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS, OF_IMAGES, refusal
from mswin_viz.data.progress import Progress
from mswin_viz.errors import OptionError, ScaleError, ShapeError, StoppedError
from mswin_viz.model.encoder.block_outputs import block_outputs, tokens_from

N = GRID[0] * GRID[1]
ALONG = mv.Target.direction(direction())
COSINE = mv.Target.image(direction())


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return pictures()


@pytest.fixture
def tokens(model: mv.Model, images: list[np.ndarray]) -> mv.Tokens:
    return model.encode(images)


def scored(model: mv.Model, pixels: torch.Tensor, *, cosine: bool = False) -> torch.Tensor:
    """The score of preprocessed pixels, written without this package's attribution code."""
    visual, v = model.clip.visual, torch.from_numpy(direction()).float()
    x = visual._embeds(pixels)
    for block in visual.transformer.resblocks:
        x = block(x)
    projected = visual.ln_post(x) @ visual.proj
    feature = projected[:, 0] + model.addon(projected[:, 1:])
    return feature @ v / (feature.norm(dim=1) * v.norm() if cosine else 1)


# ---- exact where exact is possible ------------------------------------------------------------


def test_gradient_x_input_on_tokens_is_the_exact_token_share(model, tokens) -> None:
    found = mv.attribute(model, tokens, ALONG, method="gradient_x_input", level="tokens")
    shares = sum(mv.decompose(tokens, model.addon, direction()).tokens.values())
    assert found.values.shape == (2, N)
    np.testing.assert_allclose(found.values, shares, atol=2e-5)


def test_for_a_cosine_it_is_the_share_with_the_norm_frozen(model, tokens) -> None:
    found = mv.attribute(model, tokens, COSINE, method="gradient_x_input", level="tokens")
    exact = mv.decompose(tokens, model.addon, direction()).cosine()
    np.testing.assert_allclose(found.values, sum(exact.tokens.values()), atol=1e-5)
    np.testing.assert_allclose(found.norm, exact.norm, rtol=1e-5)
    np.testing.assert_allclose(found.score, exact.score, atol=1e-6)
    assert found.parameters["norm"] == "frozen"


def test_integrated_gradients_are_the_shares_where_every_bias_is_zero(images) -> None:
    model = tiny_model(biases=False)
    tokens = model.encode(images)
    found = mv.attribute(model, tokens, ALONG, level="tokens", n_steps=5)
    shares = sum(mv.decompose(tokens, model.addon, direction()).tokens.values())
    np.testing.assert_allclose(found.values, shares, atol=5e-5)


def test_with_biases_gates_flip_on_the_way_and_integrated_gradients_keep_their_own_completeness(
    model, tokens
) -> None:
    found = mv.attribute(model, tokens, ALONG, level="tokens", n_steps=400)
    shares = sum(mv.decompose(tokens, model.addon, direction()).tokens.values())
    assert np.abs(found.values - shares).max() > 0.01
    np.testing.assert_allclose(
        found.values.sum(axis=1), found.score - found.baseline_score, atol=0.01 * np.abs(found.score).max()
    )


def test_the_baseline_s_score_is_that_of_zero_tokens_and_delta_is_what_is_left_over(model, tokens) -> None:
    found = mv.attribute(model, tokens, ALONG, level="tokens", n_steps=3)
    empty = mv.Tokens(tokens.cls, torch.zeros_like(tokens.patches), tokens.grid)
    v = torch.from_numpy(direction()).float()
    np.testing.assert_allclose(found.baseline_score, model.enhance(empty).cls @ v, atol=1e-5)
    left = found.values.sum(axis=1) - (found.score - found.baseline_score)
    np.testing.assert_allclose(found.delta, left, atol=1e-6)


# ---- against plain loops and autograd ---------------------------------------------------------


def test_integrated_gradients_of_pixels_are_a_plain_loop_over_steps(model, images) -> None:
    found = mv.attribute(model, images, ALONG, n_steps=6)
    pixels = model.preprocess(images)
    places, weights = np.polynomial.legendre.leggauss(6)
    total = torch.zeros_like(pixels)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        x = (float(place) * pixels).requires_grad_()
        total += float(weight) * torch.autograd.grad(scored(model, x).sum(), x)[0]
    expected = (total * pixels).sum(dim=1)
    assert found.values.shape == (2, *SIZE)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_integrated_gradients_of_pixels_are_complete_with_enough_steps(model, images) -> None:
    found = mv.attribute(model, images, COSINE, n_steps=200, baseline="mean")
    assert np.abs(found.delta).max() < 0.02
    assert np.abs(found.delta).max() < 0.1 * np.abs(found.score - found.baseline_score).max()


def test_gradient_x_input_of_pixels_is_autograd(model, images) -> None:
    found = mv.attribute(model, images, COSINE, method="gradient_x_input", norm="recomputed")
    x = model.preprocess(images).requires_grad_()
    (gradient,) = torch.autograd.grad(scored(model, x, cosine=True).sum(), x)
    np.testing.assert_allclose(found.values, (gradient * x).sum(dim=1).detach(), atol=1e-6)


@pytest.mark.parametrize("block", range(DEPTH))
def test_tokens_behind_a_block_are_attributed_by_autograd_through_the_rest(model, images, block: int) -> None:
    found = mv.attribute(model, images, ALONG, method="gradient_x_input", level="tokens", block=block)
    state = block_outputs(model, model.preprocess(images))[block + 1].requires_grad_()
    enhanced = model.enhance(tokens_from(model, state, block)).cls
    (gradient,) = torch.autograd.grad((enhanced @ torch.from_numpy(direction()).float()).sum(), state)
    np.testing.assert_allclose(found.values, (gradient * state).sum(dim=2)[:, 1:].detach(), atol=1e-5)


def test_feature_ablation_of_windows_is_a_plain_loop_with_norms_recomputed(model, tokens) -> None:
    found = mv.attribute(model, tokens, COSINE, method="feature_ablation", level="windows", scale=5)
    v = torch.from_numpy(direction() / np.linalg.norm(direction())).float()

    def cosine(patches: torch.Tensor) -> torch.Tensor:
        feature = tokens.cls + model.addon(patches)
        return feature @ v / feature.norm(dim=1)

    for window, covered in enumerate(mv.windows(GRID, 5).tokens):
        without = tokens.patches.clone()
        without[:, torch.from_numpy(covered.copy())] = 0
        fall = cosine(tokens.patches) - cosine(without)
        np.testing.assert_allclose(found.values[:, window], fall, atol=1e-6)
    assert found.parameters["norm"] == "recomputed"


def test_ablation_of_pixels_takes_patches_away_and_their_pixels_share_the_fall(model, images) -> None:
    found = mv.attribute(model, images, ALONG, method="feature_ablation", baseline="mean")
    pixels = model.preprocess(images)
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    with torch.no_grad():
        for token, (row, col) in enumerate(itertools.product(range(GRID[0]), range(GRID[1]))):
            without, place = (
                pixels.clone(),
                (slice(row * PATCH, (row + 1) * PATCH), slice(col * PATCH, (col + 1) * PATCH)),
            )
            without[:, :, *place] = mean
            fall = scored(model, pixels) - scored(model, without)
            np.testing.assert_allclose(found.on_patches()[:, token], fall, atol=1e-5)
            np.testing.assert_allclose(found.values[:, *place], fall[:, None, None].expand(-1, PATCH, PATCH) / PATCH**2, atol=1e-6)  # fmt: skip


def test_occlusion_is_the_mean_fall_over_the_squares_that_cover_a_pixel(model, images) -> None:
    found = mv.attribute(model, images[:1], ALONG, method="occlusion", occluder=10)
    pixels = model.preprocess(images[:1])
    falls, counts = np.zeros(SIZE), np.zeros(SIZE)
    tops, lefts = range(0, SIZE[0] - 10 + 5, 5), range(0, SIZE[1] - 10 + 5, 5)
    with torch.no_grad():
        for top, left in itertools.product(tops, lefts):
            covered = pixels.clone()
            covered[:, :, top : top + 10, left : left + 10] = 0
            falls[top : top + 10, left : left + 10] += float(scored(model, pixels) - scored(model, covered))
            counts[top : top + 10, left : left + 10] += 1
    np.testing.assert_allclose(found.values[0], falls / counts, atol=1e-5)
    assert np.isnan(found.delta).all()


def test_shapley_values_are_near_the_mean_over_every_order_and_complete(model, tokens) -> None:
    found = mv.attribute(model, tokens, ALONG, method="shapley", level="windows", scale=4, n_samples=300)
    covered = [torch.from_numpy(w.copy()) for w in mv.windows(GRID, 4).tokens]
    v = torch.from_numpy(direction()).float()
    exact = np.zeros((2, 3))
    for order in itertools.permutations(range(3)):
        patches = torch.zeros_like(tokens.patches)
        before = (tokens.cls + model.addon(patches)) @ v
        for window in order:
            patches[:, covered[window]] = tokens.patches[:, covered[window]]
            after = (tokens.cls + model.addon(patches)) @ v
            exact[:, window] += (after - before).numpy() / math.factorial(3)
            before = after
    spread = np.abs(exact).max()
    np.testing.assert_allclose(found.values, exact, atol=0.15 * spread)
    np.testing.assert_allclose(found.delta, 0, atol=1e-4)


def test_windows_add_up_their_tokens_and_the_rest_is_what_no_window_covers(model, tokens) -> None:
    by_token = mv.attribute(model, tokens, ALONG, level="tokens", n_steps=8)
    by_window = mv.attribute(model, tokens, ALONG, level="windows", scale=5, n_steps=8)
    expected = np.stack([by_token.values[:, w].sum(axis=1) for w in mv.windows(GRID, 5).tokens], axis=1)
    np.testing.assert_allclose(by_window.values, expected, atol=1e-5)
    np.testing.assert_allclose(by_window.rest, by_token.values[:, 10:].sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(by_window.delta, by_token.delta, atol=1e-5)
    assert by_window.parameters["scale"] == 5


# ---- SmoothGrad, seeds, batches ---------------------------------------------------------------


def test_smoothgrad_tends_to_gradient_x_input_as_the_noise_goes(model, images) -> None:
    sharp = mv.attribute(model, images, ALONG, method="gradient_x_input").values
    calm = mv.attribute(model, images, ALONG, method="smoothgrad", noise=1e-5, n_samples=3).values
    noisy = mv.attribute(model, images, ALONG, method="smoothgrad", noise=0.3, n_samples=3).values
    np.testing.assert_allclose(calm, sharp, atol=1e-4)
    assert np.abs(noisy - sharp).max() > 1e-3


@pytest.mark.parametrize(
    ("method", "level", "scale"), [("smoothgrad", "pixels", None), ("shapley", "windows", 2)]
)
def test_one_seed_gives_one_map_whatever_stands_beside_the_image(model, images, method, level, scale) -> None:
    asked = {"method": method, "level": level, "scale": scale, "n_samples": 2}
    before = torch.get_rng_state()
    both = mv.attribute(model, images, ALONG, seed=4, **asked).values
    alone = mv.attribute(model, images[1:], ALONG, seed=4, **asked).values
    other = mv.attribute(model, images, ALONG, seed=5, **asked).values
    np.testing.assert_allclose(both[1:], alone, atol=1e-6)
    assert np.abs(both - other).max() > 1e-6
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("method", "level"),
    [("integrated_gradients", "pixels"), ("feature_ablation", "tokens"), ("occlusion", "pixels"), ("legrad", "tokens"), ("attention_relevance", "tokens")],
)  # fmt: skip
def test_the_batch_size_does_not_change_a_map(model, method: str, level: str) -> None:
    images, each = pictures(3), mv.Target.image(np.random.default_rng(1).normal(size=(3, DIM)))
    maps = [
        mv.attribute(model, images, each, method=method, level=level, n_steps=4, batch_rows=rows).values
        for rows in (1, 2, 7, 1000)
    ]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-5)


# ---- targets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["enhanced", "plain"])
def test_each_target_scores_what_it_says(model, images, tokens, feature: str) -> None:
    v, gallery = direction(), np.random.default_rng(0).normal(size=(4, DIM))
    enhanced, plain = model.enhance(tokens).cls.double().numpy(), tokens.cls.double().numpy()
    f = enhanced if feature == "enhanced" else plain
    length = np.linalg.norm(f, axis=1)
    unit = gallery[[0, 2]] / np.linalg.norm(gallery[[0, 2]], axis=1, keepdims=True)
    centre = unit.mean(axis=0)
    text = model.encode_text("a red top")[0].double().numpy()
    expected = {
        mv.Target.direction(v, feature=feature): f @ v,
        mv.Target.image(v, feature=feature): f @ v / length / np.linalg.norm(v),
        mv.Target.text("a red top", feature=feature): f @ text / length / np.linalg.norm(text),
        mv.Target.norm(feature=feature): length,
        mv.Target.identity(8, gallery, [8, 1, 8, 2], feature=feature): f @ centre / length / np.linalg.norm(centre),
    }  # fmt: skip
    if feature == "enhanced":
        expected[mv.Target.shift()] = np.linalg.norm(enhanced - plain, axis=1)
    for target, scores in expected.items():
        found = mv.attribute(model, images, target, method="gradient_x_input")
        np.testing.assert_allclose(found.score, scores, rtol=1e-4, atol=1e-5)
        assert np.abs(found.values).max() > 0
        assert target.words in found.target


def test_plain_and_enhanced_maps_differ_and_agree_where_the_addon_shifts_nothing(model, images) -> None:
    def maps(of: mv.Model) -> list[np.ndarray]:
        targets = (mv.Target.image(direction(), feature=feature) for feature in ("plain", "enhanced"))
        return [mv.attribute(of, images, target, n_steps=3).values for target in targets]

    plain, enhanced = maps(model)
    assert np.abs(plain - enhanced).max() > 1e-3
    neutral = mv.CLIPMultiScaleFeatureExtractor(DIM, SCALES, init="mean")
    same = maps(mv.Model(model.tower, neutral.eval(), "mean", model.device))
    np.testing.assert_allclose(same[0], same[1], atol=1e-7)


# ---- cost -------------------------------------------------------------------------------------


def test_cached_tokens_are_attributed_without_a_backbone_pass(model, tokens) -> None:
    passes = []
    hook = model.clip.visual.conv1.register_forward_hook(lambda *_: passes.append(1))
    try:
        for method in ATTRIBUTION_METHODS:
            for level, scale in (("tokens", None), ("windows", 4)):
                if method not in OF_IMAGES and not refusal(method, level):
                    mv.attribute(model, tokens, ALONG, method=method, level=level, scale=scale, n_samples=2)
        assert passes == []
        mv.attribute(model, pictures(), ALONG, method="gradient_x_input")
        assert passes
    finally:
        hook.remove()


def test_tokens_of_another_grid_keep_it(model) -> None:
    generator = torch.Generator().manual_seed(0)
    others = mv.Tokens(
        torch.randn(1, DIM, generator=generator), torch.randn(1, 15, DIM, generator=generator), (5, 3)
    )
    found = mv.attribute(model, others, ALONG, method="feature_ablation", level="windows", scale=6)
    assert (found.grid, found.values.shape, found.on_patches().shape) == ((5, 3), (1, 2), (1, 15))


def test_progress_is_reported_up_to_the_end(model, images) -> None:
    for method, level in (("integrated_gradients", "pixels"), ("feature_ablation", "pixels"), ("occlusion", "pixels"),
                          ("legrad", "tokens"), ("attention_relevance", "tokens"), ("smoothgrad", "pixels")):  # fmt: skip
        seen: list[tuple[int, int]] = []
        mv.attribute(
            model, images, ALONG, method=method, level=level, n_steps=5, n_samples=4, batch_rows=3,
            report=lambda at, seen=seen: seen.append((at.done, at.total)),
        )  # fmt: skip
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1], method
        assert len(seen) > 2


def test_a_stopped_attribution_says_so_and_leaves_no_hook(model, images) -> None:
    stopped = threading.Event()

    def stop_early(progress: Progress) -> None:
        if progress.fraction > 1 / 4:
            stopped.set()

    for method, level in (
        ("integrated_gradients", "pixels"),
        ("legrad", "tokens"),
        ("feature_ablation", "pixels"),
    ):
        stopped.clear()
        with pytest.raises(StoppedError, match=r"stopped at \d+ of \d+ rows"):
            mv.attribute(model, images, ALONG, method=method, level=level, batch_rows=2, report=stop_early, stop=stopped.is_set)  # fmt: skip
        assert not [m for m in model.clip.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_an_event_stopped_is_still_taken_with_a_warning(model, images) -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.warns(DeprecationWarning, match="stop=event.is_set"), pytest.raises(StoppedError):
        mv.attribute(model, images, ALONG, stopped=stopped)


def test_maps_are_the_same_where_the_system_does_not_say_how_much_memory_is_free(
    model, images, monkeypatch
) -> None:
    options = {"method": "integrated_gradients", "level": "tokens", "n_steps": 4}
    here = mv.attribute(model, images, ALONG, **options)
    for read in (
        Mock(side_effect=FileNotFoundError),
        Mock(return_value="MemTotal: 4 kB\n"),
    ):  # macOS; an old Linux
        monkeypatch.setattr(settings.Path, "read_text", read)
        elsewhere = mv.attribute(model, images, ALONG, **options)
        read.assert_called()
        np.testing.assert_allclose(elsewhere.values, here.values, atol=1e-6)
    for free in (0, 2**50):  # at least a row, however little is free
        monkeypatch.setattr(settings, "_ASSUMED_FREE", free)
        np.testing.assert_allclose(
            mv.attribute(model, images, ALONG, **options).values, here.values, atol=1e-6
        )


# ---- refusals ---------------------------------------------------------------------------------


def test_the_plain_cls_is_not_attributed_to_tokens_it_does_not_depend_on(model, images, tokens) -> None:
    plain = mv.Target.image(direction(), feature="plain")
    for inputs, options in ((tokens, {}), (images, {"block": DEPTH - 1})):
        with pytest.raises(OptionError, match="exactly zero; attribute at an earlier block"):
            mv.attribute(model, inputs, plain, level="tokens", **options)
    earlier = mv.attribute(model, images, plain, level="tokens", method="gradient_x_input", block=DEPTH - 2)
    assert np.abs(earlier.values).max() > 0
    with pytest.raises(OptionError, match="exactly zero"):
        mv.attribute(tiny_model(addon=False), images, ALONG, level="tokens")


def test_pairs_that_make_no_sense_are_refused_with_the_reason(model, images, tokens) -> None:
    for method, level in (("shapley", "pixels"), ("shapley", "tokens"), ("occlusion", "tokens"), ("gradcam", "pixels"),
                          ("gradcam", "windows"), ("legrad", "windows"), ("attention_rollout", "pixels"), ("attention_relevance", "pixels")):  # fmt: skip
        with pytest.raises(OptionError, match=f"{method} has no map of {level}: .*; use"):
            mv.attribute(
                model, images, ALONG, method=method, level=level, scale=4 if level == "windows" else None
            )
    refused = {
        "a method is one of": {"method": "magic"},
        "a level is one of": {"level": "voxels"},
        "scale= is needed by": {"level": "windows"},
        "by no other": {"scale": 4},
        "pixels come before every block": {"block": 0},
        "a block of this tower is one of 0..2": {"level": "tokens", "block": 9},
        "a baseline of pixels is one of": {"baseline": "noise"},
        "uses no baseline": {"method": "gradient_x_input", "baseline": "mean"},
        "attribute has no option .steps.": {"steps": 4},
        "n_steps is a whole number": {"n_steps": 0},
        "noise is a positive fraction": {"noise": 0.0},
        "norm is auto": {"norm": "free"},
    }
    for words, options in refused.items():
        with pytest.raises(OptionError, match=words):
            mv.attribute(model, images, ALONG, **options)
    with pytest.raises(OptionError, match="pass the images"):
        mv.attribute(model, tokens, ALONG)
    with pytest.raises(OptionError, match="pass the images"):
        mv.attribute(model, tokens, ALONG, level="tokens", method="legrad")
    with pytest.raises(ScaleError):
        mv.attribute(model, tokens, ALONG, level="windows", scale=13)


@pytest.mark.parametrize("occluder", [17, 48, 100_000, np.int64(17)])
def test_an_occluder_larger_than_the_shorter_side_is_refused(model, images, occluder) -> None:
    with pytest.raises(
        OptionError, match=rf"fits into the input of 48x16 .*a side of {occluder}; use at most 16"
    ):
        mv.attribute(model, images, ALONG, method="occlusion", occluder=occluder)


@pytest.mark.parametrize("occluder", [0, -3, 3.5, (0, 5), True, "8", np.nan])
def test_an_occluder_that_is_no_whole_number_is_refused(model, images, occluder) -> None:
    with pytest.raises(OptionError, match="occluder is a whole number of at least 1: got"):
        mv.attribute(model, images, ALONG, method="occlusion", occluder=occluder)


def test_an_occluder_as_large_as_the_shorter_side_and_one_from_numpy_are_taken(model, images) -> None:
    largest = mv.attribute(model, images[:1], ALONG, method="occlusion", occluder=16)
    assert np.isfinite(largest.values).all()
    assert largest.parameters["occluder"] == 16
    of_numpy, plain = (
        mv.attribute(model, images[:1], ALONG, method="occlusion", occluder=side)
        for side in (np.int64(10), 10)
    )
    np.testing.assert_array_equal(of_numpy.values, plain.values)


@pytest.mark.parametrize("noise", [0.0, -1, np.nan, np.inf, "0.1", None, (1, 2)])
def test_noise_that_is_no_positive_number_is_refused(model, images, noise) -> None:
    with pytest.raises(OptionError, match="noise is a positive fraction"):
        mv.attribute(model, images, ALONG, method="smoothgrad", noise=noise)


@pytest.mark.parametrize(
    "kind", [iter, np.stack, lambda a: torch.from_numpy(np.stack(a)).permute(0, 3, 1, 2)]
)
def test_images_of_every_kind_get_the_maps_of_a_list(model, images, kind) -> None:
    expected = mv.attribute(model, images, ALONG, n_steps=2).values
    np.testing.assert_array_equal(mv.attribute(model, kind(images), ALONG, n_steps=2).values, expected)


def test_methods_are_ranked_over_a_generator_as_over_its_list(model, images) -> None:
    options = {"methods": ["gradient_x_input", "occlusion"], "randomise": True}
    tables = [
        mv.rank_methods(model, given, ALONG, **options).faithfulness.ranked()
        for given in (images, iter(images))
    ]
    assert tables[0] == tables[1]


def test_a_target_that_cannot_be_is_refused(model, images, tokens) -> None:
    with pytest.raises(ShapeError, match=r"\[D\] or \[B, D\]"):
        mv.attribute(model, images, mv.Target.direction(np.ones(DIM + 1)))
    with pytest.raises(OptionError, match="zero vector"):
        mv.Target.image(np.zeros(DIM))
    with pytest.raises(OptionError, match="needs its gallery images: got k=5 alone"):
        mv.Target.identity(5)
    with pytest.raises(OptionError, match="the gallery must hold the identity"):
        mv.Target.identity(5, np.ones((2, DIM)), [1, 2])
    with pytest.raises(ShapeError, match="one pid for each feature"):
        mv.Target.identity(1, np.ones((2, DIM)), [1])
    with pytest.raises(OptionError, match="feature is one of"):
        mv.Target.norm(feature="best")
    with pytest.raises(OptionError, match="leads to the enhanced CLS"):
        mv.Target.shift(feature="plain")
    with pytest.raises(OptionError, match="needs an add-on"):
        mv.attribute(tiny_model(addon=False), images, mv.Target.shift())
    nothing = replace(tokens, cls=torch.zeros_like(tokens.cls), patches=torch.zeros_like(tokens.patches))
    with pytest.raises(
        OptionError, match=r"a feature of non-zero norm: got one of norm 0; use Target\.direction"
    ):
        mv.attribute(
            tiny_model(biases=False),
            nothing,
            mv.Target.image(direction()),
            level="tokens",
            method="gradient_x_input",
        )
    still = mv.CLIPMultiScaleFeatureExtractor(DIM, SCALES, init="mean").eval()
    with pytest.raises(OptionError, match="shifts nothing"):
        mv.attribute(mv.Model(model.tower, still, "mean", model.device), images, mv.Target.shift())
