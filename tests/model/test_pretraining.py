"""The recipe of the embedded CLIP, at a toy size: it runs, and an interrupted run ends on the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mswin_viz.errors import OptionError
from mswin_viz.model import pretraining
from mswin_viz.model.pretraining import pretrain
from mswin_viz.model.recipe import Recipe

RECIPE = Recipe(
    seed=3, identities=6, shots=4, steps=4, people_per_step=3, checkpoint_every=2, precision="float32"
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> tuple[dict[str, torch.Tensor], Path]:
    """Weights of an uninterrupted run, and its folder."""
    work = tmp_path_factory.mktemp("straight")
    clip, _ = pretrain(RECIPE, work)
    return clip.state_dict(), work


def test_a_run_that_was_cut_off_resumes_to_the_same_weights(straight, tmp_path, monkeypatch) -> None:
    weights, work = straight
    (tmp_path / "pictures.npy").symlink_to(work / "pictures.npy")
    step = pretraining._train_step

    def cut_off(*arguments):
        if arguments[-1] == 3:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(pretraining, "_train_step", cut_off)
    with pytest.raises(KeyboardInterrupt):
        pretrain(RECIPE, tmp_path)
    monkeypatch.setattr(pretraining, "_train_step", step)
    resumed = pretrain(RECIPE, tmp_path)[0].state_dict()
    for key, value in weights.items():
        torch.testing.assert_close(resumed[key], value, rtol=1e-4, atol=1e-6)


def test_training_moves_the_weights(straight) -> None:
    assert not torch.equal(straight[0]["visual.ln_post.bias"], torch.zeros(192))


def test_a_run_is_not_resumed_with_another_recipe(straight) -> None:
    with pytest.raises(OptionError, match="resumed with the recipe it began with"):
        pretrain(replace(RECIPE, learning_rate=1e-3), straight[1])


def test_the_schedules_follow_steps() -> None:
    recipe = Recipe(steps=100)
    assert [recipe.dropout_at(step) for step in (0, 74, 75, 91, 92, 99)] == [0.6, 0.6, 0.35, 0.35, 0.0, 0.0]
    assert recipe.rate_at(0) < recipe.rate_at(60) > recipe.rate_at(99)
