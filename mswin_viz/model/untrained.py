"""The same architecture with weights nobody trained: what a model must be better than."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import seeded
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPWithProjectionMultiScale

__all__ = ["INITIALISATIONS", "untrained", "with_untrained_addon"]

INITIALISATIONS = ("random", "mean")
"""Torch's own initial weights; or plain window means whose shift is zero."""


def untrained(model: Model, *, seed: int = 0) -> Model:
    """A copy whose towers hold initial weights, without an add-on or a neck; the model itself is left as it is.

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
    clip, words = clip.to(model.device), f"untrained, seed {seed}"
    tower = dataclasses.replace(model.tower, clip=clip, weights=words, readout=None)
    return dataclasses.replace(model, tower=tower, addon=None, addon_origin="none: plain CLIP")


def with_untrained_addon(model: Model, init: str = "random", *, seed: int = 0) -> Model:
    """The same tower with an add-on of the same form that nobody trained; the model itself is left as it is.

    Parameters
    ----------
    init
        ``"random"``: every layer as torch draws it. ``"mean"``: window means and a zero shift, so that enhanced
        equals plain.
    seed
        Of the random weights.

    Raises
    ------
    OptionError
        If there is no add-on, no such initialisation, or none of window means for this kind of add-on.
    """
    if init not in INITIALISATIONS:
        raise OptionError(f"an untrained add-on is one of {', '.join(INITIALISATIONS)}: got {init!r}")
    if model.addon is None:
        raise OptionError("an untrained add-on takes the form of the model's own: got a model without one")
    if init == "mean":
        return Model(
            model.tower,
            _window_means(model),
            "untrained window mean, zero shift",
            model.device,
            model.precision,
        )
    addon = copy.deepcopy(model.addon).cpu()
    with seeded(seed), torch.no_grad():
        for module in addon.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return Model(
        model.tower, addon.to(model.device), f"untrained, seed {seed}", model.device, model.precision
    )


def _window_means(model: Model) -> nn.Module:
    addon = model.addon
    if isinstance(addon, CLIPMultiScaleFeatureExtractor):
        mean = CLIPMultiScaleFeatureExtractor(addon.feat_dim, addon.scales, init="mean")
    elif isinstance(addon, CLIPWithProjectionMultiScale):
        wide = addon.windows.feat_dim
        mean = CLIPWithProjectionMultiScale(addon.feat_dim, wide, addon.scales, init="mean")
    else:
        raise OptionError(
            f"there is no window mean with a zero shift of a {type(addon).__name__}; ask for 'random' only"
        )
    return mean.eval().requires_grad_(False).to(model.device)


def _draw_bare_parameters(clip: nn.Module) -> None:
    """Those that belong to a tower and to no layer of it."""
    visual, width = clip.visual, clip.ln_final.normalized_shape[0]
    for parameter in (visual.class_embedding, visual.positional_embedding, visual.proj):
        nn.init.normal_(parameter, std=visual.conv1.out_channels**-0.5)
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    nn.init.normal_(clip.positional_embedding, std=0.01)
    nn.init.normal_(clip.text_projection, std=width**-0.5)
