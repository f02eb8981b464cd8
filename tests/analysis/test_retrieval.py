"""mAP and CMC against the per-query loop of published re-ID code, and by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mswin_viz.analysis import retrieval as module
from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.errors import OptionError, ShapeError


def measures_by_loops(features, pids, camids, query, gallery, ranks, *, rule="camera"):
    unit = [f / np.sqrt(sum(f * f)) for f in features]
    aps, firsts = [], []
    for q in query:
        if rule == "none":
            kept = [g for g in gallery if g != q]
        else:
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
    rule=st.sampled_from(["camera", "scene", "none"]),
)
def test_measures_are_those_of_the_published_loop_with_and_without_ties(seed, n_images, coarse, chunk, rule):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_images, 3))
    if coarse:  # few different directions: many exact ties
        features = np.sign(features) + np.array([0, 0, 3])
    pids, camids = rng.integers(0, 4, n_images), rng.integers(0, 3, n_images)
    query = rng.permutation(n_images)[: max(1, n_images // 2)]
    gallery = rng.permutation(n_images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        keys = (
            {"camids": rng.permutation(camids), "scenes": camids} if rule == "scene" else {"camids": camids}
        )
        report = retrieval(features, pids, **keys, query=query, gallery=gallery, ranks=(1, 2, 5), rule=rule)
    aps, cmc = measures_by_loops(features, pids, camids, query, gallery, (1, 2, 5), rule=rule)
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


def test_near_ties_are_found_among_images_that_are_not_tied():
    """Twins of a match, and of a stranger, in the middle of a gallery of distinct images."""
    rng = np.random.default_rng(3)
    features, pids = rng.normal(size=(60, 4)), np.arange(60) % 6
    for twin, of in ((11, 30), (50, 30), (12, 31), (44, 45)):
        features[twin] = features[of] * (1 + 1e-15)
    report = retrieval(features, pids, np.arange(60))
    aps, _ = measures_by_loops(features, pids, np.arange(60), range(60), range(60), (1,))
    np.testing.assert_allclose(report.per_query_ap, aps, rtol=1e-12)


def test_the_scene_rule_drops_the_same_scene_and_keeps_the_same_camera():
    features = np.array([[1.0, 0], [1, 0.1], [1, 0.2], [1, 0.3]])
    pids, camids, scenes = [7, 7, 7, 3], [1, 1, 2, 1], [5, 6, 5, 5]
    by_camera = retrieval(features, pids, camids, query=[0])
    by_scene = retrieval(features, pids, camids, query=[0], rule="scene", scenes=scenes)
    assert by_camera.first_match.tolist() == [1]  # image 2, since 1 has its camera
    assert by_scene.first_match.tolist() == [1]  # image 1, since 2 has its scene
    assert retrieval(features[[0, 2, 3, 1]], [7, 7, 3, 7], [1, 2, 1, 1], query=[0]).per_query_ap[0] == 1
    assert by_scene.per_query_ap[0] == 1


def test_without_a_rule_only_the_query_itself_is_dropped():
    features = np.array([[1.0, 0], [1, 0.1], [0, 1]])
    report = retrieval(features, [7, 7, 7], [1, 1, 2], query=[0], rule="none")
    assert report.per_query_ap.tolist() == [1]
    assert np.isnan(retrieval(features, [7, 7, 8], [1, 1, 2], query=[0]).mAP)


def test_average_precision_of_identities():
    features = np.random.default_rng(1).normal(size=(12, 3))
    pids = np.array([4, 4, 4, 9, 9, 2, 2, 2, 2, 4, 9, 5])
    report = retrieval(features, pids, np.arange(12))
    found = report.per_identity_ap
    assert list(found) == [2, 4, 5, 9]
    assert found[4] == pytest.approx(report.per_query_ap[pids == 4].mean())
    assert np.isnan(found[5])


def test_memory_is_bounded_by_blocks():
    features = np.random.default_rng(0).normal(size=(20_000, 4))
    tracemalloc.start()
    retrieval(features, np.arange(20_000) % 700, np.arange(20_000) % 3, query=np.arange(800))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 2**20  # all pairs at once would be 122 MiB for the similarities alone


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
        ({"rule": "time"}, OptionError, "time"),
        ({"rule": "scene"}, OptionError, "scenes="),
        ({"rule": "scene", "scenes": [1, 2]}, ShapeError, r"\(2,\)"),
    ],
)
def test_input_that_does_not_fit_is_an_error(options, error, said):
    given_ = {"features": np.eye(3)[:, :2] + 1, "pids": [0, 0, 1], "camids": [0, 1, 0], **options}
    with pytest.raises(error, match=said):
        retrieval(**given_)
