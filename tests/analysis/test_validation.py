"""Who is held out, and the score training validates by."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.experiments.addon_training import AddonPlan, training_notes
from mswin_viz.analysis.measures.head_retrieval import head_features, held_out, validation_map
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import mean_patch_control
from mswin_viz.model.training.labelled_tokens import LabelledTokens, modality_classes
from mswin_viz.model.training.run import identity_batch


@pytest.fixture
def world() -> LabelledTokens:
    generator = torch.Generator().manual_seed(2)
    tokens = {
        name: Tokens(
            torch.randn(12, 6, generator=generator), torch.randn(12, 4, 6, generator=generator), (2, 2)
        )
        for name in ("RGB", "TI")
    }
    pids = np.repeat([5, 6, 9, 11], 3)
    return LabelledTokens(tokens, pids, np.tile([1, 2, 3], 4), pids)


def test_whole_identities_are_held_out_by_the_seed() -> None:
    pids = np.repeat(np.arange(20), 3)
    chosen = held_out(pids, fraction=0.25, seed=1)
    assert len(np.unique(pids[chosen])) == 5
    assert not set(pids[chosen]) & set(pids[~chosen])
    assert (chosen == held_out(pids, fraction=0.25, seed=1)).all()
    assert (chosen != held_out(pids, fraction=0.25, seed=2)).any()


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9])
def test_too_few_identities_on_a_side_are_refused(fraction) -> None:
    with pytest.raises(OptionError, match="two identities each"):
        held_out(np.repeat(np.arange(8), 2), fraction=fraction)


def test_the_score_is_the_map_of_the_joined_enhanced_features(world) -> None:
    head = mean_patch_control(6, 200)
    with torch.no_grad():
        joint = np.concatenate([(t.cls + head(t)).numpy() for t in world.tokens.values()], axis=1)
    expected = mv.retrieval(joint, world.pids, world.camids).mAP
    assert validation_map(world)(head) == pytest.approx(expected, abs=1e-9)
    each = [mv.retrieval(t.cls.numpy(), world.pids, world.camids).mAP for t in world.tokens.values()]
    assert validation_map(world, joined=False)(None) == pytest.approx(np.mean(each))
    assert [f.shape for f in head_features(world, None)] == [(12, 6), (12, 6), (12, 12)]


def test_images_of_unknown_identity_are_never_held_out_and_no_person() -> None:
    pids = np.repeat(np.arange(20), 3)
    mixed = np.concatenate([np.full(9, -1), pids])
    chosen = held_out(mixed, fraction=0.25, seed=1)
    assert not chosen[:9].any()
    np.testing.assert_array_equal(chosen[9:], held_out(pids, fraction=0.25, seed=1))
    with_nan = np.where(mixed < 0, np.nan, mixed)
    np.testing.assert_array_equal(held_out(with_nan, fraction=0.25, seed=1), chosen)


def test_the_score_follows_the_worlds_rule_and_metric(world) -> None:
    features = head_features(world, None)[-1]
    for rule, metric in (("none", "cosine"), ("scene", "euclidean")):
        scenes = np.arange(12) % 2
        asked = dataclasses.replace(world, rule=rule, metric=metric, scenes=scenes)
        expected = mv.retrieval(features, world.pids, world.camids, rule=rule, metric=metric, scenes=scenes)
        assert validation_map(asked)(None) == pytest.approx(expected.mAP)
        part = asked.part(np.arange(12) < 9)
        assert (part.rule, part.metric, part.scenes.tolist()) == (rule, metric, scenes[:9].tolist())


def test_unknown_identities_are_not_trained_on(world) -> None:
    unknown = dataclasses.replace(world, pids=np.where(world.pids == 11, -1, world.pids))
    _, labels = modality_classes([unknown])
    assert (labels[[9, 10, 11, 21, 22, 23]] == -1).all()
    assert len(np.unique(labels[labels >= 0])) == 6  # three people in two modalities
    drawn = [identity_batch(labels, np.random.default_rng(seed)) for seed in range(5)]
    assert (labels[np.concatenate(drawn)] >= 0).all()
    tokens = world.tokens["RGB"]
    known = world.pids != 11
    schedule = {"scales": (2,), "steps": 3, "progress": False}
    alone = mv.train_addon(tokens[np.flatnonzero(known).tolist()], world.pids[known], **schedule)
    mixed = mv.train_addon(tokens, unknown.pids, **schedule)
    np.testing.assert_allclose(mixed.log.losses, alone.log.losses, rtol=1e-5)


def data_set(n_people: int = 12, *, camids=(1, 2), scene=None, pid=lambda who: who) -> list[Sample]:
    return [
        Sample(pid(who), camid, {"RGB": Path(f"{who}_{at}.png")}, scene=scene)
        for who in range(n_people)
        for at, camid in enumerate(camids)
    ]


def test_a_training_without_camera_numbers_is_validated_and_says_how() -> None:
    (note,) = training_notes(data_set(camids=(-1, -1)))
    assert "No camera numbers" in note
    assert 'choose rule="none"' in note
    assert "manifest" in note
    assert training_notes(data_set(camids=(-1, -1)), rule="none") == ()
    assert training_notes(data_set()) == ()


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (data_set(camids=(1, 1)), 'no image from another camera.*manifest.*rule="none"'),
        (data_set(camids=(1, 2), scene=4), 'no image from another scene.*rule="camera" or "none"'),
        (data_set(camids=(1,)), "two identities with two images each: got 0"),
        (data_set(pid=lambda _who: -1), "two identities each"),
    ],
)
def test_a_training_that_cannot_be_validated_is_refused_before_any_file_is_opened(samples, said) -> None:
    with pytest.raises(OptionError, match=said):
        training_notes(samples)


def test_a_training_without_validation_needs_no_camera() -> None:
    assert training_notes(data_set(camids=(1, 1)), AddonPlan(validation=0)) == ()
    assert len(training_notes(data_set(camids=(1, 1)), rule="none")) == 0


@pytest.mark.parametrize(
    "pids", [list("aabbccddeeff"), [0, 0, 0, 1, 1, 1] + [None] * 6, [0.0, 0, 0, 1, 1, 1] + [np.nan] * 6]
)
def test_names_and_missing_numbers_can_be_trained_with(world, pids) -> None:
    trained = mv.train_addon(world.tokens["RGB"], pids, scales=(2,), steps=1, progress=False)
    assert np.isfinite(trained.log.losses).all()


@pytest.mark.parametrize(
    ("pids", "said"),
    [
        ([0, 1, 2] * 3, "0.2 of 3 holds out 1; add identities, or use 0 for no validation"),
        ([-1] * 9, r"0.2 of 0 holds out 0 \(9 of 9 images are of unknown identity\); add identities"),
        (range(6), "0.2 of 6 holds out 1; choose another fraction, or use 0 for no validation"),
    ],
)
def test_the_advice_fits_the_identities_there_are(pids, said) -> None:
    with pytest.raises(OptionError, match=said):
        held_out(pids)
