"""New images on an existing map, without moving the old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from openTSNE import TSNEEmbedding
from openTSNE.affinity import PrecomputedAffinities
from openTSNE.initialization import median
from openTSNE.tsne import OptimizationInterrupt, PartialTSNEEmbedding
from scipy import sparse

from mswin_viz.analysis.affinities import affinities_to_new
from mswin_viz.analysis.arrays import real_numbers
from mswin_viz.analysis.projection_record import Projection
from mswin_viz.analysis.watching import Report, Stop, Watch
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Extension", "extend"]

PERPLEXITY = 5
"""Of new images to old ones; openTSNE's, lower than a map's, since each is placed among few."""
ITERATIONS = 250
_NEAREST = 25  # old images whose median place a new one starts from
_EVERY = 10
# openTSNE's settings for adding to a map: small steps, clipped gradients, so that nothing shoots off.
_CAREFUL = {"learning_rate": 0.1, "momentum": 0.8, "max_grad_norm": 0.25, "exaggeration": 1.5}


@dataclass(frozen=True, eq=False)
class Extension:
    """Places of new images on an existing map.

    Attributes
    ----------
    plain, enhanced
        Coordinates on the map's two halves, ``[new, 2]``.
    stopped
        True if the computation was stopped before its end.
    notes
        How they were placed, in sentences.
    """

    plain: Float[np.ndarray, "new 2"]
    enhanced: Float[np.ndarray, "new 2"]
    stopped: bool
    notes: tuple[str, ...]


def extend(
    projection: Projection,
    plain: Float[np.ndarray, "new dim"],
    enhanced: Float[np.ndarray, "new dim"],
    *,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Extension:
    """Place new images among the old ones, which stay where they are.

    In its half, each new place is drawn to its nearest old images, and pushed off by all old places of the map
    that it is on (both halves of a joint one). New images mind neither each other nor, in a joint map, their own
    place in the other half: a coupling would need a place that is fixed already. So images added later align
    less than those of the map; that is no sign that they changed more.

    Raises
    ------
    ShapeError
        If the features do not fit each other or the map, or a row has no direction.
    """
    plain, enhanced = real_numbers(plain, "plain features"), real_numbers(enhanced, "enhanced features")
    if plain.shape != enhanced.shape or plain.ndim != 2 or len(plain) == 0:
        raise ShapeError(
            f"new images need plain and enhanced features [new >= 1, D] alike: got {plain.shape} and {enhanced.shape}"
        )
    halves = (projection.plain, projection.enhanced)
    scores = (projection.space.plain, projection.space.enhanced)
    new = [projection.space.scores(some) for some in (plain, enhanced)]
    metric, perplexity = projection.settings.metric, min(PERPLEXITY, projection.settings.perplexity)
    found = [
        affinities_to_new(some, old, perplexity=perplexity, metric=metric)
        for some, old in zip(new, scores, strict=True)
    ]
    starts = [median(half, near[:, :_NEAREST]) for half, (_, near) in zip(halves, found, strict=True)]
    links = [some for some, _ in found]
    joint = projection.settings.method == "joint"
    watch = Watch(ITERATIONS * (1 if joint else 2), report, stop)
    if joint:
        both = _placed(np.concatenate(halves), sparse.block_diag(links), np.concatenate(starts), watch)
        places = both[: len(plain)], both[len(plain) :]
    else:
        a, b = (_placed(*some, watch) for some in zip(halves, links, starts, strict=True))
        places = a, b
    return Extension(*places, watch.stopped, _words(watch, joint))


def _placed(
    old: Float[np.ndarray, "place 2"], links: sparse.spmatrix, start: Float[np.ndarray, "new 2"], watch: Watch
) -> Float[np.ndarray, "new 2"]:
    """Where new places end among old ones; Barnes-Hut, which leaves the old ones where they are (FFT centres them)."""
    if watch.stopping():
        return start
    alone = PrecomputedAffinities(sparse.identity(len(old), format="csr"))
    reference = TSNEEmbedding(old, alone, negative_gradient_method="bh")
    places = PartialTSNEEmbedding(
        start, reference, sparse.csr_matrix(links), negative_gradient_method="bh", n_jobs=1, dof=1
    )
    try:
        places.optimize(
            ITERATIONS,
            inplace=True,
            propagate_exception=True,
            callbacks=[lambda *_: watch.passed(_EVERY)],
            callbacks_every_iters=_EVERY,
            **_CAREFUL,
        )
    except OptimizationInterrupt as stopped:
        places = stopped.final_embedding
    return np.array(places, dtype=np.float64)


def _words(watch: Watch, joint: bool) -> tuple[str, ...]:
    alone = "New images were placed among the old ones, which did not move"
    words = [alone + (", without the coupling of a joint map." if joint else ".")]
    if watch.stopped:
        words.append(f"Stopped on request after {watch.done} of {watch.total} iterations.")
    return tuple(words)
