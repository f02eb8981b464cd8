"""Contrasts between features that the training of the embedded CLIP is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from mswin_viz.model.pretraining_batches import SHOTS_EACH

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["contrast", "identity_loss", "normalised", "pair_contrast"]

_IDENTITY_SCALE = 20.0  # of the normalised softmax
_PAIR_TEMPERATURE = 0.1


def normalised(features: Float[torch.Tensor, "*row dim"]) -> Float[torch.Tensor, "*row dim"]:
    return F.normalize(features.float(), dim=-1)


def contrast(features, texts, true_of, kept: Bool[torch.Tensor, " text"], scale) -> torch.Tensor:
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
