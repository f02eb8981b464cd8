"""How much each scale's expert counts in a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.errors import OptionError
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["GateWeights", "gate_weights"]


@dataclass(frozen=True, eq=False)
class GateWeights:
    """The gate's weights of a batch.

    Attributes
    ----------
    scales
        Tokens in a window of each expert.
    values
        Weight of each scale's expert, ``[B, n_scales]``; at least 0, a row adds up to one (with hard top-k routing
        to less).
    """

    scales: tuple[int, ...]
    values: Float[np.ndarray, "batch scale"]


def gate_weights(tokens: Tokens, addon: torch.nn.Module | None) -> GateWeights:
    """The weights that a mixture's gate gives its scales for each image of a batch.

    Raises
    ------
    OptionError
        If the add-on has no gate.
    ShapeError
        If the tokens are not as wide as the add-on's, are none, or hold NaN or infinity.
    """
    if not isinstance(addon, MixtureOfExpertsAddon):
        raise OptionError(
            f"only a MixtureOfExpertsAddon has a gate: got {'none' if addon is None else type(addon).__name__}"
        )
    with torch.no_grad():
        patches = are_tokens(checked_tokens(tokens, addon), width=addon.feat_dim).patches
        values = addon.gate(patches.to(next(addon.parameters())))
    return GateWeights(addon.scales, values.double().cpu().numpy())
