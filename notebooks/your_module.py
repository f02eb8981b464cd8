"""Two add-ons of a few lines each, for your_module.ipynb: any torch module that maps patch tokens to a vector will do."""

from __future__ import annotations

import torch
from torch import nn


class AttentionPooling(nn.Module):
    """A weighted mean of the patches: a score for each token, and a softmax so that the weights add up to one.

    Parameters
    ----------
    dim
        Width of the tokens: 512 for the embedded model and for ViT-B/16.
    """

    windows = (16, (4, 4))  # optional: shares are grouped at first by runs of 16 (two rows) and 4x4 tiles

    def __init__(self, dim: int = 512) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.value = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:  # [B, N, D]
        weights = self.score(patches).softmax(dim=1)  # [B, N, 1]
        return self.value((weights * patches).sum(dim=1))  # [B, D], added to the CLS token


class SoftMaximum(nn.Module):
    """The soft maximum of every channel over the patches, appended to the CLS token; log and exp cannot be held."""

    combine = "concatenate"  # optional: its vector may then have any width

    def __init__(self, dim: int = 512, width: int = 64) -> None:
        super().__init__()
        self.out = nn.Linear(dim, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.out(torch.exp(patches).mean(dim=1).log())
