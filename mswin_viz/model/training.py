"""Fits an add-on on cached tokens; the backbone is frozen and never runs."""

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
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["TrainedAddon", "train_addon"]

_ID_WEIGHT, _TRIPLET_WEIGHT = 0.25, 1.0  # the host model's loss weights
_SMOOTHING, _MARGIN = 0.1, 0.3


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

    The loss is the host model's: 0.25 x identity cross-entropy (label smoothing 0.1, behind a BatchNorm that
    is thrown away) + 1.0 x batch-hard triplet loss (Hermans et al. 2017; margin 0.3 on normalised features),
    on batches of up to 16 identities x 4 images; AdamW, cosine schedule.

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
    labels = _labels(pids, len(tokens))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    addon = CLIPMultiScaleFeatureExtractor(tokens.cls.shape[1], scales).to(tokens.cls.device)
    head = _IdentityHead(tokens.cls.shape[1], int(labels.max()) + 1).to(tokens.cls.device)
    optimiser = torch.optim.AdamW(
        [*addon.parameters(), *head.parameters()], lr=learning_rate, weight_decay=1e-2
    )
    losses = np.empty(steps)
    for step in trange(steps, desc="training the add-on", disable=not progress):
        optimiser.param_groups[0]["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = _identity_batch(labels, rng)
        target = torch.from_numpy(labels[chosen]).to(tokens.cls.device)
        batch = tokens[list(chosen)]
        enhanced = batch.cls + addon(batch.patches)
        loss = _ID_WEIGHT * F.cross_entropy(head(enhanced), target, label_smoothing=_SMOOTHING)
        loss = loss + _TRIPLET_WEIGHT * _batch_hard_triplet(F.normalize(enhanced, dim=1), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses[step] = float(loss.detach())
    return TrainedAddon(addon.eval(), losses)


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
