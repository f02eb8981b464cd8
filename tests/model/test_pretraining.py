"""The recipe of the embedded CLIP, at a toy size: it runs, and an interrupted run ends on the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mswin_viz.data.synthetic.identity import attributes, sample_identity
from mswin_viz.errors import OptionError
from mswin_viz.model.pretraining import run as pretraining
from mswin_viz.model.pretraining.batches import (
    NAMED,
    PROMPT_LENGTH,
    SEEN,
    Batches,
    TokenTable,
    class_labels,
    training_pictures,
)
from mswin_viz.model.pretraining.local_supervision import PARTS, training_parts
from mswin_viz.model.pretraining.losses import Trainee
from mswin_viz.model.pretraining.recipe import CLIP_CONFIG, Cycle, Recipe
from mswin_viz.model.pretraining.run import pretrain

WHOLE, LOCAL = Cycle(2, 8e-4, ((1.01, 0.5),)), Cycle(2, 8e-4, ((0.5, 0.5), (1.01, 0.0)), local=1.0)
RECIPE = Recipe(
    **{"seed": 3, "identities": 6, "shots": 4, "people_per_step": 3},
    **{"cycles": (WHOLE, LOCAL), "checkpoint_every": 2, "precision": "float32"},
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> tuple[dict[str, torch.Tensor], Path]:
    """Weights of an uninterrupted run, and its folder."""
    work = tmp_path_factory.mktemp("straight")
    clip, _ = pretrain(RECIPE, work)
    return clip.state_dict(), work


@pytest.fixture(scope="module")
def table() -> TokenTable:
    """The tokens of every caption, which are the same in every run of the recipe."""
    return made_table()


def made_table() -> TokenTable:
    return TokenTable(RECIPE.seed, CLIP_CONFIG["text_cfg"]["context_length"])


def test_a_run_that_was_cut_off_resumes_to_the_same_weights(straight, tmp_path, monkeypatch) -> None:
    weights, work = straight
    for name in ("pictures.npy", "parts.npy"):
        (tmp_path / name).symlink_to(work / name)
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
        pretrain(replace(RECIPE, cycles=(WHOLE, WHOLE)), straight[1])


def test_a_precision_that_does_not_exist_is_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match="got 'half'"):
        pretrain(replace(RECIPE, precision="half"), tmp_path)


def test_batch_number_k_is_the_same_at_every_call(straight, table) -> None:
    first, second = (toy_batches(straight[1], tokens)[2] for tokens in (table, made_table()))
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def test_pictures_lie_modality_by_modality_and_texts_are_true_of_whom_they_name(straight, table) -> None:
    batch = toy_batches(straight[1], table)[0]
    n_people = RECIPE.people_per_step
    rgb, infrared = batch.images[: 2 * n_people], batch.images[2 * n_people :]
    assert (rgb[:, 0] != rgb[:, 1]).any()
    assert torch.equal(infrared[:, 0], infrared[:, 2])
    assert torch.equal(batch.people.reshape(3, -1)[0], batch.people.reshape(3, -1)[2])
    per_person = len(batch.texts) // n_people
    own = torch.arange(len(batch.texts)) // per_person
    assert batch.true_of[torch.arange(n_people)[own] * 2, torch.arange(len(batch.texts))].all()


def toy_batches(work: Path, table: TokenTable) -> Batches:
    pictures = training_pictures(RECIPE, work / "pictures.npy")
    return Batches(RECIPE, pictures, training_parts(RECIPE, work / "parts.npy"), table)


def test_only_cycles_that_ask_for_it_train_single_patches(straight) -> None:
    losses = torch.load(straight[1] / "state.pt", weights_only=True)["losses"]
    assert ["parts" in step for step in losses] == [False, False, True, True]


def test_the_shares_of_parts_belong_to_the_pictures_of_the_batch(straight, table) -> None:
    """In thermal pictures the person is warmer than the place: patches of skin are the brightest."""
    batch = toy_batches(straight[1], table)[0]
    assert torch.allclose(batch.shares.sum(dim=2), torch.ones(batch.shares.shape[:2]))
    thermal = slice(2 * len(batch.images) // 3, None)
    patches = batch.images[thermal, :1].unfold(2, 16, 16).unfold(3, 16, 16).mean(dim=(1, 4, 5)).flatten(1)
    skin, elsewhere = (batch.shares[thermal, :, PARTS.index(part)] > 0.7 for part in ("skin", "elsewhere"))
    assert patches[skin].median() > patches[elsewhere].median() + 0.3


def test_a_text_read_short_has_the_feature_open_clip_gives_it(straight, table) -> None:
    batches = toy_batches(straight[1], table)
    trainee = Trainee(batches, RECIPE).eval()
    texts = ["a person wearing a red top", "a person carrying no bag"]
    with torch.no_grad():
        ours = trainee.sentences(batches.table(texts, PROMPT_LENGTH))
        theirs = trainee.clip.encode_text(batches.table(texts), normalize=True)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.smoke
def test_a_minute_of_training_gets_below_what_guessing_by_frequency_reaches(tmp_path) -> None:
    cycles = (Cycle(120, 1e-3, RECIPE.cycles[0].patch_dropout),)
    recipe = replace(RECIPE, identities=16, cycles=cycles, people_per_step=8, warmup_steps=10)
    pretrain(recipe, tmp_path)
    losses = torch.load(tmp_path / "state.pt", weights_only=True)["losses"]
    people = [attributes(sample_identity(pid, seed=recipe.seed)) for pid in range(recipe.identities)]
    heads = np.array([step["heads"] for step in losses])
    assert heads[:10].mean() > plateau(people)
    assert heads[-10:].mean() < 0.95 * plateau(people)


def plateau(people: list[dict[str, str]]) -> float:
    """Mean cross-entropy, over modalities and attributes, of always giving each word its frequency."""
    _, labels = class_labels(people)
    entropies = []
    for seen in SEEN.values():
        for column in (labels[:, NAMED.index(key)] for key in seen):
            shares = np.bincount(column[column >= 0]) / (column >= 0).sum()
            entropies.append(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    return float(np.mean(entropies))


def test_the_schedules_follow_steps_in_each_cycle() -> None:
    first = Cycle(100, 8e-4, ((0.75, 0.6), (0.92, 0.35), (1.01, 0.0)))
    recipe = Recipe(cycles=(first, Cycle(50, 4e-4, ((1.01, 0.2),), local=1.0)))
    assert recipe.steps == 150
    assert [recipe.dropout_at(step) for step in (0, 74, 75, 91, 92, 99)] == [0.6, 0.6, 0.35, 0.35, 0.0, 0.0]
    assert recipe.dropout_at(100) == 0.2
    assert recipe.rate_at(0) < recipe.rate_at(60) > recipe.rate_at(99) < recipe.rate_at(140) < 4e-4
    assert recipe.cycle_at(149) == (recipe.cycles[1], 49)
    with pytest.raises(OptionError, match="the recipe has 150 steps"):
        recipe.cycle_at(150)


def test_a_scaled_recipe_keeps_the_cycles_shares() -> None:
    recipe = Recipe().scaled(600)
    assert recipe.steps == 600
    assert [c.steps for c in recipe.cycles] == [c.steps // 10 for c in Recipe().cycles]


def test_a_state_is_not_replaced_by_weights_that_are_no_numbers(tmp_path: Path) -> None:
    trainee = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(trainee.parameters())
    file, recipe = tmp_path / "state.pt", Recipe()
    pretraining._save_state(file, recipe, trainee, optimiser, [{"rgb": 1.0}])
    before = file.read_bytes()
    with torch.no_grad():
        trainee.weight[1, 2] = torch.inf
    with pytest.raises(OptionError, match=r"trainee\.weight holds NaN or infinity after step 2; lower"):
        pretraining._save_state(file, recipe, trainee, optimiser, [{"rgb": 1.0}, {"rgb": 2.0}])
    assert file.read_bytes() == before
