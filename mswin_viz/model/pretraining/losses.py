"""The network that becomes the embedded CLIP, and the losses it is trained by."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from torch import nn
from torch.nn import functional as F

from mswin_viz.model.pretraining.batches import NAMED, SEEN, SHOTS_EACH, Batch, Batches, TokenTable
from mswin_viz.model.pretraining.local_supervision import (
    PART_OF,
    PARTS,
    KeptPatches,
    kept_shares,
    local_prompt_loss,
    part_loss,
)
from mswin_viz.model.pretraining.recipe import CLIP_CONFIG, Recipe

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_IDENTITY_SCALE = 20.0  # of the normalised softmax
_PAIR_TEMPERATURE = 0.1


class Trainee(nn.Module):
    """The CLIP with a compact vocabulary, and the heads and identities' directions that are thrown away."""

    labels: torch.Tensor

    def __init__(self, batches: Batches, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        config: dict[str, Any] = copy.deepcopy(CLIP_CONFIG)
        config["text_cfg"]["vocab_size"] = batches.table.size
        config["vision_cfg"]["output_tokens"] = True
        self.clip = open_clip.CLIP(**config, output_dict=False)
        self.patches = KeptPatches()
        self.clip.get_submodule("visual").add_module("patch_dropout", self.patches)
        self.n_words = [len(batches.classes[key]) for key in NAMED]
        self.register_buffer("labels", torch.from_numpy(batches.labels), persistent=False)
        dim = config["embed_dim"]
        self.cls_heads, self.patch_heads = (
            nn.Sequential(nn.BatchNorm1d(dim), nn.Linear(dim, sum(self.n_words))) for _ in range(2)
        )
        self.part_head = nn.Linear(config["vision_cfg"]["width"], len(PARTS))
        self.directions = nn.Parameter(torch.randn(len(SEEN), recipe.identities, dim))

    def pictures(self, images: Float[torch.Tensor, "image 3 rows cols"]) -> tuple[torch.Tensor, torch.Tensor]:
        """CLS ``[image, D]``, and patch tokens before the projection ``[image, patch, width]``."""
        cls, tokens = self.clip.get_submodule("visual")(images)
        return cls.float(), tokens

    def projected(self, tokens: Float[torch.Tensor, "*row width"]) -> Float[torch.Tensor, "*row dim"]:
        """In the space that pictures share with texts."""
        return tokens.float() @ self.clip.get_parameter("visual.proj")

    def sentences(self, ids: Int[torch.Tensor, "text length"]) -> Float[torch.Tensor, "text dim"]:
        """Normalised text features; as open_clip's ``encode_text``, which cannot read shorter texts."""
        length, clip = ids.shape[1], self.clip
        embedding, transformer, norm = map(clip.get_submodule, ("token_embedding", "transformer", "ln_final"))
        mask = clip.get_buffer("attn_mask")[:length, :length]
        x = embedding(ids) + clip.get_parameter("positional_embedding")[:length]
        x = norm(transformer(x, attn_mask=mask))
        ends = ids.argmax(dim=1)  # the end token has the largest id
        return normalised(x[torch.arange(len(ids), device=ids.device), ends] @ clip.text_projection)

    def full_clip(self, table: TokenTable) -> open_clip.CLIP:
        """The trained CLIP under CLIP's own vocabulary."""
        config: dict[str, Any] = copy.deepcopy(CLIP_CONFIG)
        clip = open_clip.CLIP(**config, output_dict=False)
        state = {name: value.detach().cpu().clone() for name, value in self.clip.state_dict().items()}
        rows = state["token_embedding.weight"]
        full = torch.zeros(CLIP_CONFIG["text_cfg"]["vocab_size"], rows.shape[1])
        full[table.ids] = rows
        clip.load_state_dict(state | {"token_embedding.weight": full})
        return clip.eval()


def picture_losses(
    trainee: Trainee,
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
    trainee: Trainee, logits: Float[torch.Tensor, "image word"], people: Int[torch.Tensor, " image"]
) -> torch.Tensor:
    """Mean cross-entropy over modalities and the attributes each can see."""
    labels, losses = trainee.labels[people], []
    parts = zip(SEEN.values(), logits.chunk(len(SEEN)), labels.chunk(len(SEEN)), strict=True)
    for seen, answers, right in parts:
        words = zip(NAMED, answers.split(trainee.n_words, dim=1), right.T, strict=True)
        for key, answer, label in words:
            if key in seen and (label >= 0).any():
                losses.append(F.cross_entropy(answer, label, ignore_index=-1))
    return torch.stack(losses).mean()


def patch_losses(
    trainee: Trainee,
    batch: Batch,
    tokens: Float[torch.Tensor, "image patch width"],
    prompts: Float[torch.Tensor, "prompt dim"],
) -> dict[str, torch.Tensor]:
    """What single patches are asked for, averaged over modalities and the attributes each can see."""
    shares = kept_shares(batch.shares, trainee.patches.kept)
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


def normalised(features: Float[torch.Tensor, "*row dim"]) -> Float[torch.Tensor, "*row dim"]:
    """Features of length 1, in float32."""
    return F.normalize(features.float(), dim=-1)


def contrast(
    features: Float[torch.Tensor, "image dim"],
    texts: Float[torch.Tensor, "text dim"],
    true_of: Bool[torch.Tensor, "image text"],
    kept: Bool[torch.Tensor, " text"],
    scale: Float[torch.Tensor, ""],
) -> Float[torch.Tensor, ""]:
    """Both directions of the contrast with several positives: the mean log-probability of a positive."""
    logits, positive = scale * features @ texts[kept].T, true_of[:, kept].float()
    images = -(F.log_softmax(logits, 1) * positive).sum(1) / positive.sum(1).clamp_min(1)
    sentences = -(F.log_softmax(logits, 0) * positive).sum(0) / positive.sum(0).clamp_min(1)
    return (images.mean() + sentences.mean()) / 2


def identity_loss(
    directions: Float[torch.Tensor, "modality person dim"],
    cls: Float[torch.Tensor, "image dim"],
    people: Int[torch.Tensor, " image"],
) -> torch.Tensor:
    """Normalised softmax over all training people of the picture's modality (Wang et al. 2017, NormFace)."""
    parts = zip(directions, cls.chunk(len(directions)), people.chunk(len(directions)), strict=True)
    losses = [F.cross_entropy(_IDENTITY_SCALE * f @ normalised(d).T, who) for d, f, who in parts]
    return torch.stack(losses).mean()


def pair_contrast(features: Float[torch.Tensor, "image dim"]) -> torch.Tensor:
    """Supervised contrast (Khosla et al. 2020, equation 2); ``SHOTS_EACH`` pictures in a row show one person."""
    people = torch.arange(len(features), device=features.device) // SHOTS_EACH
    itself = torch.eye(len(people), dtype=torch.bool, device=people.device)
    logits = (features @ features.T / _PAIR_TEMPERATURE).masked_fill(itself, -1e9)
    positive = ((people[:, None] == people[None]) & ~itself).float()
    return -((F.log_softmax(logits, 1) * positive).sum(1) / positive.sum(1)).mean()
