"""The same architecture with weights nobody trained: what a model must be better than."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import nn

from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import seeded

__all__ = ["untrained"]


def untrained(model: Model, *, seed: int = 0) -> Model:
    """A copy whose towers hold initial weights, without an add-on; the model itself is left as it is.

    Layers are drawn as torch draws them, the CLS embedding, positions and projections as open_clip does.
    Input size, normalisation, and whether there is a text tower, stay.
    """
    clip = copy.deepcopy(model.clip).cpu()
    with seeded(seed), torch.no_grad():
        for module in clip.modules():
            reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
            if reset is not None:
                reset()
        _draw_bare_parameters(clip)
    tower = dataclasses.replace(model.tower, clip=clip.to(model.device), weights=f"untrained, seed {seed}")
    return dataclasses.replace(model, tower=tower, addon=None, addon_origin="none: plain CLIP")


def _draw_bare_parameters(clip: nn.Module) -> None:
    """Those that belong to a tower and to no layer of it."""
    visual, width = clip.visual, clip.ln_final.normalized_shape[0]
    for parameter in (visual.class_embedding, visual.positional_embedding, visual.proj):
        nn.init.normal_(parameter, std=visual.conv1.out_channels**-0.5)
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    nn.init.normal_(clip.positional_embedding, std=0.01)
    nn.init.normal_(clip.text_projection, std=width**-0.5)
