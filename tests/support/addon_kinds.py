"""Tiny models with add-ons of every kind, on the tower of :mod:`support.tiny`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

import mswin_viz as mv
from mswin_viz.model.addon.own import Addon
from support.tiny import DIM, GRID, tiny_model


class Pooling(nn.Module):
    """A user's module: attention pooling of the patches, asked by the CLS token."""

    def __init__(self) -> None:
        super().__init__()
        self.key, self.value = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM)

    def forward(self, patches: torch.Tensor, cls: torch.Tensor) -> torch.Tensor:
        weights = (self.key(patches) @ cls[:, :, None]).softmax(dim=1)
        return nn.functional.gelu((weights * self.value(patches)).sum(dim=1))


def with_addon(addon: nn.Module, **how) -> mv.Model:
    """The tiny tower with an add-on of random weights; a user's module is wrapped."""
    torch.manual_seed(9)
    for parameter in addon.parameters():
        nn.init.normal_(parameter, std=0.4)
    if not hasattr(addon, "window_parts"):
        addon = Addon(addon, **how).fitted(DIM, GRID[0] * GRID[1])
    return dataclasses.replace(tiny_model(addon=False), addon=addon.eval().requires_grad_(False))


ADDON_KINDS: dict[str, Callable[[], mv.Model]] = {
    "scheme 1": tiny_model,
    "scheme 2": lambda: with_addon(mv.CLIPWithProjectionMultiScale(DIM, 6, (2, 4))),
    "mixture": lambda: with_addon(mv.MixtureOfExpertsAddon(DIM, (2, 4))),
    "own, added": lambda: with_addon(Pooling()),
    "own, concatenated": lambda: with_addon(Pooling(), combine="concatenate"),
}
