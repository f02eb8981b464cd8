"""How long the protocols take on random people, and how much memory they hold beside the features.

Run: python tests/benchmarks/protocols.py [IMAGES]
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mswin_viz as mv

DIM, OF_EACH = 1536, 8


def measured(words: str, work: Callable[[], Any]) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    work()
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{words}: {seconds:.1f} s, at most {peak / 1e6:.0f} MB beside the features given", flush=True)


def main(n: int) -> None:
    rng = np.random.default_rng(0)
    pids, camids = np.arange(n) % (n // OF_EACH), rng.integers(0, 6, n)
    centres = rng.normal(size=(n // OF_EACH, DIM))
    features = (centres[pids] + 2 * rng.normal(size=(n, DIM))).astype(np.float32)
    for how in (None, mv.Reranking()):
        measured(
            f"retrieval, {n:,} images, {how.words if how else 'not re-ranked'}",
            lambda how=how: mv.retrieval(features, pids, camids, reranking=how),
        )
    n_shots = n // 3
    table = mv.EmbeddingTable(
        sample=np.tile(np.arange(n_shots), 3),
        modality=np.repeat(["RGB", "NI", "TI"], n_shots),
        pid=np.tile(pids[:n_shots], 3),
        camid=np.tile(camids[:n_shots], 3),
        scene=np.full(3 * n_shots, -1),
        split=np.full(3 * n_shots, ""),
        files=tuple({"RGB": Path("none.png")} for _ in range(3 * n_shots)),
        plain=features[: 3 * n_shots],
        enhanced=features[: 3 * n_shots][::-1].copy(),
    )
    measured(f"cross_modality, nine pairs of {n_shots:,} images", lambda: mv.cross_modality(table))
    measured(f"missing_modalities, seven columns of {n_shots:,} shots", lambda: mv.missing_modalities(table))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000)
