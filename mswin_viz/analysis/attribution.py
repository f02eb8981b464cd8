"""Why a score is what it is, by pixel, token or window: Captum behind one function.

What each number means, and what it does not:

- Values are signed and in units of the score, except for ``gradcam``, ``attention_rollout`` and ``legrad``.
- ``delta`` is what the values leave over of ``score - baseline_score``. Integrated gradients and Shapley values
  are complete (delta near 0); gradient x input, SmoothGrad and ablations are not, and their delta says by how much.
- On the add-on and along a fixed direction, gradient x input of a token is its exact share
  (:func:`mswin_viz.analysis.decomposition.decompose`), added up over scales. Integrated gradients is that only
  if no ReLU gate flips between the baseline and the input.
- A window here is a group of tokens: its value counts what those tokens do through *every* scale. The share of
  a window of one scale, and its ablation, are :func:`decompose` and :func:`mswin_viz.analysis.ablation.ablations`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.analysis.attention import attention_rollout, legrad
from mswin_viz.analysis.attribution_methods import CAPTUM_METHODS, seeded_captum
from mswin_viz.analysis.attribution_settings import RowCounter, Settings, rows_that_fit, settings_of
from mswin_viz.analysis.attribution_target import Target, as_target
from mswin_viz.analysis.scored_inputs import Images, ScoredInputs, baseline_of, scored_inputs
from mswin_viz.analysis.windows import WindowGeometry
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.stages import n_blocks
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["METHODS", "Attribution", "attribute", "refusal"]

_ATTENTION = ("attention_rollout", "legrad")
METHODS = (*CAPTUM_METHODS, *_ATTENTION)
_REASONS = {
    ("occlusion", "tokens"): 'a token cannot be covered in part; use "feature_ablation"',
    ("occlusion", "windows"): 'a window is taken away whole; use "feature_ablation"',
    ("shapley", "pixels"): "pixels are too many to be taken away one by one in every order; use windows",
    ("shapley", "tokens"): "tokens are too many to be taken away one by one in every order; use windows",
    ("gradcam", "pixels"): "its map has one value for each patch of a block; use tokens, with block=",
    ("gradcam", "windows"): "it weights channels by their mean over all patches; use tokens",
    ("attention_rollout", "pixels"): "attention mixes patches, not pixels; use tokens",
    ("attention_rollout", "windows"): "attention mixes patches, not windows; use tokens",
    ("legrad", "pixels"): "attention mixes patches, not pixels; use tokens",
    ("legrad", "windows"): "attention mixes patches, not windows; use tokens",
}


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each pixel, token or window has to do with a score.

    Attributes
    ----------
    values
        Signed; ``[B, H, W]`` for pixels (channels added up), ``[B, N]`` for tokens, ``[B, n_windows]``.
    score, baseline_score
        The score of each image, and of its baseline (NaN where the method has none), ``[B]``.
    rest
        What falls on tokens that no window covers, ``[B]``.
    delta
        ``values + rest - (score - baseline_score)``, added up, ``[B]``; NaN where values are not meant to add up.
    norm
        Length of the target's feature at the inputs, ``[B]``; frozen or recomputed as ``parameters`` say.
    method, level, target
        What was asked for; the target in words, with its feature.
    grid, geometry
        Rows and columns of patches; the windows at the window level, else None.
    seconds
        What it took.
    parameters
        Settings that the result depends on.
    provenance
        Which weights, input and normalisation.
    """

    values: Float[np.ndarray, "batch ..."]
    score: Float[np.ndarray, " batch"]
    baseline_score: Float[np.ndarray, " batch"]
    rest: Float[np.ndarray, " batch"]
    delta: Float[np.ndarray, " batch"]
    norm: Float[np.ndarray, " batch"]
    method: str
    level: str
    target: str
    grid: tuple[int, int]
    geometry: WindowGeometry | None
    seconds: float
    parameters: Mapping[str, Any]
    provenance: str

    def on_patches(self) -> Float[np.ndarray, "batch token"]:
        """One value for each patch: pixels added up, a window's value spread evenly over its tokens."""
        batch, (rows, cols) = len(self.values), self.grid
        if self.level == "pixels":
            sides = self.values.shape[1:]
            starts = [-(-np.arange(n) * side // n) for n, side in zip(self.grid, sides, strict=True)]
            summed = np.add.reduceat(np.add.reduceat(self.values, starts[0], axis=1), starts[1], axis=2)
            return summed.reshape(batch, -1)
        if self.geometry is None:
            return self.values
        spread = np.zeros((batch, rows * cols))
        for window, tokens in enumerate(self.geometry.tokens):
            spread[:, tokens] = self.values[:, [window]] / len(tokens)
        return spread


def attribute(
    model: Model,
    inputs: Images | Tokens,
    target: Target,
    *,
    method: str = "integrated_gradients",
    level: str = "pixels",
    scale: int | None = None,
    **settings: Any,
) -> Attribution:
    """Attribute a target's score to pixels, patch tokens or windows.

    Runs in float32 and evaluation mode, batched as memory allows, the same for the same seed.

    Parameters
    ----------
    model
        The CLIP and its add-on.
    inputs
        Images; or ``Tokens`` for tokens and windows at the tower's output, where the backbone then does not run.
    target
        What is explained, for the plain or the enhanced CLS.
    method
        One of ``METHODS``.
    level
        ``"pixels"``; ``"tokens"``: patch tokens at the tower's output or behind ``block=``; ``"windows"``: the
        same, in runs of ``scale`` tokens.
    scale
        Tokens in a window, 1..N.
    **settings
        Fields of :class:`mswin_viz.analysis.attribution_settings.Settings`: ``block``, ``baseline``,
        ``n_steps``, ``n_samples``, ``noise``, ``occluder``, ``norm``, ``seed``, ``batch_rows``, ``report``,
        ``stop``, ``progress``.

    Raises
    ------
    OptionError
        If the method does not suit the level, or the score does not depend on the level at all.
    ScaleError, ShapeError
        If the scale does not fit the grid, or the target's vector not the model.
    StoppedError
        If ``stop`` said so.
    """
    chosen = settings_of(settings)
    if reason := refusal(method, level):
        raise OptionError(reason)
    started, target = time.perf_counter(), as_target(target).resolved(model)
    with torch.inference_mode(False), torch.enable_grad():  # wherever the caller stands
        if method in _ATTENTION:
            found = _of_attention(model, inputs, target, method, chosen)
        else:
            found = _of_captum(model, inputs, target, (method, level, scale), chosen)
    return replace(found, seconds=time.perf_counter() - started)


def refusal(method: str, level: str) -> str:
    """Why a method does not suit a level; empty where it does.

    Raises
    ------
    OptionError
        If there is no such method.
    """
    if method not in METHODS:
        raise OptionError(f"a method is one of {', '.join(METHODS)}: got {method!r}")
    reason = _REASONS.get((method, level))
    return f"{method} has no map of {level}: {reason}" if reason else ""


def _of_captum(
    model: Model,
    inputs: Images | Tokens,
    target: Target,
    asked: tuple[str, str, int | None],
    settings: Settings,
) -> Attribution:
    name, level, scale = asked
    method = CAPTUM_METHODS[name]
    frozen = settings.norm == "frozen" or (settings.norm == "auto" and not method.takes_away)
    scored = scored_inputs(
        model, inputs, target, level=level, scale=scale, block=settings.block, frozen_norm=frozen
    )
    if "baseline" not in method.uses and settings.baseline != "zero":
        raise OptionError(f"{name} starts from no baseline: got {settings.baseline!r}; leave it out")
    progress = RowCounter(method.passes(scored, settings) * len(scored), settings)
    try:
        values, rest = _in_chunks(
            replace(scored, score=progress.counted(scored.score)), name, model, settings
        )
    finally:
        progress.close()
    base = _baseline_score(scored, settings) if method.additive else torch.full_like(scored.value, torch.nan)
    delta = values.flatten(1).sum(dim=1) + rest - (scored.value - base)
    used = {key: getattr(settings, key) for key in method.uses}
    if target.kind == "cosine":
        used["norm"] = "frozen" if frozen else "recomputed"
    if level != "pixels":
        used["block"] = "output" if settings.block is None else settings.block
    return _record(model, target, asked, scored, (values, rest, base, delta), used)


def _in_chunks(
    scored: ScoredInputs, name: str, model: Model, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a method on as many images at a time as fit."""
    method, rows = CAPTUM_METHODS[name], rows_that_fit(scored, model, settings)
    size = 1 if method.alone else min(rows, len(scored))
    parts = []
    for start in range(0, len(scored), size):
        with seeded_captum(model.device, settings.seed):
            parts.append(method.run(scored[start : start + size], settings, rows))
    values, rest = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return values.detach(), rest.detach()


def _baseline_score(scored: ScoredInputs, settings: Settings) -> torch.Tensor:
    with torch.no_grad():
        return scored.score(baseline_of(scored, settings.baseline), *scored.context)


def _of_attention(
    model: Model, inputs: Images | Tokens, target: Target, name: str, settings: Settings
) -> Attribution:
    if isinstance(inputs, Tokens):
        raise OptionError(f"{name} reads the tower's attention: got tokens of its output; pass the images")
    if settings.block is not None:
        raise OptionError(f"{name} goes through all blocks: got block={settings.block}; leave it out")
    scored = scored_inputs(model, inputs, target, level="pixels")
    progress = RowCounter(len(scored) * n_blocks(model), settings)
    rows = rows_that_fit(scored, model, settings)
    parts = []
    try:
        for start in range(0, len(scored), rows):
            chunk, part = scored[start : start + rows], target.of_images(slice(start, start + rows))
            given = chunk.context[:-2]  # behind it direction and norm
            parts.append(
                attention_rollout(model, chunk.inputs, progress, given)
                if name == "attention_rollout"
                else legrad(model, chunk.inputs, part, progress, given)
            )
    finally:
        progress.close()
    values, none = torch.cat(parts), torch.full_like(scored.value, torch.nan)
    used = (
        {"target": "none: follows the plain CLS"} if name == "attention_rollout" else {"norm": "recomputed"}
    )
    return _record(
        model, target, (name, "tokens", None), scored, (values, torch.zeros_like(none), none, none), used
    )


def _record(
    model: Model,
    target: Target,
    asked: tuple[str, str, int | None],
    scored: ScoredInputs,
    numbers: tuple[torch.Tensor, ...],
    parameters: Mapping[str, Any],
) -> Attribution:
    method, level, scale = asked
    values, rest, base, delta = (tensor.double().cpu().numpy() for tensor in numbers)
    return Attribution(
        values=values,
        score=scored.value.double().cpu().numpy(),
        baseline_score=base,
        rest=rest,
        delta=delta,
        norm=scored.norm.double().cpu().numpy(),
        method=method,
        level=level,
        target=f"{target.words}, {target.feature} CLS",
        grid=scored.grid,
        geometry=scored.geometry,
        seconds=0.0,
        parameters=dict(parameters) | ({"scale": scale} if scale is not None else {}),
        provenance=model.provenance,
    )
