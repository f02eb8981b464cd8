"""How much each scale's expert counts in a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class GateWeights:
    """The weight of each scale's expert in a batch, ``values [B, n_scales]``.

    At least 0; a row adds up to one (with hard top-k routing to less).
    """

    scales: tuple[int, ...]
    values: Float[np.ndarray, "batch scale"]


def gate_weights(tokens: Tokens, addon: torch.nn.Module | None) -> GateWeights:
    """The weights that a mixture's gate gives its scales for each image of a batch.

    Raises OptionError if the add-on has no gate; ShapeError if there are no tokens, they are not as wide as the
    add-on's, or they hold NaN or infinity.
    """
    weights = None if addon is None else fusion_weights(addon)
    gate = None if weights is None else weights.run(tokens).gate
    if weights is None or gate is None or not gate.shape[1]:
        raise OptionError(
            f"only a MixtureOfExpertsAddon has a gate: got {'none' if addon is None else type(addon).__name__}"
        )
    return GateWeights(weights.scales, gate)
