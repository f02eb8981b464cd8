"""Fits an add-on, or any other head, on cached tokens; the backbone is frozen and never runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import trange

from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.heads import Head, folded, seeded, window_head
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["STANDARD_SCHEDULE", "Schedule", "TrainedAddon", "train_addon", "train_head"]

_ID_WEIGHT, _TRIPLET_WEIGHT = 0.25, 1.0  # the host model's loss weights
_SMOOTHING, _MARGIN = 0.1, 0.3
_CLASSIFIER_STREAM = 1_000_003  # so that the classifier is not drawn from the numbers the head was drawn from


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a head is trained.

    Attributes
    ----------
    steps
        Batches of up to 16 identities x 4 images.
    learning_rate
        Of AdamW at the first step; falls to zero along a cosine.
    """

    steps: int = 300
    learning_rate: float = 3.5e-4


STANDARD_SCHEDULE = Schedule()


@dataclass(frozen=True)
class TrainedAddon:
    """A fitted add-on and how its loss went.

    Attributes
    ----------
    addon
        In evaluation mode, on the device of the tokens.
    losses
        Total loss at every step, ``[steps]``.
    """

    addon: CLIPMultiScaleFeatureExtractor
    losses: Float[np.ndarray, " step"]


def train_addon(
    tokens: Tokens,
    pids: Sequence[int],
    *,
    scales: Sequence[int] = (4, 8, 16),
    seed: int = 0,
    steps: int = 300,
    learning_rate: float = 3.5e-4,
    progress: bool = True,
) -> TrainedAddon:
    """Fit a scheme-1 add-on so that enhanced CLS features of one identity lie together.

    The loss is that of `train_head`.

    Parameters
    ----------
    tokens
        Cached tokens of all training images.
    pids
        Identity of each image; at least two identities with two images each.

    Raises
    ------
    ShapeError
        If ``pids`` does not match ``tokens``.
    OptionError
        If there are too few identities with two images.
    """
    head = window_head(tokens.cls.shape[1], scales, seed=seed)
    schedule = Schedule(steps, learning_rate)
    losses = train_head(folded(tokens, scales), pids, head, seed=seed, schedule=schedule, progress=progress)
    return TrainedAddon(head.body, losses)


def train_head(
    tokens: Tokens,
    pids: Sequence[int],
    head: Head,
    *,
    seed: int = 0,
    schedule: Schedule = STANDARD_SCHEDULE,
    progress: bool = True,
) -> Float[np.ndarray, " step"]:
    """Train a head in place, so that CLS plus its output is near for one identity and far for two.

    The loss is the host model's: 0.25 x identity cross-entropy (label smoothing 0.1, behind a BatchNorm that
    is thrown away) + 1.0 x batch-hard triplet loss (Hermans et al. 2017; margin 0.3 on normalised features),
    on batches of up to 16 identities x 4 images; AdamW, cosine schedule.

    Parameters
    ----------
    head
        Left in evaluation mode, on the device of the tokens.
    seed
        Decides the batches and the classifier; the head's own initial weights are those it comes with.

    Returns
    -------
    losses
        Total loss at every step.

    Raises
    ------
    ShapeError, OptionError
        As `train_addon`.
    """
    labels = _labels(pids, len(tokens))
    rng, device, dim = np.random.default_rng(seed), tokens.cls.device, tokens.cls.shape[1]
    with seeded(seed + _CLASSIFIER_STREAM):
        classifier = _IdentityHead(dim, int(labels.max()) + 1).to(device)
    head.to(device).train()
    optimiser = torch.optim.AdamW(
        [*head.parameters(), *classifier.parameters()], lr=schedule.learning_rate, weight_decay=1e-2,
        fused=device.type in ("cpu", "cuda"),  # twice as fast a step on the CPU
    )  # fmt: skip
    losses = np.empty(schedule.steps)
    for step in trange(schedule.steps, desc="training the head", disable=not progress):
        fraction = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
        optimiser.param_groups[0]["lr"] = schedule.learning_rate * fraction
        chosen = _identity_batch(labels, rng)
        batch, target = tokens[chosen.tolist()], torch.from_numpy(labels[chosen]).to(device)
        loss = _loss(batch.cls + head(batch), target, classifier)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses[step] = float(loss.detach())
    head.eval()
    return losses


def _loss(
    features: Float[torch.Tensor, "batch dim"], target: Int[torch.Tensor, " batch"], classifier: nn.Module
) -> Float[torch.Tensor, ""]:
    identity = F.cross_entropy(classifier(features), target, label_smoothing=_SMOOTHING)
    triplet = _batch_hard_triplet(F.normalize(features, dim=1), target)
    return _ID_WEIGHT * identity + _TRIPLET_WEIGHT * triplet


class _IdentityHead(nn.Module):
    """BatchNorm neck and a classifier without bias, as re-ID models have them; not kept."""

    def __init__(self, dim: int, n_identities: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(dim)
        self.classifier = nn.Linear(dim, n_identities, bias=False)

    def forward(self, features: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, "batch identity"]:
        return self.classifier(self.neck(features))


def _labels(pids: Sequence[int], n_images: int) -> Int[np.ndarray, " image"]:
    if len(pids) != n_images:
        raise ShapeError(f"every image needs one pid: got {len(pids)} pids for {n_images} images")
    _, labels, counts = np.unique(np.asarray(pids), return_inverse=True, return_counts=True)
    if (counts > 1).sum() < 2:
        raise OptionError(
            "training needs at least two identities with two images each: got "
            f"{(counts > 1).sum()} such among {len(counts)} identities"
        )
    return labels


def _identity_batch(
    labels: Int[np.ndarray, " image"], rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Indices of up to 16 identities x 4 images; identities with a single image are left out."""
    counts = np.bincount(labels)
    usable = np.flatnonzero(counts > 1)
    identities = rng.choice(usable, size=min(16, len(usable)), replace=False)
    shots = [
        rng.choice(np.flatnonzero(labels == i), size=min(4, counts[i]), replace=False) for i in identities
    ]
    return np.concatenate(shots)


def _batch_hard_triplet(
    features: Float[torch.Tensor, "batch dim"], labels: Int[torch.Tensor, " batch"]
) -> Float[torch.Tensor, ""]:
    """Mean over anchors of max(0, hardest positive - hardest negative + margin), Euclidean."""
    distances = (2 - 2 * features @ features.T).clamp_min(1e-12).sqrt()
    same = labels[:, None] == labels[None]
    hardest_positive = distances.masked_fill(~same, -math.inf).amax(dim=1)
    hardest_negative = distances.masked_fill(same, math.inf).amin(dim=1)
    return F.relu(hardest_positive - hardest_negative + _MARGIN).mean()
