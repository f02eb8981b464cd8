"""Does a map notice that the model is no longer the trained one?

A map that looks the same after the weights are shuffled does not explain the model (Adebayo et al. 2018, "Sanity
Checks for Saliency Maps").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import rankdata

from mswin_viz.analysis.attribution.attribute import attribute
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.training.shuffled_weights import PARTS, shuffled

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Randomisation:
    """Maps of the trained model against those of shuffled ones, each by its name, and by ``(name, part)`` if shuffled.

    ``correlations`` are Spearman's rank correlations of the two maps, ``[B]``, -1..1; NaN for a constant map.
    """

    original: Mapping[str, Attribution]
    shuffled: Mapping[tuple[str, str], Attribution]
    correlations: Mapping[tuple[str, str], Float[np.ndarray, " batch"]]

    @property
    def parts(self) -> tuple[str, ...]:
        """What was shuffled."""
        return tuple(dict.fromkeys(part for _, part in self.correlations))


@torch.inference_mode(False)  # a model or tokens copied in inference mode would have no gradients
def randomisation_check(
    model: Model,
    images: ModelImages,
    target: Target,
    maps: Mapping[str, Mapping[str, Any]],
    *,
    seed: int = 0,
    original: Mapping[str, Attribution] | None = None,
) -> Randomisation:
    """Attribute again with the add-on, the CLIP, and both shuffled; the target's direction stays the same.

    Parameters
    ----------
    model, images, target
        As in :func:`attribute`; the images themselves, since a shuffled CLIP gives other tokens.
    maps
        Name -> keyword arguments of :func:`attribute`.
    seed
        Of the shuffles.
    original
        The trained model's attributions, if they are at hand.

    Returns
    -------
    check
        Maps of the trained and the shuffled models, and Spearman's rank correlation of each pair, ``[B]``, -1..1.

    Raises
    ------
    OptionError
        If ``maps`` is empty.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> maps = {"IG": {"method": "integrated_gradients", "level": "tokens", "n_steps": 4}}
    >>> check = mv.randomisation_check(model, samples[0].images["RGB"], target, maps)
    >>> check.parts, check.correlations["IG", "CLIP"].shape
    (('add-on', 'CLIP', 'both'), (1,))
    >>> bool(abs(check.correlations["IG", "both"][0]) < 0.5)  # nothing of the map is left
    True
    """
    checked_model(model)
    of_kind(maps, Mapping, "maps must be a dictionary of options by name", 'for example {"IG": {}}')
    if not maps:
        raise OptionError('there must be at least one map to check: got none; for example {"IG": {}}')
    target, opened = as_target(target).resolved(model), model.opened(images)
    if original is None:
        original = {name: attribute(model, opened, target, **options) for name, options in maps.items()}
    parts = PARTS if model.addon is not None else ("CLIP",)
    others = {part: shuffled(model, part, seed=seed) for part in parts}
    attributions = {
        (name, part): attribute(others[part], opened, target, **options)
        for name, options in maps.items()
        for part in parts
    }
    correlations = {
        (name, part): rank_correlation(original[name].values, other.values)
        for (name, part), other in attributions.items()
    }
    return Randomisation(original=dict(original), shuffled=attributions, correlations=correlations)


def rank_correlation(
    a: Float[np.ndarray, "batch ..."], b: Float[np.ndarray, "batch ..."]
) -> Float[np.ndarray, " batch"]:
    """Spearman's rank correlation of each image's two maps; NaN where one is constant."""
    ranks = [rankdata(values.reshape(len(values), -1), axis=1) for values in (a, b)]
    first, second = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.divide((first * second).sum(axis=1), lengths, out=np.full(len(a), np.nan), where=lengths > 0)
