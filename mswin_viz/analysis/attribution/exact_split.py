"""Exact shares of the input's patches, or of the tokens behind a block, with everything that is not linear held."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mswin_viz.analysis.attribution.input_levels import InputLevel, check_target
from mswin_viz.analysis.attribution.settings import RowCounter, Settings
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.analysis.shares.cls_split import ClsSplit, SplitPlan, split_batch
from mswin_viz.analysis.shares.exact_tower import exact_batches, joined
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.tokens import Tokens


class SplitUnits(NamedTuple):
    """Shares of tokens or windows, and of the tokens that no window covers."""

    values: np.ndarray
    rest: np.ndarray


def split_score(model: Model, inputs: ModelImages | Tokens, target: Target, settings: Settings) -> ClsSplit:
    """A target's score, split through the whole tower, and the add-on where the target has it; a cosine's norm held.

    A norm is split along the feature's own direction. Raises OptionError for tokens of the tower's output, a norm that
    is to be computed again, or a target that the model does not have.
    """
    if isinstance(inputs, Tokens):
        raise OptionError(
            "exact_split goes back to the image's patches: got tokens of the tower's output; pass the images"
        )
    if settings.norm == "recomputed":
        raise OptionError('exact_split holds the norm of a cosine: got norm="recomputed"; leave it out')
    check_target(model, target, InputLevel("pixels"))
    opened = model.opened(inputs)
    is_norm = target.kind in ("norm", "shift")
    feature = "shift" if target.kind == "shift" else target.feature
    plan = SplitPlan(feature, settings.baseline, settings.block, is_norm)
    how = {"feature": feature, "at_once": settings.batch_rows or 8}
    counter, parts = RowCounter(len(opened), settings), []
    try:
        for batch in exact_batches(model, opened, target.directions(model, len(opened)), tags=None, **how):
            parts.append(split_batch(batch, plan))
            counter(len(batch.pixels))
    finally:
        counter.close()
    split = joined(parts)
    return split.cosine() if target.kind == "cosine" else split


def grouped(split: ClsSplit, level: InputLevel) -> SplitUnits:
    """The shares of patches, or of windows of them."""
    geometry = level.geometry(split.grid)
    if geometry is None:
        return SplitUnits(split.patches, np.zeros(len(split.patches)))
    return SplitUnits(
        split.patches[:, geometry.tokens].sum(axis=2), split.patches[:, geometry.dropped].sum(axis=1)
    )
