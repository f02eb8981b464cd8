"""What every function of this layer asks of the tokens it is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import ShapeError
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Bool


ADDON = ("an add-on is a torch module", "pass model.addon")
"""What an add-on is, and how to come by one, for messages."""


def checked_tokens(tokens: Any, addon: torch.nn.Module | None = None) -> Tokens:
    """The tokens of at least one image, finite, without a gradient, on the add-on's device."""
    if len(are_tokens(tokens)) == 0:
        raise ShapeError("tokens must be those of at least one image: got none")
    found = tokens.to(_device(tokens, addon))
    parts = {name: getattr(found, name).detach().contiguous() for name in ("cls", "patches")}
    for name, values in parts.items():
        if not torch.isfinite(values).all():
            bad = torch.nonzero(~torch.isfinite(values).flatten(1).all(dim=1)).flatten().tolist()
            raise ShapeError(
                f"tokens must be finite: got NaN or infinity in the {name} of {len(bad)} of {counted(len(tokens), 'images')}, the "
                f"first is image {bad[0]}, counted from 0; leave those images out"
            )
    return replace(found, **parts)


def finite_images(tokens: Tokens) -> Bool[torch.Tensor, " image"]:
    """Which images have tokens that are all finite."""
    return tokens.cls.isfinite().all(dim=1) & tokens.patches.isfinite().all(dim=2).all(dim=1)


def _device(tokens: Tokens, addon: torch.nn.Module | None) -> torch.device:
    if addon is None:
        return tokens.patches.device
    weight = next(of_kind(addon, torch.nn.Module, *ADDON).parameters(), None)
    return tokens.patches.device if weight is None else weight.device
