"""The same architecture with untrained weights, the baseline that a model must beat."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, get_args

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.sliding_window import (
    CLIPMultiScaleFeatureExtractor,
    CLIPWithProjectionMultiScale,
    Initialisation,
)
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.training.heads import seeded
from mswin_viz.model.weights.checkpoints import Addon


def untrained(model: Model, *, seed: int = 0) -> Model:
    """A copy whose towers hold initial weights, without an add-on or a neck; the model itself is left as it is.

    Layers are drawn as torch draws them, the CLS embedding, positions and projections as open_clip does.
    Input size, normalisation, and whether there is a text tower, stay.
    """
    clip = copy.deepcopy(model.clip).cpu()
    with seeded(seed), torch.no_grad():
        for module in clip.modules():
            _reset(module)
        _draw_bare_parameters(clip)
    clip, words = clip.to(model.device), f"untrained, seed {seed}"
    tower = dataclasses.replace(model.tower, clip=clip, weights=words, readout=None)
    return dataclasses.replace(model, tower=tower, addon=None, addon_origin="none: plain CLIP")


def with_untrained_addon(model: Model, init: str = "random", *, seed: int = 0) -> Model:
    """The same tower with an untrained add-on of the same form; the model itself is left as it is.

    ``init="random"`` draws every layer as torch does; ``"mean"`` takes window means and a zero shift, so that enhanced
    equals plain. OptionError if there is no add-on, or no such initialisation for its kind.
    """
    if init not in get_args(Initialisation):
        raise OptionError(f"init must be one of {', '.join(get_args(Initialisation))}: got {init!r}")
    if model.addon is None:
        raise OptionError("an untrained add-on copies the form of the model's: got a model without an add-on")
    if init == "mean":
        addon, origin = _window_means(model.addon), "untrained window mean, zero shift"
    else:
        addon, origin = copy.deepcopy(model.addon).cpu(), f"untrained, seed {seed}"
        with seeded(seed), torch.no_grad():
            for module in addon.modules():
                _reset(module)
    return dataclasses.replace(model, addon=addon.to(model.device), addon_origin=origin)


def _reset(module: nn.Module) -> None:
    """Draw a layer's weights as torch does; nothing where it has none of its own."""
    reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
    if callable(reset):
        reset()


def _window_means(addon: Addon) -> CLIPMultiScaleFeatureExtractor | CLIPWithProjectionMultiScale:
    if isinstance(addon, CLIPMultiScaleFeatureExtractor):
        mean = CLIPMultiScaleFeatureExtractor(addon.feat_dim, addon.scales, init="mean")
    elif isinstance(addon, CLIPWithProjectionMultiScale):
        wide = addon.windows.feat_dim
        mean = CLIPWithProjectionMultiScale(addon.feat_dim, wide, addon.scales, init="mean")
    else:
        raise OptionError(
            f"a {type(addon).__name__} has no window means with a zero shift; use init='random'"
        )
    return mean.eval().requires_grad_(False)


def _draw_bare_parameters(clip: Any) -> None:
    """Those that belong to a tower and to none of its layers; open_clip declares no types for them."""
    visual, width = clip.visual, clip.ln_final.normalized_shape[0]
    for parameter in (visual.class_embedding, visual.positional_embedding, visual.proj):
        nn.init.normal_(parameter, std=visual.conv1.out_channels**-0.5)
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    nn.init.normal_(clip.positional_embedding, std=0.01)
    nn.init.normal_(clip.text_projection, std=width**-0.5)
