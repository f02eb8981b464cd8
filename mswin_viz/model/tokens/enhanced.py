"""What an add-on makes of tokens: its vector added to the CLS token, or put behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from mswin_viz.model.addon.own import Addon
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float


def enhanced(addon: nn.Module, tokens: Tokens) -> Tokens:
    """Tokens with the enhanced CLS; the patches stay as they are."""
    if not isinstance(addon, Addon):
        return replace(tokens, cls=tokens.plus(addon(tokens.patches)))
    vector = addon(tokens.patches, tokens.cls)
    return (
        tokens.followed_by(vector)
        if addon.combine == "concatenate"
        else replace(tokens, cls=tokens.plus(vector))
    )


def enhanced_width(addon: nn.Module | None, dim: int) -> int:
    """Width of the enhanced CLS: more than the CLS token's, ``dim``, where the add-on's vector stands behind it."""
    behind = addon.out_dim if isinstance(addon, Addon) and addon.combine == "concatenate" else 0
    return dim + (behind or 0)


def shift(plain: Tokens, enhanced: Tokens) -> Float[torch.Tensor, "batch wide"]:
    """What an add-on adds to the CLS token, or puts behind it, differentiable."""
    n_more = enhanced.cls.shape[1] - plain.cls.shape[1]
    return enhanced.cls - nn.functional.pad(plain.cls, (0, n_more))
