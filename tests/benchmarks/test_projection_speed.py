"""One joint openTSNE run of 2n points against two scikit-learn runs of n: time, memory, faithfulness."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, resource, sys, time
sys.path.insert(0, {folder!r})
import numpy as np
import mswin_viz as mv
from test_retrieval_speed import crowd
n, method = int(sys.argv[1]), sys.argv[2]
plain, pids, _ = crowd(n, 512, 3.0)
enhanced = plain + np.random.default_rng(1).normal(size=plain.shape)
mv.project(plain[:50], enhanced[:50], method=method)  # imports
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reported = []
started = time.perf_counter()
found = mv.project(plain, enhanced, method=method, metric="euclidean", report=lambda *_: reported.append(time.perf_counter()))
ended = time.perf_counter()
print(json.dumps(dict(
    all=ended - started, map=reported[-1] - started, mib=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    trust=[found.plain_quality.trustworthiness, found.enhanced_quality.trustworthiness],
    recall=[found.plain_quality.knn_recall, found.enhanced_quality.knn_recall])))
"""


def measured(n: int, method: str) -> dict:
    command = [sys.executable, "-c", SCRIPT.format(folder=str(Path(__file__).parent)), str(n), method]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("n", [2_000, 10_000])
def test_joint_map_against_two_scikit_learn_runs(benchmark, n: int) -> None:
    """Each in a process of its own: PCA, neighbours and 750 steps (``map``), and quality in 512 dimensions (``all``)."""
    theirs = measured(n, "scikit-learn")
    ours = benchmark.pedantic(measured, (n, "joint"), rounds=1)
    print(f"\ntwo scikit-learn runs / one joint run, n = {n:,}: {theirs['map'] / ours['map']:.1f}x")
    for name, some in (("scikit-learn", theirs), ("joint", ours)):
        trust, recall = ("/".join(f"{x:.3f}" for x in some[key]) for key in ("trust", "recall"))
        print(
            f"  {name}: map {some['map']:.0f} s, with quality {some['all']:.0f} s, {some['mib']:.0f} MiB more at the peak; "
            f"plain/enhanced trustworthiness {trust}, kNN recall {recall}"
        )
