"""What an add-on makes of tokens: its vector added to the CLS token, or put behind it."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from mswin_viz.model.addon.own import Addon
from mswin_viz.model.tokens.tokens import Tokens


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
