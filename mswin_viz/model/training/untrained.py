"""The same architecture with untrained weights, the baseline that a model must beat."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.parts import TwoLayers, addon_words, window_parts
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor, Initialisation
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.training.heads import seeded


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

    ``init="random"`` draws every layer by its ``reset_parameters``, as torch does, those inside a module before its
    own; ``"mean"`` takes window means and a zero shift, so that enhanced equals plain. OptionError if there is no add-on,
    no such initialisation for its kind, or a layer with parameters has no ``reset_parameters`` and would stay trained.
    """
    if init not in get_args(Initialisation):
        raise OptionError(f"init must be one of {', '.join(get_args(Initialisation))}: got {init!r}")
    if model.addon is None:
        raise OptionError("an untrained add-on copies the form of the model's: got a model without an add-on")
    if init == "mean":
        addon, origin = _window_means(model.addon), "untrained window mean, zero shift"
    else:
        addon, origin = copy.deepcopy(model.addon).cpu(), f"untrained, seed {seed}"
        _check_resettable(addon)
        with seeded(seed), torch.no_grad():
            _reset_inside_out(addon)
    return dataclasses.replace(model, addon=addon.to(model.device), addon_origin=origin)


def _reset(module: nn.Module) -> None:
    """Draw a layer's weights as torch does; nothing where it has none of its own."""
    reset = _drawing(module)
    if reset is not None:
        reset()


def _drawing(module: nn.Module) -> Callable[[], object] | None:
    reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
    return reset if callable(reset) else None


def _reset_inside_out(module: nn.Module) -> None:
    """Layers before the module that holds them, which may draw some of theirs in its own way."""
    for child in module.children():
        _reset_inside_out(child)
    _reset(module)


def _check_resettable(addon: nn.Module) -> None:
    """Refuse to call an add-on untrained of which some parameters would keep their trained values."""
    drawn: set[int] = set()
    for module in addon.modules():
        if _drawing(module) is not None:
            drawn |= {id(weight) for weight in module.parameters(recurse=False)}
    kept = [name for name, weight in addon.named_parameters() if id(weight) not in drawn]
    if kept:
        more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
        raise OptionError(
            f"every layer of an untrained add-on is drawn by its reset_parameters(): {', '.join(kept[:3])}{more} of "
            f"{addon_words(addon)} would keep trained values; give the class that holds them such a method"
        )


def _window_means(addon: nn.Module) -> CLIPMultiScaleFeatureExtractor | CLIPWithProjectionMultiScale:
    parts = window_parts(addon)
    if parts is None or not isinstance(parts.fusion, TwoLayers):
        raise OptionError(f"{addon_words(addon)}: no window means with a zero shift exist; use init='random'")
    if parts.projection is None:
        mean = CLIPMultiScaleFeatureExtractor(parts.windows.feat_dim, parts.windows.scales, init="mean")
    else:
        first: Any = parts.projection[0]
        wide = parts.windows.feat_dim
        mean = CLIPWithProjectionMultiScale(first.in_features, wide, parts.windows.scales, init="mean")
    return mean.eval().requires_grad_(False)


def _draw_bare_parameters(clip: Any) -> None:
    """Those that belong to a tower and to none of its layers; open_clip declares no types for them."""
    visual, width = clip.visual, clip.ln_final.normalized_shape[0]
    for parameter in (visual.class_embedding, visual.positional_embedding, visual.proj):
        nn.init.normal_(parameter, std=visual.conv1.out_channels**-0.5)
    nn.init.normal_(clip.token_embedding.weight, std=0.02)
    nn.init.normal_(clip.positional_embedding, std=0.01)
    nn.init.normal_(clip.text_projection, std=width**-0.5)
