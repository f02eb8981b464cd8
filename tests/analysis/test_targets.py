"""What a score is measured against."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.shares.directions import encoded_prompts, prompt_cosines, target_directions
from mswin_viz.analysis.shares.fusion import enhanced_cls
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor

from .conftest import BATCH, DIM, SCALES


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def weights(addon):
    return fusion_weights(addon)


def test_the_shift_is_enhanced_minus_plain(tokens, addon, weights):
    with torch.no_grad():
        shift = addon(tokens.patches).double().numpy()
    np.testing.assert_allclose(target_directions("shift", tokens, weights), unit(shift), atol=1e-5)


def test_in_a_pair_each_image_looks_along_the_other(tokens, weights):
    pair = tokens[[0, 2]]
    enhanced = unit(enhanced_cls(pair, weights))
    np.testing.assert_allclose(target_directions("pair", pair, weights), enhanced[::-1], rtol=1e-12)


def test_a_reference_image_is_its_enhanced_cls_under_the_same_fusion(tokens, weights):
    slots = (Slot(2), Slot(5, "mean"), Slot(7, "off"))
    found = target_directions("image", tokens, weights, slots=slots, second=tokens[1])
    expected = unit(enhanced_cls(tokens[1], weights, slots))
    np.testing.assert_allclose(found, np.repeat(expected, BATCH, axis=0), rtol=1e-12)


def test_a_channel_is_its_axis_and_a_text_its_feature(tokens, weights):
    assert (
        target_directions("channel", tokens, weights, value=4).tolist() == [np.eye(DIM)[4].tolist()] * BATCH
    )
    text = np.arange(1.0, DIM + 1)
    np.testing.assert_allclose(
        target_directions("text", tokens, weights, value=text)[1], text / np.linalg.norm(text)
    )


def test_plain_clip_looks_along_its_own_cls(tokens):
    np.testing.assert_allclose(target_directions("own", tokens, None), unit(tokens.cls.double().numpy()))
    np.testing.assert_allclose(
        target_directions("image", tokens, None, second=tokens[0])[2],
        target_directions("own", tokens, None)[0],
    )


def test_an_add_on_that_shifts_nothing_has_no_shift_to_look_along(tokens):
    addon = CLIPMultiScaleFeatureExtractor(DIM, SCALES)
    with torch.no_grad():
        for parameter in addon.parameters():
            parameter.zero_()
    with pytest.raises(OptionError, match="shift"):
        target_directions("shift", tokens, fusion_weights(addon))
    with pytest.raises(OptionError, match="text, image, shift, channel, own, pair: got 'noise'"):
        target_directions("noise", tokens, None)


@pytest.mark.parametrize("channel", [-1, DIM])
def test_a_channel_that_the_enhanced_cls_does_not_have_is_refused(tokens, channel):
    with pytest.raises(OptionError, match=rf"is one of 0\.\.{DIM - 1}: got {channel}; choose another"):
        target_directions("channel", tokens, None, value=channel)


def test_a_bad_prompt_is_named_and_takes_no_other_with_it():
    model = mv.load_model(device="cpu")
    prompts = encoded_prompts(model, ["a red top", "zebra", "a zebra in a blue coat"])
    assert prompts.texts == ("a red top", "a zebra in a blue coat")
    assert [word in note for note in prompts.notes for word in ("zebra", "never saw")] == [True] * 4
    expected = model.encode_text(["a red top", "a blue coat"])[:1].numpy()
    np.testing.assert_allclose(prompts.features[:1], unit(expected), atol=1e-6)


def test_cosines_of_prompts_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    texts, images = unit(rng.normal(size=(3, 5))), rng.normal(size=(2, 5))
    found = prompt_cosines(texts, images)
    for p in range(3):
        for b in range(2):
            assert found[p, b] == pytest.approx(texts[p] @ images[b] / np.linalg.norm(images[b]))
