"""One joint openTSNE run of 2n points against two scikit-learn runs of n: time, memory, faithfulness."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys, time
import numpy as np
import mswin_viz as mv
n, method, rng = int(sys.argv[1]), sys.argv[2], np.random.default_rng(0)
axes = rng.normal(size=(30, 512))  # 100 identities in 30 of 512 dimensions, noise in all
pids = np.arange(n) % 100
plain = (rng.normal(size=(100, 30))[pids] + 0.5 * rng.normal(size=(n, 30))) @ axes + rng.normal(size=(n, 512))
enhanced = plain + rng.normal(size=plain.shape)
mv.project(plain[:50], enhanced[:50], method=method)  # imports
before, reported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
started = time.process_time()
found = mv.project(
    plain, enhanced, method=method, metric="euclidean", report=lambda *_: reported.append(time.process_time())
)
ended, after = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
halves = found.plain_quality, found.enhanced_quality
print(json.dumps({
    "map": reported[-1] - started, "all": ended - started, "mib": (after - before) / 1024,
    "trust": [some.trustworthiness for some in halves], "recall": [some.knn_recall for some in halves]}))
"""


def measured(n: int, method: str) -> dict:
    command = [sys.executable, "-c", SCRIPT, str(n), method]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("n", [2_000, 10_000])
def test_joint_map_against_two_scikit_learn_runs(benchmark, n: int) -> None:
    """Processor seconds, each in a process of its own: PCA, neighbours and 750 steps, then quality in 512 dimensions."""
    theirs = measured(n, "scikit-learn")
    ours = benchmark.pedantic(measured, (n, "joint"), rounds=1)
    print(f"\ntwo scikit-learn runs / one joint run, n = {n:,}: {theirs['map'] / ours['map']:.1f}x")
    for name, some in (("scikit-learn", theirs), ("joint", ours)):
        trust, recall = ("/".join(f"{x:.3f}" for x in some[key]) for key in ("trust", "recall"))
        print(
            f"  {name}: map {some['map']:.0f} s, quality {some['all'] - some['map']:.0f} s, {some['mib']:.0f} MiB more at the peak; "
            f"plain/enhanced trustworthiness {trust}, kNN recall {recall}"
        )
