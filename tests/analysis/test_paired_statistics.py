"""Bootstrap and sign flips: by hand, by all patterns, and honest under the null."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap, kstest, permutation_test

from mswin_viz.analysis.measures.paired_statistics import EXACT_UP_TO, bootstrap_means, interval, sign_flip

RNG = np.random.default_rng(0)


def test_all_sign_patterns_by_a_plain_loop():
    sums, counts = RNG.normal(size=7), np.array([1, 4, 2, 2, 5, 1, 3])
    larger = [abs(np.dot(signs, sums)) >= abs(sums.sum()) - 1e-12 for signs in product((1, -1), repeat=7)]
    found = sign_flip(sums, counts, flips=10, seed=0)
    assert found.exact
    assert found.patterns == 128
    assert found.p == np.mean(larger)
    assert found.difference == pytest.approx(sums.sum() / 18)


def test_random_patterns_agree_with_all_of_them():
    sums = RNG.normal(0.35, 1, size=EXACT_UP_TO)
    exact = sign_flip(sums, np.ones(EXACT_UP_TO), flips=1, seed=0)
    padded = np.concatenate(
        [sums, np.zeros(2)]
    )  # two identities without a change: the same test, too many to try
    drawn = sign_flip(padded, np.ones(EXACT_UP_TO + 2), flips=40_000, seed=0)
    assert not drawn.exact
    assert drawn.p == pytest.approx(exact.p, abs=0.01)


def total(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return values.sum(axis=axis)


def ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


@pytest.mark.parametrize(
    "sums",
    [
        RNG.normal(0.2, 1, 9),
        RNG.normal(0.2, 1, 13),
        np.array([0.1, 0.2, 0.3, -0.1, 0.2, 0.1, 0.3]),
        np.zeros(5),
    ],
    ids=["9", "13", "ties", "no change"],
)
def test_an_exact_p_is_that_of_scipy(sums) -> None:
    theirs = permutation_test((sums,), total, permutation_type="samples", vectorized=True, n_resamples=2**14)
    assert sign_flip(sums, np.ones(len(sums)), flips=1, seed=0).p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_a_random_p_and_an_interval_are_those_of_scipy_within_the_error_of_their_draws() -> None:
    sums, counts = RNG.normal(0.1, 1, 120), RNG.integers(1, 9, 120).astype(float)
    test = permutation_test(
        (sums,), total, permutation_type="samples", vectorized=True, n_resamples=9999, random_state=0
    )
    ours = sign_flip(sums, counts, flips=9999, seed=0).p
    assert ours == pytest.approx(test.pvalue, abs=4 * np.sqrt(0.5 / 9999))
    ends = bootstrap(
        (sums, counts), ratio, paired=True, vectorized=True, method="percentile", random_state=0
    ).confidence_interval
    drawn = interval(0, bootstrap_means(sums[:, None], counts, draws=9999, seed=0)[:, 0])
    assert (drawn.low, drawn.high) == pytest.approx(tuple(ends), abs=0.05 * (ends.high - ends.low))


def test_the_smallest_p_counts_the_observed_pattern():
    found = sign_flip(np.ones(40), np.ones(40), flips=999, seed=0)
    assert found.p == pytest.approx(1 / 1000)


def test_no_change_at_all_is_no_evidence():
    assert sign_flip(np.zeros(5), np.ones(5), flips=9, seed=0).p == 1
    assert sign_flip(np.zeros(50), np.ones(50), flips=9, seed=0).p == 1


def test_without_identities_there_is_no_p():
    assert np.isnan(sign_flip(np.zeros(0), np.zeros(0), flips=9, seed=0).p)


@pytest.mark.parametrize("n", [9, 30])
def test_p_is_roughly_uniform_over_200_nulls(n):
    """Differences of any spread, symmetric about 0, as when plain and enhanced could be exchanged."""
    rng = np.random.default_rng(n)
    spread = rng.gamma(1, size=n)
    values = [
        sign_flip(rng.normal(size=n) * spread, np.full(n, 3), flips=499, seed=seed).p for seed in range(200)
    ]
    assert kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) <= 0.05) < 0.1


def test_identities_are_drawn_whole():
    """With one identity far from the rest, means jump with how often it is drawn, not image by image."""
    sums, counts = np.array([[100.0], [0.0]]), np.array([100, 100])
    drawn = bootstrap_means(sums, counts, draws=4000, seed=0)[:, 0]
    assert set(np.round(drawn, 9)) == {0.0, 0.5, 1.0}
    assert np.mean(drawn == 0.5) == pytest.approx(0.5, abs=0.05)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(1), 0
    for seed in range(200):
        counts = rng.integers(1, 6, size=40)
        sums = counts * (0.3 + rng.normal(0, 0.2, size=40))
        drawn = bootstrap_means(sums[:, None], counts, draws=400, seed=seed)
        found = interval(float(sums.sum() / counts.sum()), drawn[:, 0])
        covered += found.low <= 0.3 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_columns_are_drawn_together():
    sums = RNG.normal(size=(12, 2))
    both = np.concatenate([sums, sums[:, 1:] - sums[:, :1]], axis=1)
    drawn = bootstrap_means(both, np.ones(12), draws=50, seed=3)
    np.testing.assert_allclose(drawn[:, 2], drawn[:, 1] - drawn[:, 0])
    np.testing.assert_array_equal(drawn, bootstrap_means(both, np.ones(12), draws=50, seed=3))
