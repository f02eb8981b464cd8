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
    """The weight of each scale's expert in a batch.

    Attributes
    ----------
    scales
        Window scale of each expert.
    values
        ``[B, n_scales]``, at least 0; a row adds up to one (with hard top-k routing to less).

    Examples
    --------
    >>> mixture = mv.MixtureOfExpertsAddon(512, (4, 8, 16), hidden_dim=64).eval()
    >>> gate = mv.gate_weights(tokens, mixture)
    >>> gate.scales, gate.values.shape, gate.values.sum(axis=1).round(6).tolist()
    ((4, 8, 16), (4, 3), [1.0, 1.0, 1.0, 1.0])
    """

    scales: tuple[int, ...]
    values: Float[np.ndarray, "batch scale"]


def gate_weights(tokens: Tokens, addon: torch.nn.Module | None) -> GateWeights:
    """The weights that a mixture's gate gives its scales for each image of a batch.

    Parameters
    ----------
    tokens
        Of a batch of images.
    addon
        A :class:`MixtureOfExpertsAddon`.

    Returns
    -------
    gate
        Weights ``[B, n_scales]``, float64.

    Raises
    ------
    OptionError
        If the add-on has no gate.
    ShapeError
        If there are no tokens, they are not as wide as the add-on's, or they hold NaN or infinity.

    Examples
    --------
    >>> mixture = mv.MixtureOfExpertsAddon(512, (4, 8), hidden_dim=64, temperature=0.1).eval()
    >>> mv.gate_weights(tokens, mixture).values.shape
    (4, 2)
    >>> mv.gate_weights(tokens, model.addon)
    Traceback (most recent call last):
        ...
    mswin_viz.errors.OptionError: only a MixtureOfExpertsAddon has a gate: got CLIPMultiScaleFeatureExtractor
    """
    weights = None if addon is None else fusion_weights(addon)
    gate = None if weights is None else weights.run(tokens).gate
    if weights is None or gate is None or not gate.shape[1]:
        raise OptionError(
            f"only a MixtureOfExpertsAddon has a gate: got {'none' if addon is None else type(addon).__name__}"
        )
    return GateWeights(weights.scales, gate)
