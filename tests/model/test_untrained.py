"""The random network: everything drawn again, nothing else changed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.model.training.untrained import untrained, with_untrained_addon


@pytest.fixture
def model(openai_file: Path) -> mv.Model:
    return mv.load_model(openai_file, image_size=(96, 32), device="cpu")


def test_every_weight_is_drawn_anew_and_the_model_keeps_its_own(model: mv.Model) -> None:
    before = copy.deepcopy(model.clip.state_dict())
    random = untrained(model, seed=1).clip.state_dict()
    for key, value in model.clip.state_dict().items():
        assert torch.equal(value, before[key])
        assert key == "logit_scale" or not torch.equal(value, random[key]), f"{key} is still the trained one"


def test_one_seed_gives_one_network_and_leaves_the_generator_alone(model: mv.Model) -> None:
    before = torch.get_rng_state()
    image = np.random.default_rng(0).integers(0, 256, (96, 32, 3), dtype=np.uint8)
    first, again, other = (untrained(model, seed=seed).encode(image).cls for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_it_sees_pictures_and_reads_prompts_as_the_model_does_and_says_that_it_is_random(model) -> None:
    random = untrained(model)
    assert (random.grid, random.tower.mean, random.addon) == (model.grid, model.tower.mean, None)
    assert torch.isfinite(random.encode_text("a person wearing a red top")).all()
    assert "untrained" in random.provenance


def test_it_runs_in_the_models_precision(model: mv.Model) -> None:
    exact = replace(model, precision="float32")
    assert untrained(exact).precision == "float32"
    assert {with_untrained_addon(exact, init).precision for init in ("mean", "random")} == {"float32"}
