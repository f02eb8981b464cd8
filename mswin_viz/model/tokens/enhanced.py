"""What an add-on makes of tokens: its vector added to the CLS token, or put behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

__all__ = ["enhanced", "shift", "with_shift"]


def enhanced(addon: nn.Module, tokens: Tokens) -> Tokens:
    """Tokens with the enhanced CLS; the patches stay as they are."""
    return with_shift(addon, tokens, shift(addon, tokens))


def shift(addon: nn.Module, tokens: Tokens) -> Float[torch.Tensor, "batch wide"]:
    """An add-on's vector; those that ask for them read the CLS tokens too."""
    return addon(tokens.patches, tokens.cls) if getattr(addon, "reads_cls", False) else addon(tokens.patches)


def with_shift(addon: nn.Module, tokens: Tokens, vector: Float[torch.Tensor, "batch wide"]) -> Tokens:
    """Tokens with an add-on's vector added to the CLS token, or behind it, as the add-on says."""
    if getattr(addon, "combine", "add") == "concatenate":
        return tokens.followed_by(vector)
    return replace(tokens, cls=tokens.plus(vector))
