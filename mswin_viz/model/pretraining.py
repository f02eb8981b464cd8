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

import copy
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import open_clip
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from mswin_viz.data.destinations import destination
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.local_supervision import (
    PART_OF,
    PARTS,
    KeptPatches,
    kept_shares,
    local_prompt_loss,
    part_loss,
    training_parts,
)
from mswin_viz.model.pretraining_batches import (
    NAMED,
    SEEN,
    Batch,
    Batches,
    TokenTable,
    training_pictures,
)
from mswin_viz.model.pretraining_losses import contrast, identity_loss, normalised, pair_contrast
from mswin_viz.model.recipe import CLIP_CONFIG, Recipe
from mswin_viz.model.training_state import (
    REMEDY,
    PlainTensor,
    TrainingState,
    check_finite,
    check_optimiser,
    check_tensors,
    n_bytes,
    only_training,
    read_state,
    resume_optimiser,
    write_state,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["pretrain"]

_WEIGHTS = {
    **{"rgb": 1.0, "infrared": 0.5, "prompts": 1.5, "patch prompts": 0.75},
    **{"heads": 1.5, "patch heads": 1.0, "identity": 0.5, "pairs": 0.5},
    **{"parts": 1.0, "local prompts": 1.5},
}
"""How much each part of the loss counts."""


def pretrain(recipe: Recipe, work: Path, *, device: str = "cpu") -> tuple[open_clip.CLIP, list[int]]:
    """Train the embedded CLIP, resuming from ``work/state.pt`` if it is there.

    Parameters
    ----------
    recipe
        Data, schedule and seed.
    work
        Folder of the picture cache and of the resumable state (weights, heads, optimiser, and the parts of the
        loss at every step as ``losses``).
    device
        A torch device.

    Returns
    -------
    clip, token_ids
        The CLIP with its full vocabulary (unused token embeddings are zero), in evaluation mode, and the ids
        of the tokens that the training texts used.

    Raises
    ------
    OptionError
        If ``work`` holds a run of another recipe, or the loss is not finite.
    WeightsError
        If its state is damaged.
    OutputError
        If another program is training there.
    """
    work = destination(work)
    state_file = work / "state.pt"
    with only_training(state_file):
        table = TokenTable(recipe.seed, CLIP_CONFIG["text_cfg"]["context_length"])
        pictures, parts = (
            training_pictures(recipe, work / "pictures.npy"),
            training_parts(recipe, work / "parts.npy"),
        )
        trainee = _trained(Batches(recipe, pictures, parts, table), recipe, state_file, device=device)
    return trainee.full_clip(table), table.ids


def _trained(batches: Batches, recipe: Recipe, state_file: Path, *, device: str) -> _Trainee:
    """All steps that the state file does not have yet."""
    torch.manual_seed(recipe.seed)
    trainee = _Trainee(batches, recipe).to(device)
    optimiser = torch.optim.AdamW(
        _parameter_groups(trainee, recipe.weight_decay), lr=recipe.rate_at(0), betas=(0.9, 0.98)
    )
    history = _resume(state_file, recipe, trainee, optimiser) if state_file.exists() else []
    steps = range(len(history), recipe.steps)
    loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=3)
    progress = tqdm(loader, initial=len(history), total=recipe.steps, desc="training", smoothing=0.02)
    for step, batch in zip(steps, progress, strict=True):
        history.append(_train_step(trainee, optimiser, batch.to(device), step))
        if step % 10 == 0:
            progress.set_postfix({name: f"{value:.2f}" for name, value in history[-1].items()})
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
            _save_state(state_file, recipe, trainee, optimiser, history)
    return trainee


class _Trainee(nn.Module):
    """The CLIP with a compact vocabulary, and the identities' directions that are thrown away."""

    def __init__(self, batches: Batches, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        config = copy.deepcopy(CLIP_CONFIG)
        config["text_cfg"]["vocab_size"] = batches.table.size
        self.clip = open_clip.CLIP(**config, output_dict=False)
        self.clip.visual.patch_dropout = KeptPatches()
        self.clip.visual.output_tokens = True
        self.n_words = [len(batches.classes[key]) for key in NAMED]
        self.register_buffer("labels", torch.from_numpy(batches.labels), persistent=False)
        self.cls_heads, self.patch_heads = (
            nn.Sequential(
                nn.BatchNorm1d(config["embed_dim"]), nn.Linear(config["embed_dim"], sum(self.n_words))
            )
            for _ in range(2)
        )
        self.part_head = nn.Linear(config["vision_cfg"]["width"], len(PARTS))
        self.directions = nn.Parameter(torch.randn(len(SEEN), recipe.identities, config["embed_dim"]))

    def pictures(self, images: Float[torch.Tensor, "image 3 rows cols"]) -> tuple[torch.Tensor, torch.Tensor]:
        """CLS ``[image, D]``, and patch tokens before the projection ``[image, patch, width]``."""
        cls, tokens = self.clip.visual(images)
        return cls.float(), tokens

    def projected(self, tokens: Float[torch.Tensor, "*any width"]) -> Float[torch.Tensor, "*any dim"]:
        """In the space that pictures share with texts."""
        return tokens.float() @ self.clip.visual.proj

    def sentences(self, ids: Int[torch.Tensor, "text length"]) -> Float[torch.Tensor, "text dim"]:
        """Normalised text features; as open_clip's ``encode_text``, which cannot read shorter texts."""
        length, clip = ids.shape[1], self.clip
        x = clip.token_embedding(ids) + clip.positional_embedding[:length]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
        x = x[
            torch.arange(len(ids), device=ids.device), ids.argmax(dim=1)
        ]  # the end token has the largest id
        return normalised(x @ clip.text_projection)

    def full_clip(self, table: TokenTable) -> open_clip.CLIP:
        """The trained CLIP under CLIP's own vocabulary."""
        clip = open_clip.CLIP(**copy.deepcopy(CLIP_CONFIG), output_dict=False)
        state = {name: value.detach().cpu().clone() for name, value in self.clip.state_dict().items()}
        rows = state["token_embedding.weight"]
        full = torch.zeros(CLIP_CONFIG["text_cfg"]["vocab_size"], rows.shape[1])
        full[table.ids] = rows
        clip.load_state_dict(state | {"token_embedding.weight": full})
        return clip.eval()


def _train_step(trainee: _Trainee, optimiser, batch: Batch, step: int) -> dict[str, float]:
    trainee.train()
    trainee.clip.visual.patch_dropout.prob = trainee.recipe.dropout_at(step)
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
    parts = _losses(trainee, batch, (cls, trainee.projected(tokens.mean(dim=1))), (texts, prompts))
    local = trainee.recipe.cycle_at(step)[0].local
    near = _local_losses(trainee, batch, tokens, prompts) if local else {}
    found = {name: float(value.detach()) for name, value in (parts | near).items()}
    if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
        raise OptionError(
            f"a training needs finite losses: got {wrong[0]} {found[wrong[0]]} at step {step + 1}; lower the recipe's "
            "learning rates, or train in float32"
        )
    optimiser.zero_grad(set_to_none=True)
    total = sum(_WEIGHTS[name] * value for name, value in parts.items())
    (total + local * sum(_WEIGHTS[name] * value for name, value in near.items())).backward()
    nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        trainee.clip.logit_scale.clamp_(0, math.log(60))
    return found


# ---- losses ---------------------------------------------------------------------------------


def _losses(
    trainee: _Trainee,
    batch: Batch,
    pictures: tuple[torch.Tensor, torch.Tensor],
    texts: tuple[torch.Tensor, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Every part of the loss, unweighted."""
    (captions, prompts), people = texts, batch.people
    cls, patches = (normalised(feature) for feature in pictures)
    scale = trainee.clip.logit_scale.exp()
    visible = torch.arange(len(cls), device=cls.device) < len(cls) // len(SEEN)
    return {
        "rgb": contrast(cls[visible], captions, batch.true_of[visible], batch.coloured, scale),
        "infrared": contrast(cls[~visible], captions, batch.true_of[~visible], ~batch.coloured, scale),
        "prompts": _attribute_loss(trainee, scale * cls @ prompts.T, people),
        "patch prompts": _attribute_loss(trainee, scale * patches @ prompts.T, people),
        "heads": _attribute_loss(trainee, _each_modality(trainee.cls_heads, pictures[0]), people),
        "patch heads": _attribute_loss(trainee, _each_modality(trainee.patch_heads, pictures[1]), people),
        "identity": identity_loss(trainee.directions, cls, people),
        "pairs": torch.stack([pair_contrast(features) for features in cls.chunk(len(SEEN))]).mean(),
    }


def _each_modality(
    heads: nn.Module, features: Float[torch.Tensor, "image dim"]
) -> Float[torch.Tensor, "image word"]:
    """Heads on each modality by itself: a BatchNorm over all would see little but what modalities differ in."""
    return torch.cat([heads(part) for part in features.chunk(len(SEEN))])


def _attribute_loss(
    trainee: _Trainee, logits: Float[torch.Tensor, "image word"], people: Int[torch.Tensor, " image"]
) -> torch.Tensor:
    """Mean cross-entropy over modalities and the attributes each can see."""
    labels, losses = trainee.labels[people], []
    parts = zip(SEEN.values(), logits.chunk(len(SEEN)), labels.chunk(len(SEEN)), strict=True)
    for seen, answers, right in parts:
        words = zip(NAMED, answers.split(trainee.n_words, dim=1), right.T, strict=True)
        losses += [
            F.cross_entropy(a, r, ignore_index=-1) for key, a, r in words if key in seen and (r >= 0).any()
        ]
    return torch.stack(losses).mean()


def _local_losses(
    trainee: _Trainee,
    batch: Batch,
    tokens: Float[torch.Tensor, "image patch width"],
    prompts: Float[torch.Tensor, "prompt dim"],
) -> dict[str, torch.Tensor]:
    """What single patches are asked for, averaged over modalities and the attributes each can see."""
    shares = kept_shares(batch.shares, trainee.clip.visual.patch_dropout.kept)
    logits = trainee.clip.logit_scale.exp() * normalised(trainee.projected(tokens)) @ prompts.T
    labels, losses = trainee.labels[batch.people], []
    parts = zip(SEEN.values(), *(x.chunk(len(SEEN)) for x in (logits, labels, shares)), strict=True)
    for seen, answers, right, share in parts:
        words = zip(NAMED, answers.split(trainee.n_words, dim=2), right.T, strict=True)
        for key, answer, label in words:
            if key in seen and key in PART_OF:
                losses.append(local_prompt_loss(answer, label, share[..., PARTS.index(PART_OF[key])]))
    local = torch.stack([loss for loss in losses if loss is not None]).mean()
    return {"parts": part_loss(trainee.part_head(tokens.float()), shares), "local prompts": local}


# ---- state ----------------------------------------------------------------------------------


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


class _State(TrainingState):
    """All that decides how a run goes on; the recipe as JSON."""

    recipe: str
    losses: Annotated[list[dict[Literal[*_WEIGHTS], float]], Field(min_length=1)]
    trainee: dict[str, PlainTensor]


def _save_state(
    file: Path, recipe: Recipe, trainee: _Trainee, optimiser, history: list[dict[str, float]]
) -> None:
    state = {
        "recipe": json.dumps(asdict(recipe)),
        "losses": history,
        "trainee": trainee.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    check_finite(state, step=len(history))
    write_state(file, state)


def _resume(file: Path, recipe: Recipe, trainee: _Trainee, optimiser) -> list[dict[str, float]]:
    """Load a state, once all of it is known to fit; returns the losses of the steps it has behind it."""
    most = 2 * len(_WEIGHTS) * recipe.steps
    state = read_state(file, _State, most_bytes=4 * n_bytes(trainee), most_numbers=most)
    if state.recipe != (ours := json.dumps(asdict(recipe))):
        raise OptionError(
            f"a run is resumed with the recipe it began with: {file} holds {short_text(state.recipe, 1000)}, "
            f"got {ours}; give its recipe, or another folder"
        )
    if len(state.losses) > recipe.steps:
        raise WeightsError(
            f"the training state {file} cannot be used: it has {len(state.losses)} of {recipe.steps} steps; "
            f"{REMEDY}"
        )
    check_tensors(file, state.trainee, trainee.state_dict(), "trainee")
    check_optimiser(file, state.optimiser, optimiser, steps=len(state.losses))
    trainee.load_state_dict(state.trainee)
    resume_optimiser(optimiser, state.optimiser)
    return state.losses
