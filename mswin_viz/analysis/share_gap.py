"""Where exact shares, integrated gradients and true ablation part: gates that flip on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.ablation import ablations
from mswin_viz.analysis.attribution import Attribution, attribute
from mswin_viz.analysis.attribution_target import Target, as_target
from mswin_viz.analysis.decomposition import decompose_fusion
from mswin_viz.analysis.fusion import FusionWeights, fusion_weights
from mswin_viz.analysis.windows import WindowGeometry
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["ShareGap", "exact_shares", "share_gap"]


@dataclass(frozen=True, eq=False)
class ShareGap:
    """Windows of one trained scale, by three accounts of the same score; for each image of a batch.

    Attributes
    ----------
    scale, geometry
        Which windows.
    shares, integrated
        What the tokens of each window do through every scale, ``[B, n_windows]``: their exact share, gates
        frozen as they stand; and integrated gradients from tokens of zero, gates flipping on the way.
    own_share, removal, removal_norm_kept
        What each window does through the kernel of its own scale: its exact share; how much the score falls when
        its term is taken away, a cosine's norm recomputed; and the same with the norm kept as it was, which
        differs from the share by flipped gates only.
    flipped
        How many gates flip when it is taken away.
    cls, bias, score
        The CLS share, the share of all biases, and the score, ``[B]``; in the units of the target.
    flipped_on_path
        How many gates differ between tokens of zero and the input, ``[B]``.
    """

    scale: int
    geometry: WindowGeometry
    shares: Float[np.ndarray, "batch window"]
    integrated: Float[np.ndarray, "batch window"]
    own_share: Float[np.ndarray, "batch window"]
    removal: Float[np.ndarray, "batch window"]
    removal_norm_kept: Float[np.ndarray, "batch window"]
    flipped: Int[np.ndarray, "batch window"]
    cls: Float[np.ndarray, " batch"]
    bias: Float[np.ndarray, " batch"]
    score: Float[np.ndarray, " batch"]
    flipped_on_path: Int[np.ndarray, " batch"]


def exact_shares(model: Model, tokens: Tokens, target: Target, scale: int) -> Attribution:
    """Exact shares of the windows of one trained scale, through its own kernel, to stand beside attributions.

    Raises
    ------
    OptionError
        As :func:`share_gap`.
    """
    started = time.perf_counter()
    weights, slot = _checked(model, target, scale)
    parts = decompose_fusion(tokens, weights, target.directions(model, len(tokens)))
    norm, none = parts.norm, np.full(len(tokens), np.nan)
    parts = parts.cosine() if target.kind == "cosine" else parts
    return Attribution(
        values=parts.slots[slot].windows,
        score=parts.score,
        baseline_score=none,
        rest=np.zeros(len(tokens)),
        delta=none,
        norm=norm,
        method="exact_share",
        level="windows",
        target=f"{target.words}, {target.feature} CLS",
        grid=tokens.grid,
        geometry=parts.slots[slot].geometry,
        seconds=time.perf_counter() - started,
        parameters={"scale": scale, "kernel": "of this scale only"},
        provenance=model.provenance,
    )


@torch.inference_mode(False)  # a model or tokens copied in inference mode would have no gradients
def share_gap(model: Model, tokens: Tokens, target: Target, scale: int, *, n_steps: int = 50) -> ShareGap:
    """Hold exact shares beside integrated gradients and ablation.

    Parameters
    ----------
    tokens
        Tokens of a batch, of the tower's output.
    target
        A direction or a cosine, of the enhanced CLS.
    scale
        One of the add-on's scales.
    n_steps
        Of integrated gradients.

    Raises
    ------
    OptionError
        If the target is no direction, the add-on not of scheme 1, or the scale not one of its own.
    """
    weights, slot = _checked(model, target, scale)
    directions = target.directions(model, len(tokens))
    parts = decompose_fusion(tokens, weights, directions)
    empty = replace(tokens, patches=tokens.patches * 0)
    unlit = decompose_fusion(empty, weights, directions).gates
    without = ablations(tokens, weights, directions, slot)
    cosine = target.kind == "cosine"
    length = parts.norm[:, None] if cosine else 1.0  # directions of cosines are of unit length
    parts = parts.cosine() if cosine else parts
    geometry = parts.slots[slot].geometry
    integrated = attribute(model, tokens, target, level="windows", scale=geometry.scale, n_steps=n_steps)
    return ShareGap(
        scale,
        geometry,
        sum(parts.tokens.values())[:, geometry.tokens].sum(axis=2),
        integrated.values,
        parts.slots[slot].windows,
        -(without.cosine_change if cosine else without.change),
        -without.change / length,
        without.flipped,
        parts.cls,
        parts.bias,
        parts.score,
        (parts.gates != unlit).sum(axis=1),
    )


def _checked(model: Model, target: Target, scale: int) -> tuple[FusionWeights, int]:
    """The add-on's weights, and which of its slots the scale is."""
    target = as_target(target)
    if target.kind not in ("direction", "cosine") or target.feature != "enhanced":
        raise OptionError(
            f"shares are of a direction or cosine of the enhanced CLS: got {target.words}, {target.feature} CLS"
        )
    weights = fusion_weights(model.addon)
    if scale not in weights.scales:
        raise OptionError(f"a trained window has one of the scales {weights.scales}: got {scale}")
    return weights, weights.scales.index(scale)
