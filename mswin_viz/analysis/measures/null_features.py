"""Enhanced CLS by add-ons that learned nothing: the baseline of a trained one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.shuffled_weights import shuffled
from mswin_viz.model.training.untrained import with_untrained_addon

if TYPE_CHECKING:
    from jaxtyping import Float

KINDS = ("shuffled", "random", "mean")
"""Trained weights, mixed up; weights as torch draws them; a shift of zero (enhanced = plain), as window means have it."""


def null_features(
    model: Model,
    tokens: Tokens | Iterable[Tokens],
    *,
    seeds: int = 5,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
) -> dict[str, Float[np.ndarray, "image _"]]:
    """Enhanced CLS of the same images by add-ons of the model's form that learned nothing.

    Parameters
    ----------
    model
        With an add-on, whose form the nulls have.
    tokens
        Of all images, or batch after batch (each is used once and released).
    seeds
        Add-ons of each random kind; they are all held in memory.
    seed
        The first of their seeds.
    kinds
        Some of ``"shuffled"``, ``"random"``, ``"mean"``.

    Returns
    -------
    enhanced
        Name of the null, such as ``"shuffled, seed 0"`` -> ``[n, D]`` float32, in the order of the tokens; as wide as
        the model's enhanced CLS, but ``"zero shift"``, which is the plain one.

    Raises
    ------
    OptionError
        If there is no such kind, no kind or no seed, or the model has no add-on.
    ShapeError
        If there are no tokens, or they hold NaN or infinity.

    Examples
    --------
    >>> nulls = mv.null_features(model, tokens, seeds=2, kinds=["shuffled", "mean"])
    >>> {name: features.shape for name, features in nulls.items()}
    {'shuffled, seed 0': (4, 512), 'shuffled, seed 1': (4, 512), 'zero shift': (4, 512)}
    """
    checked_model(model)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds or seeds < 1:
        raise OptionError(
            f"kinds are some of {', '.join(KINDS)}, and seeds at least 1: got {list(kinds)} and {seeds}"
        )
    models = _models(model, range(seed, seed + seeds), kinds)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in models}
    with torch.no_grad():
        for batch in tokens if isinstance(tokens, Iterable) else [tokens]:
            checked = checked_tokens(batch)
            for name, null in models.items():
                parts[name].append(null.enhance(checked).cls.cpu().numpy())
    if not next(iter(parts.values())):
        raise ShapeError("nulls need the tokens of at least one image: got no batch")
    return {name: np.concatenate(batches) for name, batches in parts.items()}


def _models(model: Model, seeds: range, kinds: Sequence[str]) -> dict[str, Model]:
    if model.addon is None:
        raise OptionError("nulls have the form of the model's add-on: got a model without an add-on")
    models = {}
    if "shuffled" in kinds:
        models |= {f"shuffled, seed {seed}": shuffled(model, "add-on", seed=seed) for seed in seeds}
    if "random" in kinds:
        models |= {f"untrained, seed {seed}": with_untrained_addon(model, seed=seed) for seed in seeds}
    if "mean" in kinds:
        models["zero shift"] = replace(model, addon=None)
    return models
