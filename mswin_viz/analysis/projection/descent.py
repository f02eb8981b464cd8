"""The gradient descent of a map: where it starts, its steps, and how it is stopped; and the joint map of two halves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import openTSNE
from openTSNE.affinity import PrecomputedAffinities
from openTSNE.tsne import OptimizationInterrupt
from scipy import sparse
from sklearn.decomposition import PCA

from mswin_viz.analysis.projection.affinities import Pair, both_affinities, coupled
from mswin_viz.analysis.projection.space import MapSpace
from mswin_viz.data.progress import StepCounter
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

STEPS = (250, 500)
"""Most steps with early exaggeration, and after it; openTSNE's."""
SPREAD = 1e-4
"""Standard deviation of a map's first axis before the first step."""
_EVERY = 10  # steps between two reports
_SETTLED = (
    5,
    0.005,
)  # a stage ends where so many reports together lower the divergence by less than this part of it
_SAME = 1e-12  # standard deviation of normalised features up to which they are all the same
_JITTER = 0.01  # of the spread; openTSNE's


@dataclass(frozen=True, eq=False)
class JointMap:
    """What joint maps of the same images have in common, whatever their coupling; both halves start at ``start``."""

    affinities: Pair[sparse.csr_matrix]
    start: Float[np.ndarray, "two_m 2"]
    seed: int

    def places(self, coupling: float, steps: StepCounter) -> Pair[Float[np.ndarray, "place 2"]]:
        """Places of both halves in one t-SNE of 2m points."""
        places = descended(coupled(*self.affinities, coupling), self.start, seed=self.seed, steps=steps)
        return places[: len(places) // 2], places[len(places) // 2 :]


def joint_map(space: MapSpace, *, perplexity: float, metric: str, seed: int) -> JointMap:
    """Affinities and start of the joint maps of two halves."""
    affinities = both_affinities(space.plain, space.enhanced, perplexity=perplexity, metric=metric)
    start = start_of(np.concatenate([space.plain, space.enhanced]), seed=seed, halves=2)
    return JointMap(affinities, start, seed)


def start_of(
    scores: Float[np.ndarray, "point component"], *, seed: int, halves: int = 1
) -> Float[np.ndarray, "point 2"]:
    """The first two principal components, scaled down to where t-SNE starts (Kobak and Berens, 2019), and jitter.

    The jitter, a hundredth of the spread, is what the seed decides; halves of one map share it, so that an image
    without a change starts in one place. Raises ShapeError if all rows are the same.
    """
    solver = "full" if len(scores) < scores.shape[1] else "covariance_eigh"
    components = PCA(2, svd_solver=solver).fit_transform(scores)
    spread = components[:, 0].std()
    if not spread > _SAME:
        raise ShapeError(f"a map needs features that differ: got {len(scores)} that are all the same")
    jitter = np.random.default_rng(seed).normal(scale=_JITTER, size=(len(scores) // halves, 2))
    return np.ascontiguousarray(SPREAD * (components / spread + np.tile(jitter, (halves, 1))))


def alone(affinities: sparse.csr_matrix) -> PrecomputedAffinities:
    """Affinities of a map that is coupled to no other."""
    return PrecomputedAffinities(affinities.copy(), normalize=True)


def descended(
    affinities: PrecomputedAffinities, start: Float[np.ndarray, "point 2"], *, seed: int, steps: StepCounter
) -> Float[np.ndarray, "point 2"]:
    """Where openTSNE's gradient descent ends, or was when it was stopped.

    Each of its two stages ends early once it has settled, as it does with few points: the divergence of
    Kullback and Leibler falls by less than half a percent in 50 steps.
    """
    if steps.stopping():
        return start
    tsne = openTSNE.TSNE(n_jobs=1, random_state=seed)
    places = tsne.prepare_initial(affinities=affinities, initialization=start)
    stages = (
        (tsne.early_exaggeration, tsne.initial_momentum),
        (tsne.exaggeration, tsne.final_momentum),
    )
    for most, (exaggeration, momentum) in zip(STEPS, stages, strict=True):
        stage = _Stage(steps)
        try:
            places.optimize(
                most,
                inplace=True,
                propagate_exception=True,
                exaggeration=exaggeration,
                momentum=momentum,
                callbacks=[stage],
                callbacks_every_iters=_EVERY,
            )
        except OptimizationInterrupt:  # asked for by the stage; the places are those of its last step
            if steps.stopped or steps.spared(most - _EVERY * len(stage.divergences)):
                break
    return np.array(places, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Stage:
    """openTSNE's callback: counts the steps of one stage, and ends it where it is stopped or has settled."""

    steps: StepCounter
    divergences: list[float] = field(default_factory=list)

    def __call__(self, _step: int, divergence: float, _places: np.ndarray) -> bool:
        self.divergences.append(float(divergence))
        reports, part = _SETTLED
        settled = len(self.divergences) > reports and (
            self.divergences[-1] > (1 - part) * self.divergences[-1 - reports]
        )
        return self.steps.passed(_EVERY) or settled
