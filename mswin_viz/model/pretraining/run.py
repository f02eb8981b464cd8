"""The recipe of the embedded CLIP: trained from scratch on the synthetic world, with open_clip's own classes.

A step sees a few people, each twice in every modality. Six things are asked of the pictures:

- captions: a text counts as positive for every person it is true of; infrared pictures meet colourless texts only;
- prompts: one text for each word of each attribute, and the right one must be nearest, for the CLS and for the mean
  patch token (so that patch tokens speak the language of the texts too);
- heads: the same by linear classifiers behind a BatchNorm (thrown away), which get the training off its first plateau;
- identity: the CLS must be nearest to its person's own direction among all training people of that modality
  (normalised softmax; the directions are thrown away);
- pairs: the two pictures of a person in a modality lie closer than those of others;
- parts and local prompts, in the cycles that ask for them: what single patches show (`model.local_supervision`).
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import open_clip
import torch
from pydantic import Field
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from mswin_viz.data.progress import progress_bar
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.data.storage.destinations import destination
from mswin_viz.errors import OptionError
from mswin_viz.model.pretraining.batches import Batch, Batches, TokenTable, training_pictures
from mswin_viz.model.pretraining.local_supervision import training_parts
from mswin_viz.model.pretraining.losses import Trainee, patch_losses, picture_losses
from mswin_viz.model.pretraining.recipe import CLIP_CONFIG, Recipe
from mswin_viz.model.training.training_state import (
    PlainTensor,
    TrainingState,
    check_finite,
    check_optimiser,
    check_tensors,
    n_bytes,
    only_training,
    read_state,
    refusal,
    resume_optimiser,
    write_state,
)

_Part = Literal[
    "rgb", "infrared", "prompts", "patch prompts", "heads", "patch heads", "identity", "pairs", "parts", "local prompts"
]  # fmt: skip
_WEIGHTS: Mapping[str, float] = {
    **{"rgb": 1.0, "infrared": 0.5, "prompts": 1.5, "patch prompts": 0.75},
    **{"heads": 1.5, "patch heads": 1.0, "identity": 0.5, "pairs": 0.5},
    **{"parts": 1.0, "local prompts": 1.5},
}
"""How much each part of the loss counts."""


class PretrainedClip(NamedTuple):
    """A trained CLIP, in evaluation mode, and the ids of the tokens that the training texts used."""

    clip: open_clip.CLIP
    token_ids: list[int]


def pretrain(recipe: Recipe, work: Path, *, device: str = "cpu") -> PretrainedClip:
    """Train the embedded CLIP, resuming from ``work/state.pt`` if it exists.

    ``work`` is the folder of the picture cache and of that state (weights, heads, optimiser, and the parts of the loss at
    every step as ``losses``). The CLIP has its full vocabulary; unused token embeddings are zero. OptionError if the
    state is of another recipe, or the loss is not finite; WeightsError if it is damaged; OutputError if another program
    is training there.
    """
    work = destination(work)
    state_file = work / "state.pt"
    with only_training(state_file):
        table = TokenTable(recipe.seed, CLIP_CONFIG["text_cfg"]["context_length"])
        pictures = training_pictures(recipe, work / "pictures.npy")
        parts = training_parts(recipe, work / "parts.npy")
        trainee = _trained(Batches(recipe, pictures, parts, table), recipe, state_file, device=device)
    return PretrainedClip(trainee.full_clip(table), table.ids)


def _trained(batches: Batches, recipe: Recipe, state_file: Path, *, device: str) -> Trainee:
    """All steps that the state file does not have yet."""
    torch.manual_seed(recipe.seed)
    trainee = Trainee(batches, recipe).to(device)
    optimiser = torch.optim.AdamW(
        _parameter_groups(trainee, recipe.weight_decay), lr=recipe.rate_at(0), betas=(0.9, 0.98)
    )
    history = _resume(state_file, recipe, trainee, optimiser) if state_file.exists() else []
    steps = range(len(history), recipe.steps)
    loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=3)
    progress = progress_bar(loader, initial=len(history), total=recipe.steps, desc="training", smoothing=0.02)
    for step, batch in zip(steps, progress, strict=True):
        history.append(_train_step(trainee, optimiser, batch.to(device), step))
        if step % 10 == 0:
            progress.set_postfix({name: f"{value:.2f}" for name, value in history[-1].items()})
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
            _save_state(state_file, recipe, trainee, optimiser, history)
    return trainee


def _train_step(
    trainee: Trainee, optimiser: torch.optim.Optimizer, batch: Batch, step: int
) -> dict[str, float]:
    trainee.train()
    trainee.patches.prob = trainee.recipe.dropout_at(step)
    torch.manual_seed(step)
    for group in optimiser.param_groups:
        group["lr"] = trainee.recipe.rate_at(step)
    mixed = trainee.recipe.precision == "bfloat16"
    with (
        sdpa_kernel(SDPBackend.MATH),  # on processors the fused kernel's backward takes four times as long
        torch.autocast(batch.images.device.type, dtype=torch.bfloat16, enabled=mixed),
    ):
        cls, tokens = trainee.pictures(batch.images)
        texts, prompts = trainee.sentences(batch.texts), trainee.sentences(batch.prompts)
    parts = picture_losses(trainee, batch, (cls, trainee.projected(tokens.mean(dim=1))), (texts, prompts))
    local = trainee.recipe.cycle_at(step)[0].local
    near = patch_losses(trainee, batch, tokens, prompts) if local else {}
    values = {name: float(value.detach()) for name, value in (parts | near).items()}
    if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
        raise OptionError(
            f"a training needs finite losses: got {wrong[0]} {values[wrong[0]]} at step {step + 1}; lower the recipe's "
            "learning rates, or train in float32"
        )
    optimiser.zero_grad(set_to_none=True)
    loss = _weighted(parts)
    if near:
        loss = loss + local * _weighted(near)
    loss.backward()
    nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        trainee.clip.logit_scale.clamp_(0, math.log(60))
    return values


def _weighted(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return reduce(operator.add, (_WEIGHTS[name] * value for name, value in parts.items()))


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


class _State(TrainingState):
    """All that decides how a run goes on; the recipe as JSON."""

    recipe: str
    losses: Annotated[list[dict[_Part, float]], Field(min_length=1)]
    trainee: dict[str, PlainTensor]


def _save_state(
    file: Path, recipe: Recipe, trainee: nn.Module, optimiser: torch.optim.Optimizer, history: list[dict[str, float]]
) -> None:  # fmt: skip
    parts = {"trainee": trainee.state_dict(), "optimiser": optimiser.state_dict()}
    state = {"recipe": json.dumps(asdict(recipe)), "losses": history, **parts}
    check_finite(state, step=len(history))
    write_state(file, state)


def _resume(
    file: Path, recipe: Recipe, trainee: Trainee, optimiser: torch.optim.Optimizer
) -> list[dict[str, float]]:
    """Load a state, once all of it is known to fit; returns the losses of the steps it has behind it."""
    most = 2 * len(_WEIGHTS) * recipe.steps
    state = read_state(file, _State, most_bytes=4 * n_bytes(trainee), most_numbers=most)
    if state.recipe != (ours := json.dumps(asdict(recipe))):
        raise OptionError(
            f"a run is resumed with the recipe it began with: {file} holds {short_text(state.recipe, 1000)}, "
            f"got {ours}; give its recipe, or another folder"
        )
    if len(state.losses) > recipe.steps:
        raise refusal(file, f"it has {len(state.losses)} of {counted(recipe.steps, 'steps')}")
    check_tensors(file, state.trainee, trainee.state_dict(), "trainee")
    check_optimiser(file, state.optimiser, optimiser, steps=len(state.losses))
    trainee.load_state_dict(state.trainee)
    resume_optimiser(optimiser, state.optimiser)
    return [{str(part): value for part, value in losses.items()} for losses in state.losses]
