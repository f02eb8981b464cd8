"""What a score rests on, by pixel, token or window: Captum behind one function.

What each number means, and what it does not:

- Values are signed and in units of the score, except for ``gradcam`` and the maps of attention.
- ``delta`` is what the values leave over of ``score - baseline_score``. Integrated gradients, Shapley values and the
  exact split are complete (delta near 0); gradient x input, SmoothGrad and ablations are not, and their delta says by how much.
- On the add-on and along a fixed direction, gradient x input of a token is its exact share
  (:func:`mswin_viz.analysis.shares.decomposition.decompose`), added up over scales. Integrated gradients is that only
  if no ReLU gate flips between the baseline and the input.
- ``exact_split`` goes down to the image's patches, or to tokens behind ``block=``; ``baseline_score`` is all other shares.
- A window here is a group of tokens: its value counts what those tokens give through *every* scale. For a window of
  one scale see :func:`decompose` (its share) and :func:`mswin_viz.analysis.shares.window_removal.remove_each_window`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import torch

from mswin_viz.analysis.attribution.attention import attention_map
from mswin_viz.analysis.attribution.exact_split import grouped, split_score
from mswin_viz.analysis.attribution.input_levels import InputLevel
from mswin_viz.analysis.attribution.methods import CAPTUM_METHODS, CaptumMethod, seeded_captum
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.relevance import score_scale
from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs, UnitValues, baseline_of, scored_inputs
from mswin_viz.analysis.attribution.settings import (
    AttributionOptions,
    RowCounter,
    Settings,
    rows_that_fit,
    settings_of,
)
from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    pass

_ATTENTION = ("attention_rollout", "legrad", "attention_relevance")
OF_IMAGES = (*_ATTENTION, "exact_split")
"""Methods that go through the tower: tokens of its output are not enough."""
METHOD_LABELS = {name: method.label for name, method in CAPTUM_METHODS.items()} | {
    "attention_rollout": "Attention rollout",
    "legrad": "LeGrad",
    "attention_relevance": "Attention relevance",
    "exact_split": "Exact split",
}
"""Method -> what menus, figures and tables call it."""
ATTRIBUTION_METHODS = tuple(METHOD_LABELS)
_REASONS = {
    (name, level): why for name, method in CAPTUM_METHODS.items() for level, why in method.not_of.items()
}
_REASONS["exact_split", "pixels"] = "a patch enters the tower as one vector; use tokens or windows"
for _level in ("pixels", "windows"):
    _REASONS |= {(m, _level): f"attention mixes patches, not {_level}; use tokens" for m in _ATTENTION}


def attribute(
    model: Model,
    inputs: ModelImages | Tokens,
    target: Target,
    *,
    method: str = "integrated_gradients",
    level: str = "pixels",
    **options: Unpack[AttributionOptions],
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
        ``"integrated_gradients"``, ``"gradient_x_input"``, ``"smoothgrad"``, ``"gradcam"``, ``"occlusion"``,
        ``"feature_ablation"``, ``"shapley"``, ``"attention_rollout"``, ``"legrad"``, ``"attention_relevance"`` or
        ``"exact_split"``; not every method has a map of every level.
    level
        ``"pixels"``; ``"tokens"``: patch tokens at the tower's output or behind ``block=``; ``"windows"``: the
        same, in runs of ``scale=`` tokens.
    **options
        ``scale``: tokens in a window. ``block``: take tokens behind this block, not at the output. ``baseline``: what absent
        means, ``"zero"``, ``"mean"`` or for pixels ``"blur"``. ``n_steps=50`` of integrated gradients; ``n_samples=25`` of
        SmoothGrad and Shapley values; ``noise=0.1`` of SmoothGrad, of an image's range; ``occluder``: side of the square, pixels;
        ``first_block=0`` that counts in attention relevance, -1 for the last alone;
        ``norm`` of a cosine: ``"frozen"``, ``"recomputed"`` or ``"auto"``. ``seed=0``; ``batch_rows``: rows in one pass, by
        memory; ``report``, ``stop``; ``progress=True``: show a bar.

    Returns
    -------
    attribution
        Signed values, ``[B, H, W]``, ``[B, N]`` or ``[B, n_windows]``.

    Raises
    ------
    OptionError
        If the method does not suit the level, or the score does not depend on the level at all.
    ScaleError, ShapeError
        If the scale does not fit the grid, or the target's vector the model.
    StoppedError
        If ``stop`` returned true.

    Examples
    --------
    >>> target, file = mv.Target.text("a person wearing a red top"), samples[0].images["RGB"]
    >>> split = mv.attribute(model, file, target, method="exact_split", level="tokens")
    >>> split.values.shape, bool(abs(split.delta[0]) < 1e-6)  # the shares add up to the score
    ((1, 128), True)
    >>> options = {"method": "feature_ablation", "level": "windows", "scale": 16}
    >>> mv.attribute(model, tokens, target, **options).values.shape
    (4, 8)
    """
    checked_model(model)
    settings = settings_of(options)
    if reason := refusal(method, level):
        raise OptionError(reason)
    started, target = time.perf_counter(), as_target(target).resolved(model)
    full = torch.autocast(model.device.type, enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), full:  # whatever mode the caller is in
        if method in _ATTENTION:
            attribution = _by_attention(model, inputs, target, method, settings)
        elif method == "exact_split":
            attribution = _by_split(model, inputs, target, InputLevel(level, settings.scale), settings)
        else:
            where = InputLevel(level, settings.scale, settings.block)
            attribution = _by_captum(model, inputs, _Call(target, method, where), settings)
    return replace(attribution, seconds=time.perf_counter() - started)


def refusal(method: str, level: str) -> str:
    """Why a method does not suit a level; empty where it does. Raises OptionError if there is no such method."""
    if method not in ATTRIBUTION_METHODS:
        raise OptionError(f"a method is one of {', '.join(ATTRIBUTION_METHODS)}: got {method!r}")
    reason = _REASONS.get((method, level))
    return f"{method} has no map of {level}: {reason}" if reason else ""


class _Call(NamedTuple):
    """What is attributed, how, and to what."""

    target: Target
    method: str
    level: InputLevel


class _Numbers(NamedTuple):
    """A method's numbers, as tensors."""

    values: torch.Tensor
    rest: torch.Tensor
    baseline_score: torch.Tensor
    delta: torch.Tensor


def _by_captum(model: Model, inputs: ModelImages | Tokens, call: _Call, settings: Settings) -> Attribution:
    method = CAPTUM_METHODS[call.method]
    frozen = settings.norm == "frozen" or (settings.norm == "auto" and not method.takes_away)
    scored = scored_inputs(model, inputs, call.target, call.level, frozen_norm=frozen)
    if "baseline" not in method.uses and settings.baseline != "zero":
        raise OptionError(f"{call.method} uses no baseline: got baseline={settings.baseline!r}; leave it out")
    counter = RowCounter(method.passes(scored, settings) * len(scored), settings)
    try:
        counted = replace(scored, score=counter.counted(scored.score))
        values, rest = _in_chunks(counted, method, model, settings)
    finally:
        counter.close()
    base = _baseline_score(scored, settings) if method.additive else torch.full_like(scored.value, torch.nan)
    delta = values.flatten(1).sum(dim=1) + rest - (scored.value - base)
    used = {key: getattr(settings, key) for key in method.uses}
    if call.target.kind == "cosine":
        used["norm"] = "frozen" if frozen else "recomputed"
    if call.level.name != "pixels":
        used["block"] = "output" if call.level.block is None else call.level.block
    return _record(model, call, scored, _Numbers(values, rest, base, delta), used)


def _in_chunks(scored: ScoredInputs, method: CaptumMethod, model: Model, settings: Settings) -> UnitValues:
    """Run a method on as many images at a time as fit."""
    rows = rows_that_fit(scored, model, settings)
    size = 1 if method.alone else min(rows, len(scored))
    parts = []
    for start in range(0, len(scored), size):
        with seeded_captum(model.device, settings.seed):
            parts.append(method.run(scored[start : start + size], settings, rows))
    values, rest = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return UnitValues(values.detach(), rest.detach())


def _baseline_score(scored: ScoredInputs, settings: Settings) -> torch.Tensor:
    with torch.no_grad():
        return scored.score(baseline_of(scored, settings.baseline), *scored.context)


def _by_attention(
    model: Model, inputs: ModelImages | Tokens, target: Target, name: str, settings: Settings
) -> Attribution:
    if isinstance(inputs, Tokens):
        raise OptionError(f"{name} reads the tower's attention: got tokens of its output; pass the images")
    if settings.block is not None:
        instead = ", or give first_block=" if name == "attention_relevance" else ""
        raise OptionError(
            f"{name} goes through all blocks: got block={settings.block}; leave it out{instead}"
        )
    scored = scored_inputs(model, inputs, target, InputLevel("pixels"))
    values = attention_map(name, model, scored, target, settings)
    none = torch.full_like(scored.value, torch.nan)
    numbers = _Numbers(values, torch.zeros_like(none), none, none)
    used = (
        {"norm": "recomputed"} if name != "attention_rollout" else {"target": "none: follows the plain CLS"}
    )
    if name == "attention_relevance":
        used |= {"first_block": settings.first_block, "score_scale": score_scale(model, target)}
    return _record(model, _Call(target, name, InputLevel("tokens")), scored, numbers, used)


def _by_split(
    model: Model, inputs: ModelImages | Tokens, target: Target, level: InputLevel, settings: Settings
) -> Attribution:
    split = split_score(model, inputs, target, settings)
    values, rest = grouped(split, level)
    block = "patches" if settings.block is None else settings.block
    used = {"baseline": settings.baseline, "norm": "frozen", "block": block, "left": ", ".join(split.left)}
    return Attribution(
        values=values,
        score=split.score,
        baseline_score=split.constants,
        rest=rest,
        delta=values.sum(axis=1) + rest - (split.score - split.constants),
        norm=split.norm,
        method="exact_split",
        level=level.name,
        target=f"{target.words}, {target.feature} CLS",
        grid=split.grid,
        geometry=level.geometry(split.grid),
        seconds=0.0,
        parameters=used | ({} if level.scale is None else {"scale": level.scale}),
        provenance=model.provenance,
    )


def _record(
    model: Model, call: _Call, scored: ScoredInputs, numbers: _Numbers, parameters: Mapping[str, Any]
) -> Attribution:
    return Attribution(
        **{name: float64(tensor) for name, tensor in numbers._asdict().items()},
        score=float64(scored.value),
        norm=float64(scored.norm),
        method=call.method,
        level=call.level.name,
        target=f"{call.target.words}, {call.target.feature} CLS",
        grid=scored.grid,
        geometry=scored.geometry,
        seconds=0.0,
        parameters=dict(parameters) | ({} if call.level.scale is None else {"scale": call.level.scale}),
        provenance=model.provenance,
    )
