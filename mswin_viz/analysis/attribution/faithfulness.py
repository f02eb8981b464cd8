"""Is a map faithful? Take away what it calls important, and see whether the score falls.

Deletion removes units (patches, pixels, tokens or windows) from the most to the least important; insertion
brings them back in that order. A faithful map makes deletion fall early and insertion rise early. Both depend
on what "absent" means, so every baseline is reported, and both are set against random orders and a centre
prior (Petsiuk et al. 2018, "RISE"; Samek et al. 2017). Norms of cosine targets are recomputed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import torch
from captum.metrics import infidelity
from scipy import stats

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.attribution.input_levels import BASELINES, InputLevel
from mswin_viz.analysis.attribution.removal_curves import Curves, centre_prior, random_curves, removal_curves
from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs, baseline_of, scored_inputs
from mswin_viz.analysis.attribution.settings import rows_that_fit
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.data.options import options_of
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

REFERENCES = ("random order", "centre prior")
"""Orders that do not depend on the model: a map must be better than these."""
UNITS = {"patches": "pixels", "pixels": "pixels", "tokens": "tokens", "windows": "windows"}
"""What is taken away -> the level it is taken away at."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Curves of several maps and of the references, over the same images.

    Attributes
    ----------
    names
        The maps', without the references.
    baselines, units
        What "absent" meant, and what was taken away.
    curves
        ``(name, baseline)`` -> curves, references included.
    unexplained
        Name -> Captum's infidelity over random removals with the first baseline, as a fraction of the score's
        own mean square change, ``[B]``. 0: the map's values, times one factor, tell every change; 1: no better
        than a map of zeros. The factor (``normalize=True``) makes maps in other units comparable. Yeh et al.
        (2019), "On the (In)fidelity and Sensitivity of Explanations".
    seed
        Of random orders and resampling.
    """

    names: tuple[str, ...]
    baselines: tuple[str, ...]
    units: str
    curves: Mapping[tuple[str, str], Curves]
    unexplained: Mapping[str, Float[np.ndarray, " batch"]]
    seed: int

    def gain(self, name: str, baseline: str) -> Float[np.ndarray, " batch"]:
        """Insertion area minus deletion area, beyond that of random orders, for each image; above 0 is better."""
        curves, chance = (self.curves[key, baseline] for key in (name, REFERENCES[0]))
        gain = curves.insertion_area - curves.deletion_area
        return gain - (chance.insertion_area - chance.deletion_area)

    def ranked(self) -> tuple[str, ...]:
        """Names of maps and the centre prior, best mean gain over baselines and images first."""
        names = (*self.names, REFERENCES[1])
        means = {name: np.mean([self.gain(name, b).mean() for b in self.baselines]) for name in names}
        return tuple(sorted(names, key=lambda name: -means[name]))


class FaithfulnessOptions(TypedDict, total=False):
    """Options of :func:`faithfulness` by keyword, beside ``units``."""

    scale: int | None
    baselines: Sequence[str] | None
    n_steps: int
    n_random: int
    n_perturbations: int
    seed: int


@dataclass(frozen=True)
class _Settings:
    """The options with their defaults, checked."""

    units: str
    scale: int | None = None
    baselines: Sequence[str] | None = None
    n_steps: int = 16
    n_random: int = 5
    n_perturbations: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.units not in UNITS:
            raise OptionError(f"units are {', '.join(UNITS)}: got {self.units!r}")
        check_counts(1, n_steps=self.n_steps, n_random=self.n_random, n_perturbations=self.n_perturbations)
        known, chosen = BASELINES[UNITS[self.units]], self.chosen_baselines
        if not chosen or not set(chosen) <= set(known):
            raise OptionError(f"baselines of {self.units} are {', '.join(known)}: got {self.baselines}")

    @property
    def chosen_baselines(self) -> tuple[str, ...]:
        """Blur and mean for images, zero and mean for tokens, unless others are given."""
        if self.baselines is not None:
            return tuple(self.baselines)
        return ("blur", "mean") if UNITS[self.units] == "pixels" else ("zero", "mean")


def faithfulness(
    model: Model,
    inputs: ModelImages | Tokens,
    target: Target,
    maps: Mapping[str, Float[np.ndarray, "batch ..."]],
    *,
    units: str = "patches",
    **options: Unpack[FaithfulnessOptions],
) -> Faithfulness:
    """Deletion and insertion curves of maps, beside random orders and the centre prior.

    Raises ShapeError if a map has not one value for each unit; OptionError if there are no such units or options.

    Parameters
    ----------
    model, inputs, target
        As in :func:`mswin_viz.analysis.attribution.attribute.attribute`. With ``Tokens``, at the level of tokens or
        windows, no backbone runs.
    maps
        Name -> one value for each unit, ``[B, n_units]`` or ``[B, H, W]``; the largest is taken away first.
    units
        One of ``UNITS``: ``"patches"`` or ``"pixels"`` of the image, ``"tokens"`` or ``"windows"`` of the
        tower's output.
    **options
        ``scale`` of the windows, ``baselines`` (blur and mean for images, zero and mean for tokens), ``n_steps=16``
        along a curve, ``n_random=5`` random orders, ``n_perturbations=32`` for infidelity, ``seed=0``.
    """
    settings = options_of(_Settings, {"units": units, **options}, function="faithfulness")
    scored = scored_inputs(model, inputs, target, InputLevel(UNITS[units], settings.scale))
    if units == "pixels":
        scored = _by_pixel(scored)
    maps = {name: _checked_map(name, values, scored) for name, values in maps.items()}
    rows, shape = rows_that_fit(scored, model), (len(scored), scored.n_groups)
    how = {"n_steps": settings.n_steps, "rows": rows}
    curves = {}
    for baseline in settings.chosen_baselines:
        base, rng = baseline_of(scored, baseline), np.random.default_rng(settings.seed)
        for name, values in (maps | {REFERENCES[1]: centre_prior(scored)}).items():
            curves[name, baseline] = removal_curves(scored, base, values, **how)
        orders = [rng.random(shape) for _ in range(settings.n_random)]
        curves[REFERENCES[0], baseline] = random_curves(scored, base, orders, **how)
    base = baseline_of(scored, settings.chosen_baselines[0])
    return Faithfulness(
        names=tuple(maps),
        baselines=settings.chosen_baselines,
        units=units,
        curves=curves,
        unexplained=_unexplained(scored, base, maps, settings, rows),
        seed=settings.seed,
    )


def _unexplained(
    scored: ScoredInputs,
    base: Float[torch.Tensor, "batch ..."],
    maps: Mapping[str, Float[np.ndarray, "batch unit"]],
    settings: _Settings,
    rows: int,
) -> dict[str, Float[np.ndarray, " batch"]]:
    """Captum's infidelity of maps over random removals, the same for each, over that of a map of zeros."""
    index, present = scored.groups[0], torch.ones(len(scored), scored.n_groups, device=scored.inputs.device)
    seen: dict[bytes, torch.Tensor] = {}

    def score_of(
        kept: torch.Tensor, x: torch.Tensor, base: torch.Tensor, *context: torch.Tensor
    ) -> torch.Tensor:
        key = kept.bool().cpu().numpy().tobytes()
        if key not in seen:
            seen[key] = scored.score(base + kept[:, index] * (x - base), *context)
        return seen[key]

    def measured(values: np.ndarray, *, normalize: bool) -> torch.Tensor:
        generator = torch.Generator().manual_seed(settings.seed)

        def removals(kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            fraction = torch.rand(len(kept), 1, generator=generator)
            gone = (torch.rand(kept.shape, generator=generator) < fraction).to(kept)
            return gone, kept - gone

        return infidelity(
            score_of, removals, present, torch.from_numpy(np.array(values)).to(present), normalize=normalize,
            additional_forward_args=(scored.inputs, base, *scored.context),
            n_perturb_samples=settings.n_perturbations,
            max_examples_per_batch=min(max(rows, len(scored)), len(scored) * settings.n_perturbations),
        )  # fmt: skip

    of_zeros = measured(np.zeros(present.shape), normalize=False)
    left = {name: measured(values, normalize=True) / of_zeros for name, values in maps.items()}
    return {name: float64(values) for name, values in left.items()}


def bootstrap_interval(
    values: Float[np.ndarray, " image"], *, seed: int = 0, n_resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval (95%) of a mean over images; both ends equal for one image."""
    if len(values) == 1 or np.isnan(values).any():
        return float(values.mean()), float(values.mean())
    resampled = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=n_resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(resampled.confidence_interval.low), float(resampled.confidence_interval.high)


def _by_pixel(scored: ScoredInputs) -> ScoredInputs:
    """The same inputs with every pixel as one unit."""
    height, width = scored.inputs.shape[2:]
    groups = torch.arange(height * width, device=scored.inputs.device).reshape(1, 1, height, width)
    return dataclasses.replace(scored, groups=groups, n_groups=height * width)


def _checked_map(name: str, values: np.ndarray, scored: ScoredInputs) -> Float[np.ndarray, "batch unit"]:
    """The map with a value for each unit; tokens that no window covers come last."""
    dropped = int(scored.geometry is not None and len(scored.geometry.dropped) > 0)
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    wanted = (len(scored), scored.n_groups - dropped)
    if flat.shape != wanted:
        raise ShapeError(
            f"a map has one value for each image and unit, here {wanted}: got {flat.shape} for {name!r}"
        )
    if not np.isfinite(flat).all():
        raise ShapeError(f"a map's values must be finite: got NaN or infinity in {name!r}")
    return np.pad(flat, ((0, 0), (0, dropped)), constant_values=flat.min() - 1 if dropped else 0)
