"""The exact split as an attribution, and add-ons of every kind in every attribution method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.own_modules import ADDON_KINDS
from support.tiny import DIM, GRID, direction, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.attribute import ATTRIBUTION_METHODS, OF_IMAGES, refusal
from mswin_viz.errors import OptionError, ScaleError, StoppedError

N = GRID[0] * GRID[1]


def targets(model: mv.Model) -> dict[str, mv.Target]:
    wide = model.enhance(model.encode(pictures(1))).cls[0].detach().numpy()
    return {
        "direction": mv.Target.direction(direction()),
        "image": mv.Target.image(wide),
        "plain": mv.Target.image(direction(), feature="plain"),
        "norm": mv.Target.norm(),
        "shift": mv.Target.shift(),
    }


@pytest.mark.parametrize("name", ADDON_KINDS)
@pytest.mark.parametrize("kind", ["direction", "image", "plain", "norm", "shift"])
@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_patches_and_everything_else_add_up_to_the_score(name, kind, baseline) -> None:
    model = ADDON_KINDS[name]()
    target = targets(model)[kind]
    found = mv.attribute(model, pictures(3), target, method="exact_split", level="tokens", baseline=baseline)
    assert np.abs(found.delta).max() < 1e-10
    assert found.values.shape == (3, N)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.baseline_score, found.score, atol=1e-10)
    other = mv.attribute(model, pictures(3), target, method="gradient_x_input")
    np.testing.assert_allclose(found.score, other.score, rtol=1e-4, atol=1e-5)
    if kind != "shift":
        np.testing.assert_allclose(found.norm, other.norm, rtol=1e-4)


def test_values_are_those_of_the_split_over_the_norm() -> None:
    model, images = tiny_model(), pictures(3)
    found = mv.attribute(model, images, mv.Target.image(direction()), method="exact_split", level="tokens")
    split = mv.cls_by_patch(model, images, direction(), feature="enhanced").cosine()
    np.testing.assert_allclose(found.values, split.patches, atol=1e-7)
    assert found.parameters == {"baseline": "zero", "norm": "frozen", "block": "patches", "left": ""}


def test_windows_hold_the_shares_of_their_patches_and_the_rest_those_in_none() -> None:
    model, images, target = tiny_model(), pictures(2), mv.Target.direction(direction())
    tokens = mv.attribute(model, images, target, method="exact_split", level="tokens")
    windows = mv.attribute(model, images, target, method="exact_split", level="windows", scale=5)
    for w in range(2):
        np.testing.assert_allclose(
            windows.values[:, w], tokens.values[:, 5 * w : 5 * w + 5].sum(axis=1), atol=1e-12
        )
    np.testing.assert_allclose(windows.rest, tokens.values[:, 10:].sum(axis=1), atol=1e-12)
    assert np.abs(windows.delta).max() < 1e-10
    assert windows.geometry is not None
    assert windows.on_patches().shape == (2, N)


def test_from_the_last_block_on_the_split_is_gradient_x_input_of_the_tokens_there() -> None:
    """A plain CLS reads nothing of the patches behind the last block; one block earlier it does."""
    model, images, target = tiny_model(), pictures(2), mv.Target.direction(direction(), feature="plain")
    found = mv.attribute(model, images, target, method="exact_split", level="tokens", block=2)
    assert np.abs(found.values).max() < 1e-12
    earlier = mv.attribute(model, images, target, method="exact_split", level="tokens", block=1)
    assert np.abs(earlier.values).min() > 1e-9
    assert np.abs(earlier.delta).max() < 1e-10
    assert earlier.parameters["block"] == 1


def test_an_image_has_the_same_values_in_batches_of_any_size() -> None:
    model, images, target = tiny_model(), pictures(5), mv.Target.norm()
    how = {"method": "exact_split", "level": "tokens"}
    one, many = (mv.attribute(model, images, target, **how, batch_rows=rows).values for rows in (2, None))
    np.testing.assert_allclose(one, many, atol=1e-12)


def test_progress_is_reported_and_the_work_can_be_stopped() -> None:
    model, images, target = tiny_model(), pictures(3), mv.Target.norm()
    how = {"method": "exact_split", "level": "tokens", "batch_rows": 1}
    seen = []
    mv.attribute(
        model, images, target, **how, report=lambda progress: seen.append((progress.done, progress.total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(StoppedError):
        mv.attribute(model, images, target, **how, stop=lambda: True)


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("exact_split has no map of pixels: a patch enters", {"level": "pixels"}),
        ('holds the norm of a cosine: got norm="recomputed"', {"norm": "recomputed"}),
        ("baseline must be one of zero, mean: got 'blur'", {"baseline": "blur"}),
        (r"a block of this tower is one of 0\.\.2: got 7", {"block": 7}),
    ],
)
def test_what_it_does_not_have_is_refused(words, how) -> None:
    with pytest.raises(OptionError, match=words):
        mv.attribute(
            tiny_model(), pictures(1), mv.Target.norm(), **{"method": "exact_split", "level": "tokens", **how}
        )


def test_tokens_of_the_output_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(OptionError, match="pass the images"):
        mv.attribute(model, model.encode(pictures(1)), mv.Target.norm(), method="exact_split", level="tokens")


def test_a_ranking_holds_it_against_the_mean_patch() -> None:
    ranking = mv.rank_methods(
        tiny_model(), pictures(2), mv.Target.direction(direction()), methods=("exact_split", "gradcam"),
        checks={"n_steps": 2, "n_random": 1, "n_perturbations": 2},
    )  # fmt: skip
    assert ranking.attributions["exact_split"].parameters["baseline"] == "mean"
    assert "| Exact split" in ranking.table()


# ---- add-ons of every kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ADDON_KINDS if name != "scheme 1"])
@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_every_method_takes_any_addon(name, method) -> None:
    model = ADDON_KINDS[name]()
    images, tokens = pictures(2), model.encode(pictures(2))
    for level, scale in (("pixels", None), ("tokens", None), ("windows", 4)):
        if refusal(method, level):
            continue
        inputs = images if method in OF_IMAGES or level == "pixels" else tokens
        for target in targets(model).values():
            if target.feature == "plain" and inputs is tokens:
                continue
            found = mv.attribute(
                model,
                inputs,
                target,
                method=method,
                level=level,
                scale=scale,
                n_samples=2,
                n_steps=2,
                occluder=16,
            )
            assert np.isfinite(found.values).all()


def test_gradient_x_input_of_tokens_is_their_exact_share() -> None:
    model = tiny_model()
    tokens, target = model.encode(pictures(2)), mv.Target.direction(direction())
    found = mv.attribute(model, tokens, target, method="gradient_x_input", level="tokens")
    parts = mv.decompose(tokens, model.addon, direction())
    np.testing.assert_allclose(found.values, sum(parts.tokens.values()), atol=1e-5)


@pytest.mark.parametrize("name", ["own, added", "own, concatenated"])
@pytest.mark.parametrize("scale", [1, 5, N])
def test_windows_of_any_scale_have_shares_in_a_module_of_ones_own(name, scale) -> None:
    model = ADDON_KINDS[name]()
    tokens, target = model.encode(pictures(2)), mv.Target.direction(np.ones(DIM))
    if "concatenated" in name:  # along what stands behind the CLS token
        target = mv.Target.direction(np.concatenate([np.zeros(DIM), np.ones(DIM)]))
    shares, gap = (
        mv.exact_shares(model, tokens, target, scale),
        mv.share_gap(model, tokens, target, scale, n_steps=4),
    )
    np.testing.assert_allclose(shares.values, gap.own_share, atol=1e-12)
    np.testing.assert_allclose(shares.values, gap.shares, atol=1e-12)
    np.testing.assert_allclose(
        gap.cls + gap.bias + shares.values.sum(axis=1) + shares.rest, gap.score, atol=1e-10
    )
    assert (gap.flipped == 0).all()
    patches = tokens.patches.clone()
    patches[:, :scale] = 0
    emptied = model.enhance(mv.Tokens(tokens.cls, patches, tokens.grid)).cls
    fall = (model.enhance(tokens).cls - emptied) @ torch.tensor(target.vector).float()
    np.testing.assert_allclose(gap.removal[:, 0], fall.detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["scheme 2", "mixture"])
def test_trained_windows_have_shares_and_a_gap_in_every_addon_of_windows(name) -> None:
    model = ADDON_KINDS[name]()
    tokens, target = model.encode(pictures(2)), mv.Target.image(direction())
    for scale in (2, 4):
        shares, gap = (
            mv.exact_shares(model, tokens, target, scale),
            mv.share_gap(model, tokens, target, scale),
        )
        np.testing.assert_allclose(shares.values, gap.own_share, atol=1e-12)


def test_windows_that_do_not_exist_are_refused_in_one_line() -> None:
    own, trained = ADDON_KINDS["own, added"](), ADDON_KINDS["scheme 2"]()
    target = mv.Target.direction(direction())
    with pytest.raises(ScaleError, match="13"):
        mv.exact_shares(own, own.encode(pictures(1)), target, N + 1)
    with pytest.raises(OptionError, match=r"trained \(2, 4\): got 3"):
        mv.exact_shares(trained, trained.encode(pictures(1)), target, 3)
