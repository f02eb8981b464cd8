"""A shuffled model must change the map; a map that does not change must be caught."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support.tiny import direction, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.randomisation import randomisation_check, rank_correlation
from mswin_viz.errors import OptionError
from mswin_viz.model.training.shuffled_weights import PARTS, shuffled

TARGET = mv.Target.image(direction())
MAPS = {
    "integrated gradients": {"n_steps": 4},
    "gradient x input": {"method": "gradient_x_input"},
    "feature ablation": {"method": "feature_ablation", "level": "tokens", "block": 0},
    "gradcam": {"method": "gradcam", "level": "tokens", "block": 1},
    "legrad": {"method": "legrad", "level": "tokens"},
}
ALIKE = 0.9
"""Rank correlation from which on two maps count as the same."""


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


def maps_change(model: mv.Model, other: mv.Model) -> bool:
    """Whether every method's map notices that the weights are others."""
    pairs = [
        [mv.attribute(m, pictures(), TARGET, **call).values for m in (model, other)] for call in MAPS.values()
    ]
    return all(rank_correlation(a, b).max() < ALIKE for a, b in pairs)


def test_shuffled_weights_change_every_map(model) -> None:
    assert maps_change(model, shuffled(model, "both"))


def test_that_test_fails_where_nothing_was_shuffled(model) -> None:
    assert not maps_change(model, tiny_model())


@pytest.mark.parametrize("part", PARTS)
def test_a_shuffle_keeps_every_value_of_its_part_and_all_of_the_rest(model, part: str) -> None:
    other = shuffled(model, part, seed=2)
    for name, before, after in (
        ("CLIP", model.clip.visual, other.clip.visual),
        ("add-on", model.addon, other.addon),
    ):
        moved = 0
        for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
            assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
            moved += int((a != b).sum())
        assert (moved > 0) == (part in (name, "both"))
    assert "shuffled with seed 2" in other.provenance
    assert "shuffled" not in model.provenance


def test_each_part_is_checked_and_correlations_are_spearman_s(model) -> None:
    found = randomisation_check(model, pictures(), TARGET, MAPS, seed=1)
    assert found.parts == PARTS
    for (name, part), correlations in found.correlations.items():
        first, second = found.original[name].values, found.shuffled[name, part].values
        for image in range(2):
            expected = spearmanr(first[image].ravel(), second[image].ravel()).statistic
            assert correlations[image] == pytest.approx(expected, abs=1e-9)
    assert np.abs(found.correlations["integrated gradients", "both"]).max() < 0.5


def test_rollout_does_not_notice_the_addon_and_the_check_says_so(model) -> None:
    calls = {"rollout": {"method": "attention_rollout", "level": "tokens"}}
    found = randomisation_check(model, pictures(), TARGET, calls)
    np.testing.assert_allclose(found.correlations["rollout", "add-on"], 1)
    assert found.correlations["rollout", "CLIP"].max() < ALIKE


def test_constant_maps_have_no_correlation_and_plain_clip_only_one_part() -> None:
    assert np.isnan(rank_correlation(np.ones((1, 4)), np.arange(4.0)[None])).all()
    plain = tiny_model(addon=False)
    found = randomisation_check(plain, pictures(1), TARGET, {"x": {"method": "gradient_x_input"}})
    assert found.parts == ("CLIP",)
    with pytest.raises(OptionError, match="no add-on to shuffle"):
        shuffled(plain, "both")
    with pytest.raises(OptionError, match="part must be one of"):
        shuffled(plain, "text")
    with pytest.raises(OptionError, match="at least one map"):
        randomisation_check(plain, pictures(1), TARGET, {})
