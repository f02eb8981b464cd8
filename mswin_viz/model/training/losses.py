"""The host model's training loss: identity cross-entropy behind a neck, and batch-hard triplets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ID_WEIGHT, TRIPLET_WEIGHT, SMOOTHING, MARGIN = 0.25, 1.0, 0.1, 0.3  # the host model's


class IdentityHead(nn.Module):
    """BatchNorm neck and a classifier without bias, as re-ID models have them; not kept."""

    def __init__(self, dim: int, n_identities: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(dim)
        self.classifier = nn.Linear(dim, n_identities, bias=False)

    def forward(self, features: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, "batch identity"]:
        """Scores of the training identities."""
        return self.classifier(self.neck(features))


class ReidLoss(nn.Module):
    """0.25 x identity cross-entropy (label smoothing 0.1) + 1.0 x batch-hard triplet loss (margin 0.3).

    The triplet loss is that of Hermans et al. (2017) on L2-normalised features, Euclidean, averaged over all anchors.
    """

    def __init__(self, dim: int, n_identities: int) -> None:
        super().__init__()
        self.identity = IdentityHead(dim, n_identities)
        distance = LpDistance(normalize_embeddings=True, p=2)
        self._miner = BatchHardMiner(distance=distance)
        self._triplet = TripletMarginLoss(margin=MARGIN, distance=distance, reducer=MeanReducer())

    def forward(
        self, features: Float[torch.Tensor, "batch dim"], target: Int[torch.Tensor, " batch"]
    ) -> Float[torch.Tensor, ""]:
        """The loss of one batch of enhanced features."""
        identity = F.cross_entropy(self.identity(features), target, label_smoothing=SMOOTHING)
        triplet = self._triplet(features, target, self._miner(features, target))
        return ID_WEIGHT * identity + TRIPLET_WEIGHT * triplet
