"""Retrieval against the per-query loop of published re-ID code, 1,000 queries and 10,000 gallery images; memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

import mswin_viz as mv

QUERIES, GALLERY, IDENTITIES = 1_000, 10_000, 500


def crowd(n_images: int, dim: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pids = np.arange(n_images) % IDENTITIES
    centres = rng.normal(size=(IDENTITIES, dim))
    return centres[pids] + noise * rng.normal(size=(n_images, dim)), pids, rng.integers(0, 6, n_images)


def published_loop(distances, q_pids, g_pids, q_camids, g_camids) -> tuple[np.ndarray, np.ndarray]:
    """Average precisions and CMC, query by query, the way the evaluation of published re-ID code goes about it."""
    indices = np.argsort(distances, axis=1)
    matches = (g_pids[indices] == q_pids[:, None]).astype(np.int32)
    all_cmc, all_ap = [], []
    for at in range(len(distances)):
        order = indices[at]
        keep = ~((g_pids[order] == q_pids[at]) & (g_camids[order] == q_camids[at]))
        hits = matches[at][keep]
        if not np.any(hits):
            all_ap.append(np.nan)
            continue
        cmc = hits.cumsum()
        cmc[cmc > 1] = 1
        all_cmc.append(cmc[:50])
        found = [x / (place + 1.0) for place, x in enumerate(hits.cumsum())]
        all_ap.append((np.asarray(found) * hits).sum() / hits.sum())
    return np.array(all_ap), np.asarray(all_cmc).mean(axis=0)


@pytest.mark.parametrize(("dim", "noise"), [(512, 1.5), (512, 4.0), (1536, 4.0)])
def test_retrieval_against_the_per_query_loop(benchmark, dim: int, noise: float) -> None:
    """Processor seconds from features to measures, good features and poor ones; target: 20 times faster."""
    features, pids, camids = crowd(QUERIES + GALLERY, dim, noise)
    query, gallery = np.arange(QUERIES), np.arange(QUERIES, QUERIES + GALLERY)

    def loop() -> tuple[np.ndarray, np.ndarray]:
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        distances = 2 - 2 * unit[query] @ unit[gallery].T
        return published_loop(distances, pids[query], pids[gallery], camids[query], camids[gallery])

    def ours() -> mv.RetrievalReport:
        return mv.retrieval(features, pids, camids, query=query, gallery=gallery)

    taken = np.empty((3, 2))
    for turn in range(3):
        started = time.process_time()
        ap, cmc = loop()
        between = time.process_time()
        report = ours()
        taken[turn] = between - started, time.process_time() - between
    np.testing.assert_allclose(report.per_query_ap, ap, rtol=0, atol=1e-9)
    np.testing.assert_allclose(list(report.cmc.values()), cmc[[0, 4, 9]], rtol=0, atol=1e-9)
    slow, fast = np.median(taken, axis=0)
    print(
        f"\nper-query loop / retrieval, D = {dim}, mAP {report.mAP:.2f}: {slow / fast:.0f}x ({slow:.2f} s, {fast:.3f} s)"
    )
    benchmark.pedantic(ours, rounds=3)


def test_memory_of_retrieval_among_100_000_images(benchmark) -> None:
    """Peak beside the input, D = 64, 200 queries: two float64 copies of the features, and blocks."""
    features, pids, camids = crowd(100_000, 64, 2.0)
    tracemalloc.start()
    benchmark.pedantic(lambda: mv.retrieval(features, pids, camids, query=np.arange(200)), rounds=1)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(
        f"\npeak MiB beside {features.nbytes / 2**20:.0f} MiB of features, 100,000 gallery images: {peak:.0f}"
    )
