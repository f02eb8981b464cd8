"""Modules as users write them, and a tiny model with any kind of add-on behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

import mswin_viz as mv
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.encoder.backbone import Model
from support.tiny import DIM, GRID, SCALES, tiny_model


class AttentionPooling(nn.Module):
    """One learned query over the tokens."""

    def __init__(self, dim, out=None):
        super().__init__()
        self.key, self.value, self.out = nn.Linear(dim, 1), nn.Linear(dim, dim), nn.Linear(dim, out or dim)

    def forward(self, patches):
        weights = torch.softmax(self.key(patches), dim=1)
        return self.out((weights * self.value(patches)).sum(dim=1))


class Convolutions(nn.Module):
    """Tokens on their grid, two convolutions with a BatchNorm between them."""

    def __init__(self, dim, grid):
        super().__init__()
        self.grid = grid
        layers = nn.Conv2d(dim, 5, 3, padding=1), nn.BatchNorm2d(5), nn.GELU(), nn.Conv2d(5, dim, 1)
        self.net = nn.Sequential(*layers)
        nn.init.normal_(self.net[1].running_mean)
        nn.init.uniform_(self.net[1].running_var, 0.5, 2)

    def forward(self, patches):
        on_grid = patches.transpose(1, 2).reshape(len(patches), -1, *self.grid)
        return self.net(on_grid).amax(dim=(2, 3))


class WithCls(nn.Module):
    """Tokens weighed by how like the CLS token they are, and the CLS token itself."""

    def __init__(self, dim, out=None):
        super().__init__()
        self.out, self.own = nn.Linear(dim, out or dim), nn.Linear(dim, out or dim)

    def forward(self, patches, cls):
        weights = torch.softmax(patches @ cls[:, :, None] / 3, dim=1)
        return torch.tanh(self.out((weights * patches).sum(dim=1))) + self.own(cls)


class Exponential(nn.Module):
    """An operation whose value at zero is not zero and that is not linear once anything is held."""

    def __init__(self, dim):
        super().__init__()
        self.first = nn.Linear(dim, dim)

    def forward(self, patches):
        return torch.exp(self.first(patches)).mean(dim=1)


class Sorted(nn.Module):
    """The largest values of each channel: which they are is held, and the rest is linear."""

    def __init__(self, dim):
        super().__init__()
        self.last = nn.Linear(dim, dim)

    def forward(self, patches):
        return self.last(torch.sort(patches, dim=1, descending=True).values[:, :4].mean(dim=1))


TINY_ADDONS: dict[str, Callable[[], nn.Module]] = {
    "scheme 2": lambda: CLIPWithProjectionMultiScale(DIM, 14, SCALES),
    "mixture": lambda: MixtureOfExpertsAddon(DIM, SCALES, hidden_dim=9),
    "attention pooling": lambda: Addon(AttentionPooling(DIM)),
    "convolutions": lambda: Addon(Convolutions(DIM, GRID)),
    "concatenated": lambda: Addon(WithCls(DIM, 4), combine="concatenate"),
    "unexplained": lambda: Addon(Exponential(DIM)),
}
"""An add-on of each kind but scheme 1, for :func:`tiny_model_with`."""


def tiny_model_with(kind: str, *, seed: int = 6) -> Model:
    """The tiny model with one of ``TINY_ADDONS``, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        addon = TINY_ADDONS[kind]()
    if isinstance(addon, Addon):
        addon = addon.fitted(DIM, GRID[0] * GRID[1])
    return replace(tiny_model(addon=False), addon=addon.eval().requires_grad_(False), addon_origin=kind)


class AttentionPool(AttentionPooling):
    """It declares windows, and says something of each token."""

    windows = (8, (4, 4))

    def activations(self, patches: torch.Tensor) -> torch.Tensor:
        return self.value(patches)


class Convolved(nn.Module):
    """A 2-D convolution over a 16x8 grid, a GELU and the mean; its feature stands behind the CLS token."""

    combine = "concatenate"

    def __init__(self, dim: int, wide: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, wide, 3, padding=1)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        maps = patches.transpose(1, 2).unflatten(2, (16, 8))
        return nn.functional.gelu(self.conv(maps)).mean(dim=(2, 3))


ADDONS: dict[str, Callable[[int], nn.Module]] = {
    "scheme 2": lambda dim: CLIPWithProjectionMultiScale(dim, 24, (4, 8, 16)),
    "attention pooling": AttentionPool,
    "convolution, concatenated": Convolved,
    "unknown operation": Exponential,
}


def seeded_addon(kind: str, dim: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        addon = ADDONS[kind](dim)
    return addon if hasattr(addon, "window_parts") else Addon(addon)


def with_addon(addon: nn.Module, **how) -> mv.Model:
    """The tiny tower with an add-on of random weights; a user's module is wrapped."""
    torch.manual_seed(9)
    for parameter in addon.parameters():
        nn.init.normal_(parameter, std=0.4)
    if not hasattr(addon, "window_parts"):
        addon = Addon(addon, **how).fitted(DIM, GRID[0] * GRID[1])
    return replace(tiny_model(addon=False), addon=addon.eval().requires_grad_(False))


ADDON_KINDS: dict[str, Callable[[], mv.Model]] = {
    "scheme 1": tiny_model,
    "scheme 2": lambda: with_addon(mv.CLIPWithProjectionMultiScale(DIM, 6, (2, 4))),
    "mixture": lambda: with_addon(mv.MixtureOfExpertsAddon(DIM, (2, 4))),
    "own, added": lambda: with_addon(WithCls(DIM)),
    "own, concatenated": lambda: with_addon(WithCls(DIM), combine="concatenate"),
}
