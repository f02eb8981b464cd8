"""Retrieval of 1,000 queries among 10,000 images, beside the published loop, a compiled one, and faiss."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from measuring import Row, Work

import mswin_viz as mv

QUERIES, GALLERY, IDENTITIES = 1_000, 10_000, 500
Numbers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def rows() -> Iterator[Row]:
    """Good features and poor ones, of width 512, and poor ones of width 1536."""
    compiled = _compiled_loop()
    for dim, noise in ((512, 1.5), (512, 4.0), (1536, 4.0)):
        yield from _ranking(dim, noise, compiled).rows()


def _ranking(dim: int, noise: float, compiled: Callable | None) -> Work:
    rng, pids = np.random.default_rng(0), np.arange(QUERIES + GALLERY) % IDENTITIES
    centres = rng.normal(size=(IDENTITIES, dim))
    features = centres[pids] + noise * rng.normal(size=(len(pids), dim))
    camids = rng.integers(0, 6, len(pids))
    query, gallery = np.arange(QUERIES), np.arange(QUERIES, QUERIES + GALLERY)
    numbers: Numbers = pids[query], pids[gallery], camids[query], camids[gallery]
    unit32 = features.astype(np.float32)
    unit32 /= np.linalg.norm(unit32, axis=1, keepdims=True)

    def indices() -> np.ndarray:
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        return np.argsort(2 - 2 * unit[query] @ unit[gallery].T, axis=1)

    def ours() -> mv.RetrievalReport:
        return mv.retrieval(features, pids, camids, query=query, gallery=gallery)

    def floor() -> None:
        features[query] @ features[gallery].T

    def faiss_ten() -> None:
        import faiss

        index = faiss.IndexFlatIP(dim)
        index.add(unit32[gallery])
        index.search(unit32[query], 10)

    report, loop = ours(), _published_loop(indices(), *numbers)
    np.testing.assert_allclose(report.per_query_ap, loop, rtol=0, atol=1e-9)
    peers: dict[str, Callable[[], object]] = {
        "the published loop over queries": lambda: _published_loop(indices(), *numbers),
    }
    if compiled is not None:
        np.testing.assert_allclose(compiled(indices(), *numbers), loop, rtol=0, atol=1e-9)
        peers["the same loop compiled (Cython)"] = lambda: compiled(indices(), *numbers)
    peers["faiss, exact, float32: the ten nearest alone, no measure"] = faiss_ten
    giga = 2 * QUERIES * GALLERY * dim / 1e9
    return Work(
        group="retrieval",
        what=f"mAP and CMC of {QUERIES:,} queries among {GALLERY:,} images, D = {dim}, mAP {report.mAP:.2f}",
        ours=("`retrieval`, in float64", ours),
        peers=peers,
        floor=(f"the bare product in float64 ({giga:.3g} GFLOP)", floor),
        rounds=3,
    )


def _published_loop(
    indices: np.ndarray, q_pids: np.ndarray, g_pids: np.ndarray, q_camids: np.ndarray, g_camids: np.ndarray
) -> np.ndarray:
    """Average precision query by query, the way the evaluation of published re-ID code goes about it."""
    matches = (g_pids[indices] == q_pids[:, None]).astype(np.int32)
    found = []
    for at, order in enumerate(indices):
        keep = ~((g_pids[order] == q_pids[at]) & (g_camids[order] == q_camids[at]))
        hits = matches[at][keep]
        if not hits.any():
            found.append(np.nan)
            continue
        precisions = [x / (place + 1.0) for place, x in enumerate(hits.cumsum())]
        found.append((np.asarray(precisions) * hits).sum() / hits.sum())
    return np.array(found)


def _compiled_loop() -> Callable | None:
    """The loop in ``ranking_loop.pyx``, built in a folder of its own; None, with a line that says so, where it does not build."""
    source = Path(__file__).with_name("ranking_loop.pyx")
    folder = Path(tempfile.mkdtemp())
    command = [sys.executable, "-m", "cython", str(source), "-o", str(folder / "ranking_loop.c")]
    build = (
        "from setuptools import Extension, setup; "
        "setup(name='ranking_loop', ext_modules=[Extension('ranking_loop', ['ranking_loop.c'])], "
        "script_args=['-q', 'build_ext', '--inplace'])"
    )
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(command, check=True, capture_output=True)
        subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
        built = next(folder.glob("ranking_loop*.so"))
        spec = importlib.util.spec_from_file_location("ranking_loop", built)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.average_precisions
    print(
        "The compiled loop did not build here (it needs Cython, setuptools and a C compiler): left out.",
        file=sys.stderr,
    )
    return None
