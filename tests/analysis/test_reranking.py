"""k-reciprocal re-ranking and mINP against loops written from the published evaluation code."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mswin_viz as mv
from mswin_viz.analysis.measures import ranking as ranking_module
from mswin_viz.analysis.measures import reranking as module
from mswin_viz.errors import OptionError

SMALL = mv.Reranking(k1=4, k2=2)


def order_of(distances):
    """Places, nearest first; equal distances in order."""
    return [at for _, at in sorted((round(float(d), 11), at) for at, d in enumerate(distances))]


def final_distances(features, query, gallery, k1, k2, lambda_value, *, metric="cosine"):
    """The published loops, on query and gallery images together, each once."""
    images = list(dict.fromkeys([*query, *gallery]))
    rows = [
        features[i] / math.sqrt(sum(features[i] ** 2)) if metric == "cosine" else features[i] for i in images
    ]
    n = len(rows)
    distance = [[float(sum((a - b) ** 2)) for b in rows] for a in rows]
    largest = [max(distance[j][i] for j in range(n)) or 1.0 for i in range(n)]  # of each column
    original = [[distance[j][i] / largest[i] for j in range(n)] for i in range(n)]  # divided, then transposed
    rank = [order_of(row) for row in distance]

    def reciprocal(i, k):
        return [j for j in rank[i][: k + 1] if i in rank[j][: k + 1]]

    codes = []
    for i in range(n):
        own = reciprocal(i, k1)
        expanded = set(own)
        for candidate in own:
            theirs = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(set(theirs) & set(own)) > 2 / 3 * len(theirs):
                expanded |= set(theirs)
        weights = {j: math.exp(-original[i][j]) for j in expanded}
        codes.append([weights.get(j, 0) / sum(weights.values()) if weights else 0.0 for j in range(n)])
    if k2 != 1:
        codes = [[sum(codes[near][j] for near in rank[i][:k2]) / k2 for j in range(n)] for i in range(n)]
    final = []
    for q in query:
        i, line = images.index(q), []
        for g in gallery:
            j = images.index(g)
            shared = sum(min(a, b) for a, b in zip(codes[i], codes[j], strict=True))
            line.append((1 - shared / (2 - shared)) * (1 - lambda_value) + original[i][j] * lambda_value)
        final.append(line)
    return np.array(final)


def measured_by_loops(distances, pids, groups, query, gallery):
    """Average precision, inverse negative penalty, first and last rank of each query; NaN without a match."""
    found = []
    for line, q in zip(distances, query, strict=True):
        same = [g for g in gallery if g != q and pids[g] == pids[q] and pids[q] >= 0]
        left_out = {q, *(g for g in same if groups[g] == groups[q] and groups[q] >= 0)}
        ranked = [gallery[at] for at in order_of(line) if gallery[at] not in left_out]
        ranks = [place for place, g in enumerate(ranked, start=1) if g in same]
        if not ranks:
            found.append([float("nan")] * 4)
            continue
        ap = sum((n + 1) / place for n, place in enumerate(ranks)) / len(ranks)
        found.append([ap, len(ranks) / ranks[-1], ranks[0], ranks[-1]])
    return np.array(found)


def world(seed, n_images, *, coarse):
    rng = np.random.default_rng(seed)
    pids = np.where(rng.random(n_images) < 0.15, -1, rng.integers(0, 4, n_images))
    pids[rng.integers(n_images)] = 99  # an identity with one image
    features = rng.normal(size=(n_images, 5)) + 2 * rng.normal(size=(101, 5))[pids]
    if coarse:  # few different vectors: many exact ties
        features = np.sign(features) + np.array([0, 0, 0, 0, 3])
    cameras = np.where(rng.random(n_images) < 0.2, -1, rng.integers(0, 3, n_images))
    return features, pids, cameras, rng


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 9999),
    n_images=st.integers(9, 24),
    coarse=st.booleans(),
    rule=st.sampled_from(["camera", "scene", "none"]),
    metric=st.sampled_from(["cosine", "euclidean"]),
    parameters=st.sampled_from([(4, 2, 0.3), (6, 1, 0.5), (3, 5, 0.0), (5, 3, 1.0), (8, 6, 0.3)]),
    everyone=st.booleans(),
)
def test_reranked_measures_are_those_of_the_published_loops(
    seed, n_images, coarse, rule, metric, parameters, everyone
):
    features, pids, cameras, rng = world(seed, n_images, coarse=coarse)
    query = np.arange(n_images) if everyone else rng.permutation(n_images)[: n_images // 2]
    gallery = np.arange(n_images) if everyone else rng.permutation(n_images)[2:]
    who = {"scenes": cameras} if rule == "scene" else {"camids": cameras}
    reranking = mv.Reranking(*parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 40)
        patch.setattr(ranking_module, "PAIRS_AT_ONCE", 40)
        try:
            report = mv.retrieval(
                features,
                pids,
                **who,
                query=query,
                gallery=gallery,
                rule=rule,
                metric=metric,
                reranking=reranking,
            )
        except OptionError:
            assert len({*query, *gallery}) <= parameters[0]
            return
    distances = final_distances(features, query, gallery, *parameters, metric=metric)
    groups = np.full(n_images, -1) if rule == "none" else cameras
    expected = measured_by_loops(distances, pids, groups, query, gallery)
    found = (report.per_query_ap, report.per_query_inp, report.first_match, report.last_match)
    np.testing.assert_allclose(np.stack(found, axis=1), expected, rtol=1e-9)
    if np.isfinite(expected[:, 0]).any():
        assert report.mAP == pytest.approx(np.nanmean(expected[:, 0]))
        assert report.mINP == pytest.approx(np.nanmean(expected[:, 1]))
    np.testing.assert_allclose(
        mv.rerank(features, reranking, query=query, gallery=gallery, metric=metric), distances, atol=2e-7
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), coarse=st.booleans(), rule=st.sampled_from(["camera", "scene", "none"]))
def test_minp_is_that_of_the_published_loop_with_ties_and_unknown_numbers(seed, coarse, rule):
    features, pids, cameras, rng = world(seed, 18, coarse=coarse)
    query, gallery = rng.permutation(18)[:9], rng.permutation(18)
    who = {"scenes": cameras} if rule == "scene" else {"camids": cameras}
    report = mv.retrieval(features, pids, **who, query=query, gallery=gallery, rule=rule)
    unit = [row / math.sqrt(sum(row**2)) for row in features]
    distances = [[sum((unit[q] - unit[g]) ** 2) for g in gallery] for q in query]
    groups = np.full(18, -1) if rule == "none" else cameras
    expected = measured_by_loops(distances, pids, groups, query, gallery)
    np.testing.assert_allclose(report.per_query_inp, expected[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(report.last_match, expected[:, 3])


def test_minp_by_hand():
    angles = np.radians([0, 10, 20, 30, 40])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    report = mv.retrieval(features, [7, 7, 3, 7, 3], [1, 2, 2, 2, 2], query=[0])
    assert report.per_query_inp == pytest.approx([2 / 3])  # two matches, the last one at rank 3
    assert (report.last_match.tolist(), report.mINP) == ([3], pytest.approx(2 / 3))
    assert "mINP 66.7%" in str(report)


def test_a_record_that_was_made_without_minp_has_none():
    report = mv.RetrievalReport(0.5, {1: 0.5}, np.array([0.5]), np.array([1.0]), np.array([1]))
    assert np.isnan(report.mINP)
    assert "mINP not measured" in str(report)


def test_reranking_finds_a_match_that_only_neighbours_share():
    """Two strangers are nearer to the query than a match; the neighbours of the match are the query's."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(8, 12))
    pids, cameras = np.repeat(np.arange(8), 10), np.tile(np.arange(10), 8)
    features = people[pids] + 0.9 * rng.normal(size=(80, 12))
    plain, reranked = (
        mv.retrieval(features, pids, cameras, reranking=how) for how in (None, mv.Reranking(k1=9, k2=4))
    )
    assert reranked.mAP > plain.mAP + 0.02
    assert reranked.reranking == mv.Reranking(9, 4)
    assert "re-ranked by k-reciprocal neighbours (k1 9, k2 4, lambda 0.3)" in str(reranked)
    assert plain.reranking is None


def test_lambda_of_one_leaves_the_lists_as_they_are():
    features, pids, cameras, _ = world(3, 20, coarse=False)
    how = mv.Reranking(k1=4, k2=2, lambda_value=1)
    plain, same = (mv.retrieval(features, pids, cameras, reranking=one) for one in (None, how))
    np.testing.assert_array_equal(plain.per_query_ap, same.per_query_ap)


def test_images_that_are_all_alike_keep_their_order():
    report = mv.retrieval(np.ones((12, 3)), np.arange(12) // 6, range(12), reranking=SMALL)
    assert np.isfinite(report.per_query_ap).all()
    assert np.isfinite(mv.rerank(np.ones((12, 3)), SMALL)).all()


def test_a_comparison_reranks_both_and_says_so():
    features, pids, cameras, _ = world(5, 24, coarse=False)
    other = features + np.random.default_rng(1).normal(size=features.shape)
    found = mv.compare(features, other, pids, cameras, reranking=SMALL, draws=50, k=3)
    for report, rows in ((found.plain, features), (found.enhanced, other)):
        alone = mv.retrieval(rows, pids, cameras, reranking=SMALL)
        np.testing.assert_array_equal(report.per_query_ap, alone.per_query_ap)
    assert "re-ranked by k-reciprocal" in found.sentences()[0] + found.sentences()[1]


def test_minp_of_a_comparison_has_an_interval_and_a_test_from_the_draws_of_map():
    features, pids, cameras, _ = world(8, 40, coarse=False)
    other = features + np.random.default_rng(1).normal(size=features.shape)
    found = mv.compare(features, other, pids, cameras, draws=300, flips=100, seed=4)
    rng = np.random.default_rng(4)
    before, after = (report.per_query_inp for report in (found.plain, found.enhanced))
    owners = [
        np.flatnonzero((found.plain.query_pids == pid) & np.isfinite(before)) for pid in found.identities
    ]
    times = rng.multinomial(len(owners), np.full(len(owners), 1 / len(owners)), size=300)
    drawn = []
    for line in times:
        rows = np.concatenate([np.repeat(rows, n) for rows, n in zip(owners, line, strict=True)])
        drawn.append(np.mean(after[rows] - before[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    gap = found.inp_difference_interval
    assert (gap.low, gap.high) == pytest.approx((low, high))
    assert gap.value == pytest.approx(found.enhanced.mINP - found.plain.mINP)
    n, larger = len(owners), 0
    sums = [sum(after[rows] - before[rows]) for rows in owners]
    for pattern in range(2**n):
        flipped = sum(value if pattern >> at & 1 else -value for at, value in enumerate(sums))
        larger += abs(flipped) >= abs(sum(sums)) - 1e-12
    assert found.inp_test.p == pytest.approx(larger / 2**n)
    people, images = found.to_pandas()
    np.testing.assert_allclose(people["inp_change"], people["enhanced_inp"] - people["plain_inp"])
    np.testing.assert_array_equal(images["plain_last_match"], found.plain.last_match)
    assert any(line.startswith("mINP ") for line in found.sentences())


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(
        OptionError, match=r"more than k1 images, .* got k1=20 and k2=6 for 12; use smaller ones"
    ):
        mv.retrieval(np.eye(12), np.arange(12) // 2, reranking=mv.Reranking())
    with pytest.raises(OptionError, match="k1=3 and k2=13 for 12"):
        mv.rerank(np.eye(12), mv.Reranking(k1=3, k2=13))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"k1": 0}, "k1 is a whole number of at least 1: got 0"),
        ({"k2": 2.5}, "k2 is a whole number of at least 1: got 2.5"),
        ({"lambda_value": 1.2}, "between 0 and 1: got 1.2"),
        ({"lambda_value": "0.3"}, "between 0 and 1: got '0.3'"),
        ({"lambda_value": float("nan")}, "between 0 and 1: got nan"),
    ],
)
def test_a_wrong_parameter_is_refused(given, words):
    with pytest.raises(OptionError, match=words):
        mv.Reranking(**given)


def test_what_is_no_record_of_parameters_is_refused():
    with pytest.raises(OptionError, match=r"mv.Reranking\(k1=20, .* or None: got True"):
        mv.retrieval(np.eye(3), [0, 0, 1], reranking=True)


def test_the_measures_of_the_paper_say_how_lists_were_reranked():
    assert mv.Reranking().words == "re-ranked by k-reciprocal neighbours (k1 20, k2 6, lambda 0.3)"


def test_memory_stays_far_below_that_of_all_pairs():
    rng = np.random.default_rng(0)
    n = 3000
    features = rng.normal(size=(n, 8)).astype(np.float32)
    tracemalloc.start()
    mv.retrieval(features, np.arange(n) // 10, np.arange(n), query=np.arange(300), reranking=mv.Reranking())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * n * n  # one matrix of all pairs; published code holds several
