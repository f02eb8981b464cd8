"""Is a map faithful? Take away what it calls important, and see whether the score goes.

Deletion removes units (patches, pixels, tokens or windows) from the most to the least important; insertion
brings them back in that order. A faithful map makes deletion fall early and insertion rise early. Both depend
on what "absent" means, so every baseline is reported, and both are set against random orders and a centre
prior (Petsiuk et al. 2018, "RISE"; Samek et al. 2017). Norms of cosine targets are recomputed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.metrics import infidelity

from mswin_viz.analysis.attribution_settings import Settings, rows_that_fit
from mswin_viz.analysis.attribution_target import Target
from mswin_viz.analysis.scored_inputs import BASELINES, Images, ScoredInputs, baseline_of, scored_inputs
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "REFERENCES",
    "UNITS",
    "Curves",
    "Faithfulness",
    "bootstrap_interval",
    "faithfulness",
]

REFERENCES = ("random order", "centre prior")
"""Orders that know nothing of the model: what a map must be better than."""
UNITS = {"patches": "pixels", "pixels": "pixels", "tokens": "tokens", "windows": "windows"}
"""What is taken away -> the level it is taken away at."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores while units go and come back, in one order and with one baseline.

    Attributes
    ----------
    fractions
        Of the units that are gone (deletion) or back (insertion), ``[S + 1]`` from 0 to 1.
    deletion, insertion
        Scores, ``[B, S + 1]``.
    """

    fractions: Float[np.ndarray, " step"]
    deletion: Float[np.ndarray, "batch step"]
    insertion: Float[np.ndarray, "batch step"]

    @property
    def deletion_area(self) -> Float[np.ndarray, " batch"]:
        """Mean score along the way, in score units; the lower the more faithful."""
        return np.trapezoid(self.deletion, self.fractions, axis=1)

    @property
    def insertion_area(self) -> Float[np.ndarray, " batch"]:
        """Mean score along the way, in score units; the higher the more faithful."""
        return np.trapezoid(self.insertion, self.fractions, axis=1)


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Curves of several maps and of the references, over the same images.

    Attributes
    ----------
    names
        The maps', without the references.
    baselines
        What "absent" meant.
    units
        What was taken away.
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
        own, chance = (self.curves[key, baseline] for key in (name, REFERENCES[0]))
        return (own.insertion_area - own.deletion_area) - (chance.insertion_area - chance.deletion_area)

    def ranked(self) -> tuple[str, ...]:
        """Names of maps and the centre prior, best mean gain over baselines and images first."""
        everyone = (*self.names, REFERENCES[1])
        means = {name: np.mean([self.gain(name, b).mean() for b in self.baselines]) for name in everyone}
        return tuple(sorted(everyone, key=lambda name: -means[name]))


def faithfulness(
    model: Model,
    inputs: Images | Tokens,
    target: Target,
    maps: Mapping[str, Float[np.ndarray, "batch unit"]],
    *,
    units: str = "patches",
    scale: int | None = None,
    **options: int | Sequence[str] | None,
) -> Faithfulness:
    """Deletion and insertion curves of maps, beside random orders and the centre prior.

    Parameters
    ----------
    model, inputs, target
        As in :func:`mswin_viz.analysis.attribution.attribute`. With ``Tokens``, at the level of tokens or
        windows, no backbone runs.
    maps
        Name -> one value for each unit, ``[B, n_units]``; the largest is taken away first.
    units
        One of ``UNITS``: ``"patches"`` or ``"pixels"`` of the image, ``"tokens"`` or ``"windows"`` of the
        tower's output.
    scale
        Of the windows.
    **options
        ``baselines`` (blur and mean for images, zero and mean for tokens), ``n_steps=16`` along a curve,
        ``n_random=5`` random orders, ``n_perturbations=32`` for infidelity, ``seed=0``.

    Raises
    ------
    ShapeError
        If a map has not one value for each unit.
    OptionError
        If there are no such units or options.
    """
    chosen = _options(units, options)
    scored = scored_inputs(model, inputs, target, level=UNITS[units], scale=scale)
    if units == "pixels":
        scored = _by_pixel(scored)
    maps = {name: _checked_map(name, values, scored) for name, values in maps.items()}
    rows = rows_that_fit(scored, model, Settings())
    curves = {}
    for baseline in chosen["baselines"]:
        base = baseline_of(scored, baseline)
        for name, values in (maps | {REFERENCES[1]: _centre_prior(scored)}).items():
            curves[name, baseline] = _curves(scored, base, values, chosen["n_steps"], rows)
        curves[REFERENCES[0], baseline] = _random_curves(scored, base, chosen, rows)
    base = baseline_of(scored, chosen["baselines"][0])
    left = _unexplained(scored, base, maps, chosen, rows)
    return Faithfulness(tuple(maps), tuple(chosen["baselines"]), units, curves, left, chosen["seed"])


def _unexplained(
    scored: ScoredInputs,
    base: Float[torch.Tensor, "batch ..."],
    maps: Mapping[str, Float[np.ndarray, "batch unit"]],
    options: Mapping[str, int],
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
        generator = torch.Generator().manual_seed(options["seed"])

        def removals(kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            fraction = torch.rand(len(kept), 1, generator=generator)
            gone = (torch.rand(kept.shape, generator=generator) < fraction).to(kept)
            return gone, kept - gone

        return infidelity(
            score_of, removals, present, torch.from_numpy(np.array(values)).to(present), normalize=normalize,
            additional_forward_args=(scored.inputs, base, *scored.context),
            n_perturb_samples=options["n_perturbations"],
            max_examples_per_batch=min(max(rows, len(scored)), len(scored) * options["n_perturbations"]),
        )  # fmt: skip

    of_zeros = measured(np.zeros(present.shape), normalize=False)
    left = {name: measured(values, normalize=True) / of_zeros for name, values in maps.items()}
    return {name: values.double().cpu().numpy() for name, values in left.items()}


def bootstrap_interval(
    values: Float[np.ndarray, " image"], *, seed: int = 0, coverage: float = 0.95, n_resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over images; both ends equal for one image."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), size=(n_resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def _options(units: str, options: Mapping[str, int | Sequence[str] | None]) -> dict:
    if units not in UNITS:
        raise OptionError(f"units are {', '.join(UNITS)}: got {units!r}")
    chosen = {"baselines": None, "n_steps": 16, "n_random": 5, "n_perturbations": 32, "seed": 0}
    if unknown := set(options) - set(chosen):
        raise OptionError(f"options are {', '.join(chosen)}: got {', '.join(sorted(unknown))}")
    chosen |= options
    if chosen["baselines"] is None:
        chosen["baselines"] = ("blur", "mean") if UNITS[units] == "pixels" else ("zero", "mean")
    unknown = [name for name in chosen["baselines"] if name not in BASELINES[UNITS[units]]]
    if (
        unknown
        or not chosen["baselines"]
        or min(chosen[key] for key in ("n_steps", "n_random", "n_perturbations")) < 1
    ):
        raise OptionError(
            f"baselines of {units} are {', '.join(BASELINES[UNITS[units]])}, and counts are at least 1: got {chosen}"
        )
    return chosen


def _by_pixel(scored: ScoredInputs) -> ScoredInputs:
    """The same inputs with every pixel a unit of its own."""
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
        raise ShapeError(f"a map's values are finite: got NaN or infinity in {name!r}")
    return np.pad(flat, ((0, 0), (0, dropped)), constant_values=flat.min() - 1 if dropped else 0)


def _curves(
    scored: ScoredInputs,
    base: Float[torch.Tensor, "batch ..."],
    values: Float[np.ndarray, "batch unit"],
    n_steps: int,
    rows: int,
) -> Curves:
    """Ties go by place, from the first unit on."""
    fractions = np.linspace(0, 1, min(n_steps, scored.n_groups) + 1)
    counts = np.round(fractions * scored.n_groups).astype(int)
    ranks = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    first = torch.from_numpy(ranks[:, None] < counts[:, None]).to(base.device)  # [B, S + 1, unit]
    gone, back = (
        _scores(scored, scored.inputs, base, first, rows),
        _scores(scored, base, scored.inputs, first, rows),
    )
    return Curves(counts / scored.n_groups, gone, back)


def _scores(
    scored: ScoredInputs, kept: torch.Tensor, put: torch.Tensor, chosen: torch.Tensor, rows: int
) -> Float[np.ndarray, "batch step"]:
    """Scores of ``kept`` with the chosen units replaced by those of ``put``."""
    batch, n_steps, _ = chosen.shape
    index = scored.groups.to(kept.device)[0]
    found = []
    with torch.no_grad():
        for start in range(0, batch * n_steps, rows):
            image, step = np.divmod(np.arange(start, min(start + rows, batch * n_steps)), n_steps)
            image = torch.from_numpy(image)
            replaced = chosen[image, torch.from_numpy(step)][:, index]
            mixed = torch.where(replaced, put[image], kept[image])
            found.append(scored.score(mixed, *(tensor[image] for tensor in scored.context)))
    return torch.cat(found).reshape(batch, n_steps).double().cpu().numpy()


def _random_curves(
    scored: ScoredInputs, base: Float[torch.Tensor, "batch ..."], options: Mapping[str, int], rows: int
) -> Curves:
    """The mean over random orders, each drawn again for each image."""
    rng = np.random.default_rng(options["seed"])
    drawn = [
        _curves(scored, base, rng.random((len(scored), scored.n_groups)), options["n_steps"], rows)
        for _ in range(options["n_random"])
    ]
    gone, back = (np.mean([getattr(c, name) for c in drawn], axis=0) for name in ("deletion", "insertion"))
    return Curves(drawn[0].fractions, gone, back)


def _centre_prior(scored: ScoredInputs) -> Float[np.ndarray, "batch unit"]:
    """Minus the distance of a unit's elements from the middle of the image, on average."""
    index = scored.groups[0].cpu().numpy()
    rows, cols = scored.grid if scored.level != "pixels" else index.shape[1:]
    down, across = np.mgrid[:rows, :cols]
    distance = np.hypot((down + 0.5) / rows - 0.5, ((across + 0.5) / cols - 0.5) * cols / rows).ravel()
    sums = np.bincount(index.ravel(), weights=distance, minlength=scored.n_groups)
    each = sums / np.bincount(index.ravel(), minlength=scored.n_groups)
    return np.broadcast_to(-each, (len(scored), scored.n_groups))
