"""Add-ons of every kind for tests: scheme 2, and modules that are not made of windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mswin_viz.model.addon.own import Addon
from mswin_viz.model.addon.sliding_window import CLIPWithProjectionMultiScale


class AttentionPool(nn.Module):
    """One query attends over the tokens; it declares windows, and says something of each token."""

    windows = (8, (4, 4))

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ask, self.give = nn.Linear(dim, 1), nn.Linear(dim, dim)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return (self.ask(patches).softmax(dim=1) * self.give(patches)).sum(dim=1)

    def activations(self, patches: torch.Tensor) -> torch.Tensor:
        return self.give(patches)


class Convolved(nn.Module):
    """A 2-D convolution over a 16x8 grid, a GELU and the mean; its feature stands behind the CLS token."""

    combine = "concatenate"

    def __init__(self, dim: int, wide: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, wide, 3, padding=1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        maps = patches.transpose(1, 2).unflatten(2, (16, 8))
        return nn.functional.gelu(self.conv(maps)).mean(dim=(2, 3))


class Unknown(nn.Module):
    """An operation that cannot be held."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.give = nn.Linear(dim, dim)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(self.give(patches)).sum(dim=1)


ADDONS: dict[str, Callable[[int], nn.Module]] = {
    "scheme 2": lambda dim: CLIPWithProjectionMultiScale(dim, 24, (4, 8, 16)),
    "attention pooling": AttentionPool,
    "convolution, concatenated": Convolved,
    "unknown operation": Unknown,
}


def seeded_addon(kind: str, dim: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        addon = ADDONS[kind](dim)
    return addon if hasattr(addon, "window_parts") else Addon(addon)
