"""Maps of plain and enhanced CLS that can be laid side by side: one t-SNE of both, and variants to compare it with.

Two separate t-SNE runs cannot be compared: each is free to turn, mirror and rearrange. A joint run can, but it
flatters: the coupling pulls the two places of an image together whatever the features are. So a map is for looking;
whether the add-on helps is decided by full-dimensional measures (:mod:`mswin_viz.analysis.comparison`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import openTSNE
from openTSNE.affinity import PrecomputedAffinities
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from mswin_viz.analysis.affinities import METRICS, affinities, coupled, metric_distances
from mswin_viz.analysis.nearest import squared_distances
from mswin_viz.analysis.projection_quality import MapQuality, disparity, map_quality
from mswin_viz.analysis.projection_record import MapSettings, Projection
from mswin_viz.analysis.projection_space import (
    MapSpace,
    distinct,
    map_space,
    used_perplexity,
)
from mswin_viz.analysis.watching import Report, Stop, Watch
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["METHODS", "MapSettings", "Projection", "check_options", "joint_places", "project", "start_of"]

METHODS = ("joint", "separate", "initialised", "scikit-learn")
"""Ways to compute the two maps."""
ITERATIONS = (250, 500)
"""Steps with early exaggeration, and after it; openTSNE's."""
_EVERY = 10  # steps between two reports
_COMPARABLE = 0.3  # disparity above which a joint map is not one
_SAME = 1e-12  # standard deviation of normalised features up to which they are all the same
_JITTER = 0.01  # of the spread; openTSNE's
_SPREAD = 1e-4  # standard deviation of a map's first axis before the first step


def project(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image dim"],
    *,
    coupling: float = 0.05,
    perplexity: float = 30,
    metric: str = "cosine",
    method: str = "joint",
    pca: int | None = 50,
    seed: int = 0,
    k: int = 15,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Projection:
    """Places of plain and enhanced CLS on two maps that can be compared.

    Features are L2-normalised, one PCA is fitted on both together, images that occur twice (equal plain *and*
    enhanced features, as float32) are removed. Computed by openTSNE (Policar et al., 2024), single-threaded and
    with exact neighbours: the same input and seed give the same map.

    Parameters
    ----------
    plain, enhanced
        CLS of the same images without and with the add-on.
    coupling
        Of the joint map: how strongly the two places of an image attract each other, relative to all their
        neighbours together; 0 couples nothing. More of it lays the halves closer together and shows
        their own neighbourhoods less faithfully: see `coupling_sweep`.
    perplexity
        Neighbours that each image minds; with few images (n - 1) / 3 is used, and said.
    metric
        ``"cosine"`` (1 - cos) or ``"euclidean"``, both of the normalised features.
    method
        ``"joint"``: one t-SNE of 2n points with affinities ``[[P_A, (c/n) I], [(c/n) I, P_B]]``.
        ``"separate"``: two runs, each from its own PCA: not comparable with each other.
        ``"initialised"``: the enhanced map starts where the plain one ended.
        ``"scikit-learn"``: two separate runs of scikit-learn's Barnes-Hut t-SNE, for small n; it reports, and can be
        stopped, only between the two.
    pca
        Components kept; None keeps the features as they are.
    seed
        Of the jitter that the first step starts from; another seed gives another, equally good map.
    k
        Neighbours by which quality is measured; fewer, and said, where there are few images.
    report, stop
        ``report(done, total)`` is called, and ``stop()`` asked, every 10 iterations; quality is measured
        after the last. A stopped map is returned as far as it got, with ``stopped`` true, and is not judged.

    Raises
    ------
    ShapeError
        If the matrices do not fit, a row has no direction, or fewer than 5 images differ.
    OptionError
        If an option is not one of those on offer.
    """
    check_options(coupling, metric, method, k)
    pair = distinct(plain, enhanced)
    used, said = used_perplexity(perplexity, len(pair.kept))
    space = map_space(pair.plain, pair.enhanced, pca=pca)
    n_components = None if space.components is None else len(space.components)
    coupling_used = float(coupling) if method == "joint" else None
    settings = MapSettings(method, coupling_used, float(perplexity), used, metric, n_components, seed, 0)
    watch = Watch(sum(ITERATIONS) * (1 if method == "joint" else 2), report, stop)
    places = _DRAWN[method](space, settings, watch)
    n_near, left = min(k, (len(pair.kept) - 1) // 2), disparity(*places)
    return Projection(
        *places,
        pair.kept,
        pair.place_of,
        pair.removed,
        pair.equals,
        dataclasses.replace(settings, iterations=watch.done),
        *(_quality(*one, n_near, watch) for one in zip((pair.plain, pair.enhanced), places, strict=True)),
        left,
        watch.stopped,
        tuple(filter(None, (said, _fewer(k, n_near), _unfinished(watch), _apart(settings, left)))),
        space,
    )


def check_options(coupling: float, metric: str, method: str, k: int) -> None:
    """Refuse what `project` cannot do.

    Raises
    ------
    OptionError
        If one of these is not on offer.
    """
    if method not in METHODS:
        raise OptionError(f"method is one of {', '.join(METHODS)}: got {method!r}")
    if metric not in METRICS:
        raise OptionError(f"metric is one of {', '.join(METRICS)}: got {metric!r}")
    if not (np.isfinite(coupling) and coupling >= 0):
        raise OptionError(f"coupling is a finite number of at least 0: got {coupling}")
    if k < 1:
        raise OptionError(f"quality is measured by one neighbour at least: got k={k}")


def joint_places(
    both: tuple[sparse.csr_matrix, sparse.csr_matrix],
    start: Float[np.ndarray, "two_n 2"],
    *,
    coupling: float,
    seed: int,
    watch: Watch,
) -> tuple[Float[np.ndarray, "place 2"], Float[np.ndarray, "place 2"]]:
    """Places of both halves in one t-SNE of 2n points, from the affinities of each half."""
    places = _descended(coupled(*both, coupling), start, seed=seed, watch=watch)
    return places[: len(places) // 2], places[len(places) // 2 :]


def start_of(
    scores: Float[np.ndarray, "point component"], *, seed: int, halves: int = 1
) -> Float[np.ndarray, "point 2"]:
    """The first two principal components, scaled down to where t-SNE starts (Kobak and Berens, 2019), and jitter.

    The jitter, a hundredth of the spread, is what the seed decides; halves of one map share it, so that an image
    without a change starts in one place.

    Raises
    ------
    ShapeError
        If all rows are the same.
    """
    solver = "full" if len(scores) < scores.shape[1] else "covariance_eigh"
    found = PCA(2, svd_solver=solver).fit_transform(scores)
    spread = found[:, 0].std()
    if not spread > _SAME:
        raise ShapeError(f"a map needs features that differ: got {len(scores)} that are all the same")
    jitter = np.random.default_rng(seed).normal(scale=_JITTER, size=(len(scores) // halves, 2))
    return np.ascontiguousarray(_SPREAD * (found / spread + np.tile(jitter, (halves, 1))))


def _joint(space: MapSpace, used: MapSettings, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    start = start_of(np.concatenate([space.plain, space.enhanced]), seed=used.seed, halves=2)
    return joint_places(_both(space, used), start, coupling=used.coupling, seed=used.seed, watch=watch)


def _separate(space: MapSpace, used: MapSettings, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    a, b = (
        _descended(_alone(some), start_of(scores, seed=used.seed), seed=used.seed, watch=watch)
        for some, scores in zip(_both(space, used), (space.plain, space.enhanced), strict=True)
    )
    return a, b


def _initialised(space: MapSpace, used: MapSettings, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    first, second = _both(space, used)
    a = _descended(_alone(first), start_of(space.plain, seed=used.seed), seed=used.seed, watch=watch)
    return a, _descended(_alone(second), a * (_SPREAD / a[:, 0].std()), seed=used.seed, watch=watch)


def _scikit_learn(space: MapSpace, used: MapSettings, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    a, b = (_by_scikit_learn(scores, used, watch) for scores in (space.plain, space.enhanced))
    return a, b


_DRAWN = {"joint": _joint, "separate": _separate, "initialised": _initialised, "scikit-learn": _scikit_learn}


def _by_scikit_learn(scores: np.ndarray, used: MapSettings, watch: Watch) -> np.ndarray:
    """One run; its input is squared by scikit-learn, so that a cosine distance goes in as it is."""
    start = start_of(scores, seed=used.seed)
    if watch.stopping():
        return start
    cosine = used.metric == "cosine"
    data = metric_distances(squared_distances(scores, scores), "cosine") if cosine else scores
    if cosine:
        np.fill_diagonal(data, 0)
    tsne = TSNE(
        perplexity=used.perplexity,
        metric="precomputed" if cosine else "euclidean",
        init=start.astype(np.float32),
        random_state=used.seed,
        max_iter=sum(ITERATIONS),
    )
    places = tsne.fit_transform(data)
    watch.passed(sum(ITERATIONS))
    return places.astype(np.float64)


def _both(space: MapSpace, used: MapSettings) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    a, b = (
        affinities(scores, perplexity=used.perplexity, metric=used.metric)
        for scores in (space.plain, space.enhanced)
    )
    return a, b


def _alone(found: sparse.csr_matrix) -> PrecomputedAffinities:
    return PrecomputedAffinities(found.copy(), normalize=True)


def _descended(
    joint: PrecomputedAffinities, start: np.ndarray, *, seed: int, watch: Watch
) -> Float[np.ndarray, "point 2"]:
    """Where openTSNE's gradient descent ends, or was when it was stopped."""
    if watch.stopping():
        return start
    tsne = openTSNE.TSNE(
        early_exaggeration_iter=ITERATIONS[0],
        n_iter=ITERATIONS[1],
        n_jobs=1,
        random_state=seed,
        callbacks=[lambda *_: watch.passed(_EVERY)],
        callbacks_every_iters=_EVERY,
    )
    return np.array(tsne.fit(affinities=joint, initialization=start), dtype=np.float64)


def _quality(features: np.ndarray, places: np.ndarray, k: int, watch: Watch) -> MapQuality:
    return MapQuality(k, *[float("nan")] * 3) if watch.stopped else map_quality(features, places, k=k)


def _fewer(asked: int, used: int) -> str | None:
    if used == asked:
        return None
    return f"Quality by {asked} neighbours was asked for; so few images allow {used}, which were used."


def _unfinished(watch: Watch) -> str | None:
    if not watch.stopped:
        return None
    return f"Stopped on request after {watch.done} of {watch.total} iterations: this map is unfinished."


def _apart(used: MapSettings, left: float) -> str | None:
    if used.coupling is None or left <= _COMPARABLE:
        return None
    return (
        f"At coupling {used.coupling:g} the halves hardly lie on each other (disparity {left:.2f}): places in one "
        "cannot be compared with places in the other. coupling_sweep shows what more coupling costs."
    )
