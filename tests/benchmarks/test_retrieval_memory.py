"""Memory of retrieval among 100,000 images."""

from __future__ import annotations

import tracemalloc

import numpy as np
from measured_pages import note_timing

import mswin_viz as mv

IMAGES, IDENTITIES, DIM, QUERIES = 100_000, 500, 64, 200


def test_memory_of_retrieval_among_100_000_images(benchmark) -> None:
    """Peak beside the input: one float64 copy of the features, and blocks."""
    rng = np.random.default_rng(0)
    pids, camids = np.arange(IMAGES) % IDENTITIES, rng.integers(0, 6, IMAGES)
    features = rng.normal(size=(IDENTITIES, DIM))[pids] + 2 * rng.normal(size=(IMAGES, DIM))
    mv.retrieval(features[:1000], pids[:1000], camids[:1000])  # imports
    tracemalloc.start()
    benchmark.pedantic(lambda: mv.retrieval(features, pids, camids, query=np.arange(QUERIES)), rounds=1)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(
        f"\npeak MiB beside {features.nbytes / 2**20:.0f} MiB of features, {IMAGES:,} gallery images: {peak:.0f}"
    )
    note_timing("retrieval_memory", "", peak)
