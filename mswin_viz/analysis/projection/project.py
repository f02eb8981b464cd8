"""Maps of plain and enhanced CLS that can be laid side by side: one t-SNE of both, and variants to compare it with.

Two separate t-SNE runs cannot be compared: each is free to turn, mirror and rearrange. A joint run can, but it
flatters: the coupling pulls the two places of an image together whatever the features are. So a map is for looking;
whether the add-on helps is decided by full-dimensional measures (:mod:`mswin_viz.analysis.measures.comparison`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import numpy as np
from scipy import sparse
from sklearn.manifold import TSNE
from sklearn.metrics.pairwise import euclidean_distances

from mswin_viz.analysis.projection.affinities import Pair, both_affinities, metric_distances
from mswin_viz.analysis.projection.descent import SPREAD, STEPS, alone, descended, joint_map, start_of
from mswin_viz.analysis.projection.quality import MapQuality, disparity, map_quality
from mswin_viz.analysis.projection.record import MapSettings, Projection
from mswin_viz.analysis.projection.request import MapOptions, MapRequest, check_coupling
from mswin_viz.analysis.projection.space import MapSpace, distinct, map_space, used_perplexity
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import StepCounter, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

_COMPARABLE = 0.3  # disparity above which a joint map is not one


def project(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image wide"],
    *,
    coupling: float = 0.05,
    method: str = "joint",
    **options: Unpack[MapOptions],
) -> Projection:
    """Places of plain and enhanced CLS on two maps that can be compared.

    Features are L2-normalised, one PCA is fitted on both together, images that occur twice (equal plain *and* enhanced
    features, as float32) are removed. Computed by openTSNE (Policar et al., 2024), single-threaded and with exact
    neighbours: the same input and seed give the same map.

    Parameters
    ----------
    plain, enhanced
        CLS of the same images without and with the add-on.
    coupling
        Of the joint map: how strongly the two places of an image attract each other, relative to all their
        neighbours together; 0 couples nothing. More of it lays the halves closer together and shows
        their own neighbourhoods less faithfully: see :func:`coupling_sweep`.
    method
        ``"joint"``: one t-SNE of 2n points with affinities ``[[P_A, (c/n) I], [(c/n) I, P_B]]``.
        ``"separate"``: two runs, each from its own PCA: not comparable with each other.
        ``"initialised"``: the enhanced map starts where the plain one ended.
        ``"scikit-learn"``: two separate runs of scikit-learn's Barnes-Hut t-SNE, for small n; it reports, and can be
        stopped, only between the two.
    perplexity
        Number of neighbours that count for each image, 30 if not given; with few images (n - 1) / 3, with a note.
    metric
        ``"cosine"`` (1 - cos) or ``"euclidean"``, both of the normalised features.
    pca
        Components kept, 50 if not given; None keeps the features as they are.
    seed
        Of the jitter that the first step starts from; another seed gives another, equally good map.
    k
        Neighbours by which quality is measured, 15 if not given; fewer, with a note, where there are few images.
    report, stop
        ``report(progress)`` is called (see :class:`mswin_viz.Progress`), and ``stop()`` asked, every 10
        iterations, of which a map of few images needs only a part; quality is measured after the last. A stopped map is returned as far as it got, with ``stopped``
        true, and is not judged.

    Returns
    -------
    projection
        Coordinates of both maps ``[m, 2]``, their quality, and what was removed.

    Raises
    ------
    ShapeError
        If the matrices do not fit, a row has no direction, or fewer than 5 images differ.
    OptionError
        If there is no such option, method or metric, or a number is out of range.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> projection = mv.project(table.plain, table.enhanced, coupling=0.2, perplexity=5, seed=1)
    >>> projection.plain.shape, projection.settings.method, projection.settings.coupling
    ((24, 2), 'joint', 0.2)
    >>> 0 < projection.plain_quality.trustworthiness <= 1
    True
    """
    check_coupling(coupling)
    if method not in METHODS:
        raise OptionError(f"method is one of {', '.join(METHODS)}: got {method!r}")
    request = options_of(MapRequest, options, function="project", also=("coupling", "method"))
    pair = distinct(plain, enhanced)
    perplexity, few = used_perplexity(request.perplexity, len(pair.kept))
    space = map_space(pair.plain, pair.enhanced, pca=request.pca)
    n_steps, words = (
        sum(STEPS) * (1 if method == "joint" else 2),
        f"projecting {counted(len(pair.kept), 'images')}",
    )
    steps = StepCounter(n_steps, reporter(request.report), request.stop, words)
    settings = MapSettings(
        method=method,
        coupling=float(coupling) if method == "joint" else None,
        perplexity_asked=float(request.perplexity),
        perplexity=perplexity,
        metric=request.metric,
        pca=None if space.components is None else len(space.components),
        seed=request.seed,
    )
    places = _DRAWN[method](space, settings, steps)
    k, left = min(request.k, (len(pair.kept) - 1) // 2), disparity(*places)
    notes = (few, _fewer(request.k, k), _unfinished(steps), _apart(settings, left))
    return Projection(
        plain=places[0],
        enhanced=places[1],
        kept=pair.kept,
        place_of=pair.place_of,
        removed=pair.removed,
        equals=pair.equals,
        settings=replace(settings, iterations=steps.taken),
        plain_quality=_quality(pair.plain, places[0], k, steps),
        enhanced_quality=_quality(pair.enhanced, places[1], k, steps),
        disparity=left,
        stopped=steps.stopped,
        notes=tuple(filter(None, notes)),
        space=space,
    )


def _joint(space: MapSpace, used: MapSettings, steps: StepCounter) -> Pair[np.ndarray]:
    joint = joint_map(space, perplexity=used.perplexity, metric=used.metric, seed=used.seed)
    return joint.places(used.coupling or 0, steps)


def _separate(space: MapSpace, used: MapSettings, steps: StepCounter) -> Pair[np.ndarray]:
    plain, enhanced = (
        descended(alone(half), start_of(scores, seed=used.seed), seed=used.seed, steps=steps)
        for half, scores in zip(_affinities(space, used), (space.plain, space.enhanced), strict=True)
    )
    return plain, enhanced


def _initialised(space: MapSpace, used: MapSettings, steps: StepCounter) -> Pair[np.ndarray]:
    first, second = _affinities(space, used)
    plain = descended(alone(first), start_of(space.plain, seed=used.seed), seed=used.seed, steps=steps)
    return plain, descended(alone(second), plain * (SPREAD / plain[:, 0].std()), seed=used.seed, steps=steps)


def _scikit_learn(space: MapSpace, used: MapSettings, steps: StepCounter) -> Pair[np.ndarray]:
    plain, enhanced = (_by_scikit_learn(scores, used, steps) for scores in (space.plain, space.enhanced))
    return plain, enhanced


_DRAWN: dict[str, Callable[[MapSpace, MapSettings, StepCounter], Pair[np.ndarray]]] = {
    "joint": _joint,
    "separate": _separate,
    "initialised": _initialised,
    "scikit-learn": _scikit_learn,
}
METHODS = tuple(_DRAWN)
"""Ways to compute the two maps."""


def _by_scikit_learn(scores: np.ndarray, used: MapSettings, steps: StepCounter) -> np.ndarray:
    """One run; its input is squared by scikit-learn, so that a cosine distance goes in as it is."""
    start = start_of(scores, seed=used.seed)
    if steps.stopping():
        return start
    cosine = used.metric == "cosine"
    data = metric_distances(euclidean_distances(scores, squared=True), "cosine") if cosine else scores
    tsne = TSNE(
        perplexity=used.perplexity,
        metric="precomputed" if cosine else "euclidean",
        init=start.astype(np.float32),  # pyright: ignore[reportArgumentType]  # an array is taken; the stub knows words only
        random_state=used.seed,
        max_iter=sum(STEPS),
    )
    places = tsne.fit_transform(data)
    steps.passed(sum(STEPS))
    return places.astype(np.float64)


def _affinities(space: MapSpace, used: MapSettings) -> Pair[sparse.csr_matrix]:
    return both_affinities(space.plain, space.enhanced, perplexity=used.perplexity, metric=used.metric)


def _quality(features: np.ndarray, places: np.ndarray, k: int, steps: StepCounter) -> MapQuality:
    """Of a finished map; a stopped one is not judged."""
    return MapQuality(k, *[float("nan")] * 3) if steps.stopped else map_quality(features, places, k=k)


def _fewer(wanted: int, used: int) -> str | None:
    if used == wanted:
        return None
    return f"Quality by {counted(wanted, 'neighbours')} was asked for; so few images allow {used}, which were used."


def _unfinished(steps: StepCounter) -> str | None:
    if not steps.stopped:
        return None
    return f"Stopped on request after {steps.taken} of {counted(steps.total, 'iterations')}: this map is unfinished."


def _apart(used: MapSettings, left: float) -> str | None:
    if used.coupling is None or left <= _COMPARABLE:
        return None
    return (
        f"At coupling {used.coupling:g} the halves hardly lie on each other (disparity {left:.2f}): places in one "
        "cannot be compared with places in the other. coupling_sweep shows what more coupling costs."
    )
