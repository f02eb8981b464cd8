"""What an add-on makes of tokens: its vector added to the CLS token, or put behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float


def enhanced(addon: nn.Module, tokens: Tokens) -> Tokens:
    """Tokens with the enhanced CLS; the patches stay as they are."""
    return with_vector(addon, tokens, addon_vector(addon, tokens.patches, tokens.cls))


def addon_vector(
    addon: nn.Module,
    patches: Float[torch.Tensor, "batch token dim"],
    cls: Float[torch.Tensor, "batch dim"],
) -> Float[torch.Tensor, "batch wide"]:
    """An add-on's vector; those that ask for them read the CLS tokens too."""
    return addon(patches, cls) if getattr(addon, "reads_cls", False) else addon(patches)


def is_concatenated(addon: nn.Module) -> bool:
    """Whether its vector stands behind the CLS token, and is not added to it."""
    return getattr(addon, "combine", "add") == "concatenate"


def with_vector(addon: nn.Module, tokens: Tokens, vector: Float[torch.Tensor, "batch wide"]) -> Tokens:
    """Tokens with an add-on's vector added to the CLS token, or behind it, as the add-on says."""
    return tokens.followed_by(vector) if is_concatenated(addon) else replace(tokens, cls=tokens.plus(vector))


def enhanced_width(addon: nn.Module | None, dim: int) -> int:
    """Width of the enhanced CLS: more than the CLS token's, ``dim``, where the add-on's vector stands behind it."""
    return dim + getattr(addon, "n_behind", 0)


def shift(plain: Tokens, enhanced: Tokens) -> Float[torch.Tensor, "batch wide"]:
    """What an add-on adds to the CLS token, or puts behind it, differentiable."""
    n_more = enhanced.cls.shape[1] - plain.cls.shape[1]
    return enhanced.cls - nn.functional.pad(plain.cls, (0, n_more))
