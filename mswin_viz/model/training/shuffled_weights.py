"""A model whose trained weights are shuffled: an explanation must notice."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model

PARTS = ("add-on", "CLIP", "both")
"""What can be shuffled: the add-on; the image tower; or both. The text tower stays."""


def shuffled(model: Model, part: str, *, seed: int = 0) -> Model:
    """A copy with the entries of every weight tensor of a part permuted; the model itself stays as it is.

    Each tensor keeps its values, so size and spread of the weights are those of the trained model, and nothing that was
    learned is left (as in Adebayo et al., 2018, "Sanity Checks for Saliency Maps").
    """
    if part not in PARTS:
        raise OptionError(f"part must be one of {', '.join(PARTS)}: got {part!r}; choose one")
    generator = torch.Generator().manual_seed(seed)
    tower, addon, origin = model.tower, model.addon, model.addon_origin
    if part != "CLIP":
        if addon is None:
            raise OptionError(f"a model without an add-on has no add-on to shuffle: got {part!r}; use 'CLIP'")
        addon, origin = copy.deepcopy(addon), f"{origin}, shuffled with seed {seed}"
        _permute(addon, generator)
    if part != "add-on":
        clip = copy.deepcopy(model.clip)
        _permute(clip.visual, generator)
        tower = dataclasses.replace(tower, clip=clip, weights=f"{tower.weights}, shuffled with seed {seed}")
    return dataclasses.replace(model, tower=tower, addon=addon, addon_origin=origin)


def _permute(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
