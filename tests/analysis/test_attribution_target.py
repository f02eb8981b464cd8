"""What a target may be made of, and that each image of a batch can have its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.tiny import DIM, SCALES, direction, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.randomisation import randomisation_check
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_gap
from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.directions import target_directions
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, PromptError, ShapeError

PROMPTS = ("a red coat", "a blue bag", "a green hat")
QUICK = {"method": "gradient_x_input", "progress": False}


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def tokens(model) -> mv.Tokens:
    return model.encode(pictures(3), progress=False)


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter])
def test_several_prompts_are_one_for_each_image(model, tokens, kind) -> None:
    found = mv.attribute(model, tokens, mv.Target.text(kind(PROMPTS)), level="tokens", **QUICK)
    for at, prompt in enumerate(PROMPTS):
        alone = mv.attribute(model, tokens[at], mv.Target.text(prompt), level="tokens", **QUICK)
        np.testing.assert_allclose(found.values[at], alone.values[0], atol=1e-6)
        assert found.score[at] == pytest.approx(alone.score[0], abs=1e-6)
        assert f"image {at + 1}: “{prompt}”" in found.target


@pytest.mark.parametrize("method", ["legrad", "attention_relevance", "integrated_gradients"])
def test_each_images_prompt_stays_its_own_where_images_are_taken_one_at_a_time(model, method) -> None:
    target, images = mv.Target.text(PROMPTS), pictures(3)
    options = {"method": method, "level": "tokens", "progress": False}
    at_once = mv.attribute(model, images, target, **options)
    by_one = mv.attribute(model, images, target, **options, batch_rows=1)
    np.testing.assert_allclose(by_one.values, at_once.values, atol=1e-5)
    assert not np.allclose(at_once.score[0], at_once.score[1])


@pytest.mark.parametrize("n", [1, 2, 4])
def test_as_many_prompts_as_images_are_wanted(model, tokens, n) -> None:
    target = mv.Target.text((PROMPTS * 2)[:n])
    with pytest.raises(ShapeError, match=f"one for each image: got {counted(n, 'prompts')} for 3 images"):
        mv.attribute(model, tokens, target, level="tokens", **QUICK)


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        "",
        "  ",
        5,
        2.5,
        b"a red coat",
        {"a": 1},
        ["a red coat", None],
        ["a red coat", ""],
        [5],
        np.array("a red coat"),
        torch.tensor(1.0),
    ],
)
def test_a_prompt_that_says_nothing_is_refused_where_the_target_is_made(prompt) -> None:
    with pytest.raises(PromptError, match="a prompt must be a non-empty text: got"):
        mv.Target.text(prompt)


@pytest.mark.parametrize("prompts", [{"a red coat", "a hat"}, frozenset(PROMPTS), {"a hat": 1}.keys()])
def test_prompts_without_an_order_are_refused(model, prompts) -> None:
    with pytest.raises(PromptError, match="must be in the images' order"):
        mv.Target.text(prompts)
    with pytest.raises(PromptError, match="a text or a list of texts"):
        model.encode_text(prompts)


@pytest.mark.parametrize("make", [mv.Target.direction, mv.Target.image])
def test_a_target_without_its_vector_is_refused(make) -> None:
    with pytest.raises(OptionError, match="needs a vector: got None"):
        make(None)


@pytest.mark.parametrize("make", [mv.Target.direction, mv.Target.image])
@pytest.mark.parametrize("size", [1e31, 1e39, 1e300])
def test_a_vector_whose_score_would_overflow_is_refused(make, size) -> None:
    with pytest.raises(ShapeError, match=r"at most 1e\+30 in size.*divide the vector by its norm"):
        make(size * np.eye(DIM)[2])


def test_no_prompt_is_refused() -> None:
    with pytest.raises(PromptError, match="empty list"):
        mv.Target.text([])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("a red coat", r"got str 'a red coat'; make one of a prompt with mv.Target.text\(prompt\)"),
        (["a red coat", "a hat"], r"mv.Target.text\(prompt\)"),
        (np.array(["a red coat", "a hat"]), r"mv.Target.text\(prompt\)"),
        (np.ones(DIM), r"got ndarray; .* mv.Target.direction\(v\)"),
        (torch.ones(DIM), r"got Tensor; make one of a feature with mv.Target.image\(feature\)"),
        (None, "got NoneType; make one with"),
        (7, "got int; make one with"),
    ],
)
def test_what_is_no_target_is_refused_with_the_way_to_make_one(model, tokens, target, said) -> None:
    for ask in (
        lambda: mv.attribute(model, tokens, target, level="tokens"),
        lambda: mv.rank_methods(model, tokens, target, level="tokens"),
        lambda: randomisation_check(model, pictures(1), target, {"a": {}}),
        lambda: share_gap(model, tokens, target, SCALES[0]),
        lambda: exact_shares(model, tokens, target, SCALES[0]),
    ):
        with pytest.raises(OptionError, match=said):
            ask()


BAD = {
    "NaN": [np.nan] + [1.0] * (DIM - 1),
    "infinity": [1.0] * (DIM - 1) + [np.inf],
    "one row": np.vstack([np.ones((2, DIM)), np.full(DIM, np.nan)]),
    "a tensor": torch.full((DIM,), torch.nan),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_vector_that_is_not_finite_is_refused_everywhere(model, tokens, bad) -> None:
    weights = fusion_weights(model.addon)
    for ask in (
        lambda: mv.Target.direction(bad),
        lambda: mv.Target.image(bad, feature="plain"),
        lambda: mv.decompose(tokens, model.addon, bad),
        lambda: decompose_fusion(tokens, None, bad),
        lambda: remove_each_window(tokens, weights, bad, 0),
        lambda: target_directions("text", tokens, weights, value=np.asarray(bad)),
    ):
        with pytest.raises(ShapeError, match="must be finite, or every score along it is NaN: got"):
            ask()


def test_the_row_of_a_vector_that_is_not_finite_is_named() -> None:
    with pytest.raises(ShapeError, match="10 values that are not in 1 of 3 rows, the first is row 2"):
        mv.Target.direction(BAD["one row"])


@pytest.mark.parametrize("row", [[np.nan, 1], [0, 0], [np.inf, 1]])
def test_an_identitys_gallery_features_have_a_direction(row) -> None:
    with pytest.raises(ShapeError, match="1 identity 4 row"):
        mv.Target.identity(4, [row, [1, 2], [2, 1]], [4, 4, 5])
    assert mv.Target.identity(5, [row, [1, 2], [2, 1]], [4, 4, 5]).vector == pytest.approx(
        np.array([2, 1]) / np.sqrt(5)
    )


@pytest.mark.parametrize("k", [-1, np.nan, "a", True, None])
def test_nobody_is_the_unknown_identity(k) -> None:
    with pytest.raises(OptionError, match="below 0 stands for unknown"):
        mv.Target.identity(k, np.eye(2), [-1, 3])


@pytest.mark.parametrize("shape", [(), (2, 3, DIM), (0,), (0, DIM)])
def test_a_vector_has_one_axis_or_two(shape) -> None:
    with pytest.raises(ShapeError, match=r"\[D\] or \[B, D\]"):
        mv.Target.direction(np.ones(shape))


@pytest.mark.parametrize(
    "kind", [list, tuple, torch.tensor, lambda v: torch.tensor(v).half(), lambda v: np.array(v, np.int8)]
)
def test_a_direction_is_taken_from_any_array_of_numbers(model, tokens, kind) -> None:
    whole = np.arange(DIM) - 4
    expected = mv.decompose(tokens, model.addon, whole.astype(float)).score
    found = mv.attribute(
        model, tokens, mv.Target.direction(kind(whole.tolist())), level="tokens", **QUICK
    ).score
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(
        mv.decompose(tokens, model.addon, kind(whole.tolist())).score, expected, rtol=1e-12
    )


def test_text_is_no_vector() -> None:
    with pytest.raises(ShapeError, match="must be real numbers"):
        mv.Target.direction("a red coat")


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("integrated_gradients", "tokens"),
        ("gradient_x_input", "windows"),
        ("smoothgrad", "tokens"),
        ("shapley", "windows"),
        ("feature_ablation", "windows"),
        ("gradcam", "tokens"),
    ],
)
def test_tokens_of_inference_mode_are_attributed_as_others_are(model, tokens, method, level) -> None:
    with torch.inference_mode():
        inferred = model.encode(pictures(3), progress=False)
    assert inferred.cls.is_inference()
    options = {"method": method, "level": level, "scale": SCALES[0] if level == "windows" else None}
    target = mv.Target.direction(direction())
    found = mv.attribute(model, inferred, target, **options, progress=False)
    expected = mv.attribute(model, tokens, target, **options, progress=False)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)


def test_tokens_of_inference_mode_serve_everything_else_too(model, tokens) -> None:
    with torch.inference_mode():
        inferred = model.encode(pictures(3), progress=False)
    torch.testing.assert_close(model.enhance(inferred).cls, model.enhance(tokens).cls)
    shares = mv.decompose(inferred, model.addon, direction())
    np.testing.assert_allclose(shares.score, mv.decompose(tokens, model.addon, direction()).score)
    nulls = mv.null_features(model, inferred, seeds=1)
    np.testing.assert_allclose(
        nulls["shuffled, seed 0"], mv.null_features(model, tokens, seeds=1)["shuffled, seed 0"]
    )


def test_a_text_given_as_a_direction_is_answered_with_the_way_to_its_feature(model, tokens) -> None:
    with pytest.raises(
        ShapeError, match=r"got the text 'a red coat'; pass the text's feature, model.encode_text"
    ):
        mv.decompose(tokens, model.addon, "a red coat")


def test_a_model_loaded_in_inference_mode_is_attributed_as_others_are() -> None:
    with torch.inference_mode():
        loaded = mv.load_model(device="cpu")
    images = [sample.images["RGB"] for sample in mv.samples()[:1]]
    found = mv.attribute(loaded, images, mv.Target.norm(), level="tokens", **QUICK)
    expected = mv.attribute(mv.load_model(device="cpu"), images, mv.Target.norm(), level="tokens", **QUICK)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_an_attribution_can_be_asked_for_where_no_gradient_is_kept(model, mode) -> None:
    target, images = mv.Target.direction(direction()), pictures(2)
    expected = mv.attribute(model, images, target, **QUICK)
    with mode():
        found = mv.attribute(model, images, target, **QUICK)
        ranked = mv.rank_methods(model, images[:1], target, methods=["gradient_x_input"], randomise=True)
    np.testing.assert_allclose(found.values, expected.values)
    assert np.isfinite(ranked.randomisation.correlations["gradient_x_input", "CLIP"]).all()
