"""One way of drawing two maps, in a process of its own: ``map_child.py n way`` prints processor seconds and quality."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import openTSNE

import mswin_viz as mv
from mswin_viz.analysis.projection.affinities import both_affinities, coupled
from mswin_viz.analysis.projection.descent import STEPS, start_of
from mswin_viz.analysis.projection.space import distinct, map_space


def main(n: int, way: str) -> None:
    """Identities in 30 of 512 dimensions, noise in all."""
    rng = np.random.default_rng(0)
    axes, pids = rng.normal(size=(30, 512)), np.arange(n) % 100
    plain = (rng.normal(size=(100, 30))[pids] + 0.5 * rng.normal(size=(n, 30))) @ axes + rng.normal(
        size=(n, 512)
    )
    enhanced = plain + rng.normal(size=plain.shape)
    mv.project(plain[:50], enhanced[:50])  # imports
    seconds, quality = (_descent(plain, enhanced), "") if way == "descent" else _project(plain, enhanced, way)
    print(json.dumps({"seconds": seconds, "quality": quality}))


def _project(plain: np.ndarray, enhanced: np.ndarray, way: str) -> tuple[float, str]:
    marks: list[float] = []
    started = time.process_time()
    found = mv.project(
        plain, enhanced, method=way, metric="euclidean", report=lambda _: marks.append(time.process_time())
    )
    halves = found.plain_quality, found.enhanced_quality
    trust = "/".join(f"{half.trustworthiness:.3f}" for half in halves)
    recall = "/".join(f"{half.knn_recall:.3f}" for half in halves)
    words = f"{found.settings.iterations} steps, trustworthiness {trust}, kNN recall {recall}"
    return marks[-1] - started, words


def _descent(plain: np.ndarray, enhanced: np.ndarray) -> float:
    pair = distinct(plain, enhanced)
    space = map_space(pair.plain, pair.enhanced, pca=50)
    affinities = coupled(
        *both_affinities(space.plain, space.enhanced, perplexity=30, metric="euclidean"), 0.05
    )
    start = start_of(np.concatenate([space.plain, space.enhanced]), seed=0, halves=2)
    tsne = openTSNE.TSNE(early_exaggeration_iter=STEPS[0], n_iter=STEPS[1], n_jobs=1, random_state=0)
    started = time.process_time()
    tsne.fit(affinities=affinities, initialization=start)
    return time.process_time() - started


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
