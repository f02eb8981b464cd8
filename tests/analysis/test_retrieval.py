"""mAP and CMC against the per-query loop of published re-ID code, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mswin_viz.analysis import retrieval as module
from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.errors import OptionError, ShapeError


def measures_by_loops(features, pids, camids, query, gallery, ranks):
    unit = [f / np.sqrt(sum(f * f)) for f in features]
    aps, firsts = [], []
    for q in query:
        kept = [g for g in gallery if not (pids[g] == pids[q] and camids[g] == camids[q])]
        distances = [round(2 - 2 * float(unit[q] @ unit[g]), 11) for g in kept]
        ranked = [g for _, _, g in sorted(zip(distances, range(len(kept)), kept, strict=True))]
        n_found, precisions = 0, []
        for place, g in enumerate(ranked, start=1):
            if pids[g] == pids[q]:
                n_found += 1
                precisions.append(n_found / place)
                if n_found == 1:
                    firsts.append(place)
        aps.append(sum(precisions) / n_found if n_found else float("nan"))
    cmc = {rank: sum(first <= rank for first in firsts) / max(1, len(firsts)) for rank in ranks}
    return aps, cmc


@settings(deadline=None)
@given(
    seed=st.integers(0, 9999),
    n_images=st.integers(2, 25),
    coarse=st.booleans(),
    chunk=st.sampled_from([1, 40, 4_000_000]),
)
def test_measures_are_those_of_the_published_loop_with_and_without_ties(seed, n_images, coarse, chunk):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_images, 3))
    if coarse:  # few different directions: many exact ties
        features = np.sign(features) + np.array([0, 0, 3])
    pids, camids = rng.integers(0, 4, n_images), rng.integers(0, 3, n_images)
    query = rng.permutation(n_images)[: max(1, n_images // 2)]
    gallery = rng.permutation(n_images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        report = retrieval(features, pids, camids, query=query, gallery=gallery, ranks=(1, 2, 5))
    aps, cmc = measures_by_loops(features, pids, camids, query, gallery, (1, 2, 5))
    np.testing.assert_allclose(report.per_query_ap, aps, rtol=1e-12)
    if np.isfinite(aps).any():
        assert report.mAP == pytest.approx(np.nanmean(aps))
        assert report.cmc == pytest.approx(cmc)
    else:
        assert np.isnan([report.mAP, *report.cmc.values()]).all()


def test_a_ranking_by_hand():
    angles = np.radians([0, 10, 20, 30, 0])  # the last is the query's twin from its own camera
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [5], [0.1], [2], [1]]
    report = retrieval(features, [7, 3, 7, 7, 7], [1, 1, 2, 2, 1], query=[0], ranks=(1, 2))
    assert report.per_query_ap == pytest.approx([(1 / 2 + 2 / 3) / 2])
    assert report.cmc == {1: 0.0, 2: 1.0}
    assert report.first_match.tolist() == [2]


def test_all_against_all_never_finds_the_query_itself():
    features = np.eye(4)
    report = retrieval(features, [0, 0, 1, 1], [0, 1, 0, 1])
    assert report.per_query_ap.shape == (4,)
    assert report.mAP < 1
    assert set(report.cmc) == {1, 5, 10}


def test_a_query_without_a_match_is_left_out_of_the_mean():
    features = np.array([[1.0, 0], [1, 0.1], [0, 1]])
    report = retrieval(features, [0, 0, 1], [0, 1, 0])
    assert np.isnan(report.per_query_ap).tolist() == [False, False, True]
    assert report.mAP == 1.0
    assert np.isnan(report.first_match[2])


def test_equal_similarities_keep_the_gallerys_order():
    features = np.ones((40, 3))
    pids = np.arange(40) // 2
    pids[0], pids[-1] = 99, 99
    report = retrieval(features, pids, np.arange(40), query=[0], gallery=np.arange(1, 40), ranks=(38, 39))
    assert report.first_match.tolist() == [39]
    assert report.cmc == {38: 0.0, 39: 1.0}


def test_similarities_that_differ_by_a_billionth_are_ranked():
    features = np.array([[1.0, 0], [1, 5e-5], [1, 2e-5]])  # cosines 1 - 1.25e-9 and 1 - 2e-10
    assert retrieval(features, [0, 1, 0], [0, 0, 1], query=[0]).first_match.tolist() == [1]


def test_lengths_of_features_do_not_matter():
    rng = np.random.default_rng(0)
    features, pids, camids = rng.normal(size=(20, 5)), np.arange(20) % 5, np.arange(20) % 4
    scaled = features * rng.uniform(0.1, 9, size=(20, 1))
    assert retrieval(scaled, pids, camids).mAP == pytest.approx(retrieval(features, pids, camids).mAP)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"features": np.ones((0, 2)), "pids": [], "camids": []}, ShapeError, "query"),
        ({"features": np.ones(3)}, ShapeError, r"\(3,\)"),
        ({"pids": [0, 1]}, ShapeError, r"\(2,\)"),
        ({"features": np.array([[1.0, 0], [0, 0], [1, 1]])}, ShapeError, "row 1"),
        ({"features": np.array([[1.0, 0], [1, 1], [1, np.nan]])}, ShapeError, "row 2"),
        ({"query": []}, ShapeError, "query"),
        ({"gallery": []}, ShapeError, "gallery"),
        ({"gallery": [0, 3]}, OptionError, "0 to 3"),
        ({"query": [-1]}, OptionError, "-1"),
        ({"query": [True, False, True]}, OptionError, "bool"),
        ({"ranks": (0, 1)}, OptionError, r"\(0, 1\)"),
    ],
)
def test_input_that_does_not_fit_is_an_error(options, error, said):
    given_ = {"features": np.eye(3)[:, :2] + 1, "pids": [0, 0, 1], "camids": [0, 1, 0], **options}
    with pytest.raises(error, match=said):
        retrieval(**given_)
