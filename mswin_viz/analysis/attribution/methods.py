"""Captum's methods, each on a score as a function of its inputs; all values signed, in units of the score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from captum.attr import (
    FeatureAblation,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValueSampling,
)

from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs, UnitValues, baseline_of
from mswin_viz.analysis.attribution.settings import Settings
from mswin_viz.errors import OptionError


@dataclass(frozen=True)
class CaptumMethod:
    """A method: its ``label`` in menus, figures and tables, ``run(scored, settings, rows)``, and how it is run.

    ``passes`` counts how often each image goes through the score; ``uses`` names the settings that change its result.
    If it ``takes_away`` things, a cosine's norm is recomputed; else it follows gradients. Values of an ``additive``
    one and the baseline's score are meant to add up to the score. Images go through it ``alone`` so that its random
    numbers do not depend on the batch. ``not_of`` says of which levels it has no map, and why.
    """

    label: str
    run: Callable[[ScoredInputs, Settings, int], UnitValues]
    passes: Callable[[ScoredInputs, Settings], int]
    uses: tuple[str, ...]
    takes_away: bool = False
    additive: bool = True
    alone: bool = False
    not_of: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def seeded_captum(device: torch.device, seed: int) -> Iterator[None]:
    """A context in which Captum draws from ``seed``; the caller's random numbers go on as if nothing had been."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _integrated_gradients(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    each = IntegratedGradients(scored.score).attribute(
        scored.inputs,
        baselines=baseline_of(scored, settings.baseline),
        additional_forward_args=scored.context,
        n_steps=settings.n_steps,
        internal_batch_size=max(rows, len(scored)),
    )
    return scored.summed(each)


def _gradient_x_input(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    each = InputXGradient(scored.score).attribute(_leaf(scored), additional_forward_args=scored.context)
    return scored.summed(_one(each).detach())


def _smoothgrad(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    """The gradient's mean over noisy copies, times the input: tends to gradient x input as the noise goes."""
    spread = float(scored.inputs.max() - scored.inputs.min())
    gradient = NoiseTunnel(Saliency(scored.score)).attribute(
        _leaf(scored),
        nt_type="smoothgrad",
        nt_samples=settings.n_samples,
        nt_samples_batch_size=max(1, min(rows // len(scored), settings.n_samples)),
        stdevs=settings.noise * spread,
        abs=False,
        additional_forward_args=scored.context,
    )
    return scored.summed(_one(gradient).detach() * scored.inputs)


def _occlusion(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    """How much the score falls when a square covers a pixel, averaged over the squares that cover it."""
    side, channels = _occluder(scored, settings), scored.inputs.shape[1]
    step = max(1, side // 2)
    shape = {"sliding_window_shapes": (channels, side, side), "strides": (channels, step, step)}
    needed = _n_occluders(scored, settings)
    each = _without(Occlusion(scored.score), scored, settings, _at_once(scored, rows, needed), **shape)
    return scored.summed(each / channels)


def _feature_ablation(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    at_once = _at_once(scored, rows, scored.n_groups)
    each = _without(FeatureAblation(scored.score), scored, settings, at_once, feature_mask=scored.groups)
    return scored.summed(each / scored.group_sizes)  # Captum gives each element its whole unit's number


def _shapley(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    orders = {"feature_mask": scored.groups, "n_samples": settings.n_samples}
    at_once = _at_once(scored, rows, scored.n_groups)
    each = _without(ShapleyValueSampling(scored.score), scored, settings, at_once, **orders)
    return scored.summed(each / scored.group_sizes)


def _without(
    method: FeatureAblation | ShapleyValueSampling,
    scored: ScoredInputs,
    settings: Settings,
    at_once: int,
    **how: Any,
) -> torch.Tensor:
    """A method that takes things away, ``at_once`` of each image in one pass."""
    return method.attribute(
        scored.inputs,
        baselines=baseline_of(scored, settings.baseline),
        additional_forward_args=scored.context,
        perturbations_per_eval=at_once,
        **how,
    )


def _gradcam(scored: ScoredInputs, settings: Settings, rows: int) -> UnitValues:
    """Channels weighted by their mean gradient over patches; signed, where the original keeps the positive part."""
    probe, (height, width) = torch.nn.Identity(), scored.grid

    def through_the_probe(x: torch.Tensor, *context: torch.Tensor) -> torch.Tensor:
        channels = x.transpose(1, 2).reshape(len(x), -1, height, width)
        return scored.score(probe(channels).flatten(2).transpose(1, 2), *context)

    each = LayerGradCam(through_the_probe, probe).attribute(
        _leaf(scored), additional_forward_args=scored.context
    )
    values = _one(each).detach().flatten(1)
    return UnitValues(values, values.new_zeros(len(values)))


def _one(values: torch.Tensor | tuple[Any, ...]) -> torch.Tensor:
    """Captum's numbers for the one input there is."""
    return values[0] if isinstance(values, tuple) else values


def _at_once(scored: ScoredInputs, rows: int, needed: int) -> int:
    """Perturbations of every image in one pass; Captum makes room for as many, needed or not."""
    return max(1, min(rows // len(scored), needed))


def _leaf(scored: ScoredInputs) -> torch.Tensor:
    """The inputs as something gradients arrive at; without it Captum asks for them and warns."""
    return scored.inputs.detach().clone().requires_grad_()


def _occluder(scored: ScoredInputs, settings: Settings) -> int:
    """Side of the square in pixels; it moves by half of it."""
    height, width = scored.inputs.shape[2:]
    side = int(settings.occluder or height // scored.grid[0])
    if side > min(height, width):
        raise OptionError(
            f"an occluder is a square that fits into the input of {height}x{width} (height x width): got a side of "
            f"{side}; use at most {min(height, width)}, or leave it out for one patch"
        )
    return side


def _n_occluders(scored: ScoredInputs, settings: Settings) -> int:
    side = _occluder(scored, settings)
    step = max(1, side // 2)
    along = [-(-(n - side) // step) + 1 for n in scored.inputs.shape[2:]]
    return 1 + along[0] * along[1]


CAPTUM_METHODS = {
    "integrated_gradients": CaptumMethod(
        "Integrated gradients", _integrated_gradients, lambda _, s: s.n_steps, ("baseline", "n_steps")
    ),
    "gradient_x_input": CaptumMethod("Gradient x input", _gradient_x_input, lambda *_: 1, ()),
    "smoothgrad": CaptumMethod(
        "SmoothGrad", _smoothgrad, lambda _, s: s.n_samples, ("n_samples", "noise", "seed"), alone=True
    ),
    "gradcam": CaptumMethod(
        "Grad-CAM",
        _gradcam,
        lambda *_: 1,
        (),
        additive=False,
        not_of={
            "pixels": "its map has one value for each patch of a block; use tokens, with block=",
            "windows": "it weights channels by their mean over all patches; use tokens",
        },
    ),
    "occlusion": CaptumMethod(
        "Occlusion",
        _occlusion,
        _n_occluders,
        ("baseline", "occluder"),
        takes_away=True,
        additive=False,
        not_of={
            "tokens": 'a token cannot be covered in part; use "feature_ablation"',
            "windows": 'a window is taken away whole; use "feature_ablation"',
        },
    ),
    "feature_ablation": CaptumMethod(
        "Feature ablation",
        _feature_ablation,
        lambda scored, _: 1 + scored.n_groups,
        ("baseline",),
        takes_away=True,
    ),
    "shapley": CaptumMethod(
        "Shapley values",
        _shapley,
        lambda scored, s: 1 + s.n_samples * scored.n_groups,
        ("baseline", "n_samples", "seed"),
        takes_away=True,
        alone=True,
        not_of={
            "pixels": "pixels are too many to be taken away one by one in every order; use windows",
            "tokens": "tokens are too many to be taken away one by one in every order; use windows",
        },
    ),
}
"""Name -> method. References: Sundararajan et al. 2017 (integrated gradients); Shrikumar et al. 2016 (gradient x
input); Smilkov et al. 2017 (SmoothGrad); Selvaraju et al. 2017 (Grad-CAM); Zeiler and Fergus 2014 (occlusion);
Castro et al. 2009 (Shapley value sampling); all as Captum implements them."""
