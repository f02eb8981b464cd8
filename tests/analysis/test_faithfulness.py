"""Deletion, insertion, infidelity and the ranking, against plain loops and maps whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.tiny import DIM, GRID, PATCH, SCALES, direction, pictures, tiny_addon, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.analysis.attribution.faithfulness import REFERENCES, bootstrap_interval, faithfulness
from mswin_viz.analysis.attribution.method_ranking import rank_methods
from mswin_viz.errors import OptionError, ShapeError, StoppedError

ALONG = mv.Target.direction(direction())
V = torch.from_numpy(direction()).float()
N = GRID[0] * GRID[1]
RANDOM, CENTRE = REFERENCES


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def linear_model(model: mv.Model) -> mv.Model:
    """An add-on whose gates are all open whatever is taken away: shares and ablations are the same."""
    addon = tiny_addon()
    with torch.no_grad():
        addon.multi_scale_window.fusion[0].bias.fill_(1000.0)
    return mv.Model(model.tower, addon, "always open", model.device)


@pytest.fixture
def tokens(model: mv.Model) -> mv.Tokens:
    return model.encode(pictures(4))


def shares(model: mv.Model, tokens: mv.Tokens) -> np.ndarray:
    return sum(mv.decompose(tokens, model.addon, direction()).tokens.values())


def test_deletion_and_insertion_of_tokens_are_plain_loops(model, tokens) -> None:
    values = np.random.default_rng(0).normal(size=(4, N))
    found = faithfulness(model, tokens, ALONG, {"map": values}, units="tokens", n_steps=N, n_random=1)
    for baseline in ("zero", "mean"):
        curves = found.curves["map", baseline]
        for image in range(4):
            x = tokens.patches[image]
            base = torch.zeros_like(x) if baseline == "zero" else x.mean(dim=0).expand_as(x)
            gone, back = x.clone(), base.clone()
            for step, token in enumerate([None, *np.argsort(-values[image])]):
                if token is not None:
                    gone[token], back[token] = base[token], x[token]
                for kept, curve in ((gone, curves.deletion), (back, curves.insertion)):
                    score = (tokens.cls[image] + model.addon(kept[None])[0]) @ V
                    assert curve[image, step] == pytest.approx(float(score), abs=1e-4)
        np.testing.assert_allclose(curves.fractions, np.linspace(0, 1, N + 1))


def test_patches_of_the_image_are_blurred_or_made_mean_grey(model) -> None:
    images, values = pictures(2), np.random.default_rng(1).normal(size=(2, N))
    found = faithfulness(model, images, ALONG, {"map": values}, n_steps=2, n_random=1)
    pixels = model.preprocess(images)
    curves = found.curves["map", "mean"]
    half = pixels.clone()
    for image, order in enumerate(np.argsort(-values, axis=1)[:, : N // 2]):
        for row, col in zip(*np.divmod(order, GRID[1]), strict=True):
            place = (slice(row * PATCH, (row + 1) * PATCH), slice(col * PATCH, (col + 1) * PATCH))
            half[image, :, *place] = pixels[image].mean(dim=(1, 2))[:, None, None]
    visual = model.clip.visual
    with torch.no_grad():
        projected = visual.ln_post(visual.transformer(visual._embeds(half))) @ visual.proj
        score = (projected[:, 0] + model.addon(projected[:, 1:])) @ V
    np.testing.assert_allclose(curves.deletion[:, 1], score, atol=1e-4)
    blurred = found.curves["map", "blur"]
    np.testing.assert_allclose(blurred.deletion[:, 0], curves.deletion[:, 0], atol=1e-5)
    assert np.abs(blurred.deletion[:, -1] - curves.deletion[:, -1]).max() > 1e-3


def test_curves_start_and_end_at_the_whole_image_and_at_nothing(model, tokens) -> None:
    maps = {"map": shares(model, tokens)}
    found = faithfulness(model, tokens, ALONG, maps, units="tokens", n_steps=5, n_random=3)
    for name in ("map", *REFERENCES):
        for baseline in found.baselines:
            curves = found.curves[name, baseline]
            np.testing.assert_allclose(curves.deletion[:, 0], curves.insertion[:, -1], atol=1e-5)
            np.testing.assert_allclose(curves.deletion[:, -1], curves.insertion[:, 0], atol=1e-5)
            np.testing.assert_allclose(
                curves.deletion[:, 0], (model.enhance(tokens).cls @ V).numpy(), atol=1e-4
            )


def test_where_the_score_is_linear_no_order_beats_the_exact_shares(linear_model, tokens) -> None:
    exact = shares(linear_model, tokens)
    rng = np.random.default_rng(3)
    maps = {"exact": exact, "upside down": -exact} | {str(i): rng.normal(size=exact.shape) for i in range(6)}
    found = faithfulness(linear_model, tokens, ALONG, maps, units="tokens", n_steps=N, baselines=["zero"])
    best = found.curves["exact", "zero"]
    for name in (*maps, *REFERENCES):
        other = found.curves[name, "zero"]
        assert (best.deletion_area <= other.deletion_area + 1e-3).all()
        assert (best.insertion_area >= other.insertion_area - 1e-3).all()
    assert (found.gain("exact", "zero") > 0).all()
    assert (found.gain("upside down", "zero") < 0).all()
    assert found.ranked()[0] == "exact"
    assert found.ranked()[-1] == "upside down"


def test_exact_shares_leave_nothing_of_a_linear_score_unexplained_and_noise_leaves_most(
    linear_model, tokens
) -> None:
    exact = shares(linear_model, tokens)
    noise = np.random.default_rng(9).normal(size=exact.shape)
    maps = {"exact": exact, "in other units": -7 * exact, "noise": noise}
    left = faithfulness(linear_model, tokens, ALONG, maps, units="tokens", n_perturbations=200).unexplained
    assert left["exact"].max() < 1e-4
    np.testing.assert_allclose(left["in other units"], left["exact"], atol=1e-4)
    assert left["noise"].mean() > 0.5
    assert left["noise"].max() < 1.01


def test_windows_that_leave_tokens_out_are_taken_away_with_those_tokens_last(model, tokens) -> None:
    found = mv.attribute(model, tokens, ALONG, level="windows", scale=5, method="gradient_x_input")
    checks = faithfulness(model, tokens, ALONG, {"map": found.values}, units="windows", scale=5, n_steps=9)
    curves = checks.curves["map", "zero"]
    np.testing.assert_allclose(curves.fractions, [0, 1 / 3, 2 / 3, 1])
    without = tokens.patches.clone()
    without[:, :10] = 0
    expected = (tokens.cls + model.addon(without)) @ V
    np.testing.assert_allclose(curves.deletion[:, 2], expected, atol=1e-4)


def test_the_centre_prior_takes_the_middle_first_and_pixels_can_go_one_by_one(model) -> None:
    images = pictures(1)
    height, width = images[0].shape[:2]
    down, across = np.mgrid[:height, :width]
    middle = -np.hypot((down + 0.5) / height - 0.5, ((across + 0.5) / width - 0.5) * width / height)
    found = faithfulness(
        model,
        images,
        ALONG,
        {"middle": middle[None]},
        units="pixels",
        n_steps=4,
        n_random=1,
        n_perturbations=2,
    )
    mine, prior = found.curves["middle", "mean"], found.curves[CENTRE, "mean"]
    np.testing.assert_allclose(mine.deletion, prior.deletion, atol=1e-3)
    assert np.abs(mine.deletion - found.curves[RANDOM, "mean"].deletion).max() > 1e-3


def test_one_seed_gives_one_result_and_checks_of_cached_tokens_run_no_backbone(model, tokens) -> None:
    passes = []
    hook = model.clip.visual.conv1.register_forward_hook(lambda *_: passes.append(1))
    try:
        maps = {"map": shares(model, tokens)}
        first, again, other = (
            faithfulness(model, tokens, ALONG, maps, units="tokens", seed=seed) for seed in (1, 1, 2)
        )
    finally:
        hook.remove()
    assert passes == []
    assert np.array_equal(first.curves[RANDOM, "zero"].deletion, again.curves[RANDOM, "zero"].deletion)
    assert np.array_equal(first.unexplained["map"], again.unexplained["map"])
    assert not np.array_equal(first.curves[RANDOM, "zero"].deletion, other.curves[RANDOM, "zero"].deletion)


def test_a_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(3, 1, size=40), seed=i, n_resamples=400) for i in range(200)]
    covered = np.mean([low < 3 < high for low, high in intervals])
    assert 0.88 < covered < 0.99
    assert bootstrap_interval(np.array([2.0])) == (2.0, 2.0)
    assert np.isnan(bootstrap_interval(np.array([2.0, np.nan]))).all()


def test_a_bootstrap_interval_holds_the_quantiles_of_resampled_means() -> None:
    values = np.random.default_rng(3).normal(size=7)
    drawn = np.random.default_rng(5).integers(0, 7, size=(2000, 7))
    expected = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(values, seed=5), expected, rtol=1e-12)


def test_maps_and_options_that_do_not_fit_are_refused(model, tokens) -> None:
    good = np.ones((4, N))
    with pytest.raises(ShapeError, match="one value for each image and unit"):
        faithfulness(model, tokens, ALONG, {"map": good[:, :5]}, units="tokens")
    with pytest.raises(ShapeError, match="finite"):
        faithfulness(model, tokens, ALONG, {"map": good * np.nan}, units="tokens")
    for words, options in {"units are": {"units": "atoms"}, "faithfulness has no option": {"units": "tokens", "steps": 1},
                           "baselines of tokens are": {"units": "tokens", "baselines": ["blur"]},
                           "n_steps is a whole number of at least 1": {"units": "tokens", "n_steps": 0}}.items():  # fmt: skip
        with pytest.raises(OptionError, match=words):
            faithfulness(model, tokens, ALONG, {"map": good}, **options)


# ---- one call ---------------------------------------------------------------------------------


def test_one_call_ranks_every_method_on_the_image_and_prints_a_table(model) -> None:
    images = pictures(3)
    found = rank_methods(
        model, images, mv.Target.image(direction()), randomise=True,
        settings={"n_steps": 2, "n_samples": 2}, checks={"n_steps": 3, "n_random": 2, "n_perturbations": 4},
    )  # fmt: skip
    names = {"integrated_gradients", "gradient_x_input", "smoothgrad", "gradcam", "occlusion", "feature_ablation",
             "attention_rollout", "legrad", "attention_relevance", "exact_split"}  # fmt: skip
    assert set(found.attributions) == names
    lines = found.table().splitlines()
    assert len(lines) == 2 + len(names) + 2
    ranked = [METHOD_LABELS.get(name, name) for name in found.faithfulness.ranked()]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [*ranked, RANDOM]
    assert "Grad-CAM" in ranked
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "gain, blur [95 %]" in lines[0]
    assert "shuffled" in lines[0]


@pytest.mark.parametrize(("level", "scale", "n_methods"), [("tokens", None, 5), ("windows", 4, 5)])
def test_on_cached_tokens_it_ranks_what_suits_the_addon(model, tokens, level, scale, n_methods) -> None:
    found = rank_methods(model, tokens, ALONG, level=level, scale=scale, settings={"n_samples": 2})
    assert len(found.attributions) == n_methods
    assert found.randomisation is None
    assert "gain, zero [95 %]" in found.table()
    assert "infidelity" in found.table()
    assert "unexplained" not in found.table()  # a part of a score is called that


def test_a_ranking_that_cannot_be_is_refused(model, tokens) -> None:
    for words, options in {"a level is one of": {"level": "atoms"}, "rank_methods has no option": {"level": "tokens", "method": "x"},
                           "pass the images": {"level": "tokens", "randomise": True}}.items():  # fmt: skip
        with pytest.raises(OptionError, match=words):
            rank_methods(model, tokens, ALONG, **options)
    assert len(SCALES) == 3
    assert DIM == 10


def test_a_ranking_that_is_stopped_behind_its_maps_says_that_they_are_not_checked(model, tokens) -> None:
    answers = iter([False, True])  # the map itself asks once
    with pytest.raises(StoppedError, match="the ranking was stopped before the maps were checked"):
        rank_methods(
            model, tokens, ALONG, level="tokens", methods=["gradient_x_input"], stop=lambda: next(answers)
        )
