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

from mswin_viz.analysis.arrays import real_numbers
from mswin_viz.analysis.projection.affinities import affinities_to_new
from mswin_viz.analysis.projection.record import Projection
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

PERPLEXITY = 5
"""Of new images to old ones; openTSNE's, lower than a map's, since each is placed among few."""
ITERATIONS = 250
_NEAREST = 25  # old images whose median place a new one starts from
_EVERY = 10
# openTSNE's settings for adding to a map: small steps, clipped gradients, so that nothing shoots off.
_CAREFUL = {"learning_rate": 0.1, "momentum": 0.8, "max_grad_norm": 0.25, "exaggeration": 1.5}


@dataclass(frozen=True, eq=False)
class Extension:
    """Places of new images on the two halves of an existing map; ``notes`` say how they were placed."""

    plain: Float[np.ndarray, "new 2"]
    enhanced: Float[np.ndarray, "new 2"]
    stopped: bool
    notes: tuple[str, ...]


def extend(
    projection: Projection,
    plain: Float[np.ndarray, "new dim"],
    enhanced: Float[np.ndarray, "new wide"],
    *,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Extension:
    """Place new images among the old ones, which stay where they are.

    In its half, each new place is drawn to its nearest old images, and pushed off by all old places of the map that it
    is on (both halves of a joint one). New images affect neither each other nor, in a joint map, their place in the
    other half: a coupling would need a place that is fixed already. So images added later align less than those of the
    map; that is no sign that they changed more.

    Parameters
    ----------
    projection
        From :func:`project`.
    plain, enhanced
        CLS of the new images without and with the add-on, ``[new, D]``.
    report, stop
        ``report(progress)`` is called, and ``stop()`` asked, every 10 iterations.

    Returns
    -------
    extension
        ``plain`` and ``enhanced`` places ``[new, 2]``, whether it was ``stopped``, and ``notes``.

    Raises
    ------
    ShapeError
        If the features do not fit each other or the map, or a row has no direction.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> projection = mv.project(table.plain[:20], table.enhanced[:20], perplexity=5)
    >>> added = mv.extend(projection, table.plain[20:], table.enhanced[20:])
    >>> added.plain.shape, added.stopped
    ((4, 2), False)
    """
    of_kind(projection, Projection, "projection must be a map", "make one with mswin_viz.project")
    plain, enhanced = real_numbers(plain, "plain features"), real_numbers(enhanced, "enhanced features")
    if {plain.ndim, enhanced.ndim} != {2} or len(plain) != len(enhanced) or len(plain) == 0:
        raise ShapeError(
            f"new images need plain and enhanced features, both [new >= 1, D]: got {plain.shape} and {enhanced.shape}"
        )
    space = projection.space
    halves = [
        _new_half(projection, projection.plain, (space.plain, space.scores(plain, is_enhanced=False))),
        _new_half(
            projection, projection.enhanced, (space.enhanced, space.scores(enhanced, is_enhanced=True))
        ),
    ]
    joint = projection.settings.method == "joint"
    steps = StepCounter(ITERATIONS * (1 if joint else 2), reporter(report), stop, "placing new images")
    if joint:
        links = sparse.block_diag([half.links for half in halves], format="csr")
        old, start = (np.concatenate([getattr(half, name) for half in halves]) for name in ("old", "start"))
        both = _placed(_NewHalf(old, sparse.csr_matrix(links), start), steps)
        places = both[: len(plain)], both[len(plain) :]
    else:
        places = [_placed(half, steps) for half in halves]
    return Extension(plain=places[0], enhanced=places[1], stopped=steps.stopped, notes=_words(steps, joint))


@dataclass(frozen=True, eq=False)
class _NewHalf:
    """Old places of one half (or both), links of the new images to them, and where the new ones start."""

    old: Float[np.ndarray, "place 2"]
    links: sparse.csr_matrix
    start: Float[np.ndarray, "new 2"]


def _new_half(projection: Projection, old: np.ndarray, scores: tuple[np.ndarray, np.ndarray]) -> _NewHalf:
    """What new images of one half are placed by, from the old and the new scores."""
    settings = projection.settings
    links, near = affinities_to_new(
        scores[1], scores[0], perplexity=min(PERPLEXITY, settings.perplexity), metric=settings.metric
    )
    return _NewHalf(old, links, median(old, near[:, :_NEAREST]))


def _placed(half: _NewHalf, steps: StepCounter) -> Float[np.ndarray, "new 2"]:
    """Where new places end among old ones; Barnes-Hut, which leaves the old ones where they are (FFT centres them)."""
    if steps.stopping():
        return half.start
    unlinked = PrecomputedAffinities(sparse.identity(len(half.old), format="csr"))
    reference = TSNEEmbedding(half.old, unlinked, negative_gradient_method="bh")
    places = PartialTSNEEmbedding(
        half.start, reference, half.links, negative_gradient_method="bh", n_jobs=1, dof=1
    )
    try:
        places.optimize(
            ITERATIONS,
            inplace=True,
            propagate_exception=True,
            callbacks=[lambda *_: steps.passed(_EVERY)],
            callbacks_every_iters=_EVERY,
            **_CAREFUL,
        )
    except OptimizationInterrupt as stopped:
        places = stopped.final_embedding
    return np.array(places, dtype=np.float64)


def _words(steps: StepCounter, joint: bool) -> tuple[str, ...]:
    unmoved = "New images were placed among the old ones, which did not move"
    words = [unmoved + (", without the coupling of a joint map." if joint else ".")]
    if steps.stopped:
        words.append(f"Stopped on request after {steps.done} of {counted(steps.total, 'iterations')}.")
    return tuple(words)
