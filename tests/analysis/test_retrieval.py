"""mAP and CMC against the per-query loop of published re-ID code, and by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mswin_viz as mv
from mswin_viz.analysis.embeddings.query_values import empty_values, fill_values
from mswin_viz.analysis.measures import ranking as module
from mswin_viz.analysis.measures.matching import matching
from mswin_viz.analysis.measures.retrieval import measured_queries, retrieval
from mswin_viz.errors import OptionError, ShapeError


def measures_by_loops(features, pids, camids, query, gallery, ranks, *, rule="camera", metric="cosine"):
    unit = [f / np.sqrt(sum(f * f)) if metric == "cosine" else f for f in features]
    aps, firsts = [], []
    for q in query:
        kept = []
        for g in gallery:
            same_group = rule != "none" and camids[g] == camids[q] and camids[q] >= 0
            if g != q and not (pids[g] == pids[q] and same_group):
                kept.append(g)
        distances = [round(float(sum((unit[q] - unit[g]) ** 2)), 11) for g in kept]
        ranked = [g for _, _, g in sorted(zip(distances, range(len(kept)), kept, strict=True))]
        n_found, precisions = 0, []
        for place, g in enumerate(ranked, start=1):
            if pids[g] == pids[q] and pids[q] >= 0:
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
    metric=st.sampled_from(["cosine", "euclidean"]),
    unknown=st.sampled_from([0, 0.3, 1]),
)
def test_measures_are_those_of_the_published_loop_with_ties_and_unknown_numbers(
    seed, n_images, coarse, chunk, rule, metric, unknown
):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_images, 3)) * rng.choice([0.01, 1, 300])
    if coarse:  # few different vectors: many exact ties
        features = np.sign(features) * rng.choice([1, 2], size=(n_images, 1)) + np.array([0, 0, 3])
    pids, camids = (
        np.where(rng.random(n_images) < unknown, -1, rng.integers(0, n, n_images)) for n in (4, 3)
    )
    query = rng.permutation(n_images)[: max(1, n_images // 2)]
    gallery = rng.permutation(n_images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAIRS_AT_ONCE", chunk)
        keys = (
            {"camids": rng.permutation(camids), "scenes": camids} if rule == "scene" else {"camids": camids}
        )
        report = retrieval(
            features, pids, **keys, query=query, gallery=gallery, ranks=(1, 2, 5), rule=rule, metric=metric
        )
    aps, cmc = measures_by_loops(features, pids, camids, query, gallery, (1, 2, 5), rule=rule, metric=metric)
    np.testing.assert_allclose(report.per_query_ap, aps, rtol=1e-12)
    assert (report.n_queries, report.n_answered) == (len(query), np.isfinite(aps).sum())
    assert sum(report.unanswered.values()) == np.isnan(aps).sum()
    assert report.unanswered.get("unknown", 0) == (pids[query] < 0).sum()
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
        ({"gallery": [0, 3]}, OptionError, r"0..2: got \[0, 3\]"),
        ({"query": [-1]}, OptionError, "-1"),
        ({"query": [True, False]}, OptionError, r"got \[True, False\]"),
        ({"query": [False] * 3}, ShapeError, "query chooses at least one image"),
        ({"query": ["a"]}, OptionError, r"got \['a'\]"),
        ({"query": [[0], [1, 2]]}, ShapeError, "a list of indices or a boolean for each of the 3 images"),
        ({"gallery": {0, 1}}, ShapeError, r"gallery chooses .* got \{0, 1\}"),
        ({"gallery": [0.0, 1.0]}, OptionError, "got"),
        ({"gallery": [None]}, OptionError, "got"),
        ({"ranks": (0, 1)}, OptionError, r"\(0, 1\)"),
        ({"ranks": "1"}, OptionError, "ranks are whole numbers, counted from 1: got '1'"),
        ({"ranks": [1.5]}, OptionError, "counted from 1"),
        ({"ranks": None}, OptionError, "counted from 1: got None"),
        ({"features": mv.Tokens(torch.ones(3, 2), torch.ones(3, 2, 2), (1, 2))}, ShapeError, "got Tokens"),
        ({"rule": "time"}, OptionError, "time"),
        ({"rule": "scene"}, OptionError, "scenes="),
        ({"rule": "scene", "scenes": [1, 2]}, ShapeError, r"\(2,\)"),
        ({"metric": "manhattan"}, OptionError, "cosine, euclidean: got 'manhattan'"),
        ({"metric": "euclidean", "features": np.array([[1.0, 0], [1, 1], [1, np.inf]])}, ShapeError, "row 2"),
        ({"features": [["a"], ["b"], ["c"]]}, ShapeError, "real numbers"),
        ({"features": [["1"], ["2"], ["3"]]}, ShapeError, "real numbers"),
        ({"features": [[1], [1, 2], [1]]}, ShapeError, "same length"),
        ({"features": np.ones((3, 2)) * 1j}, ShapeError, "real numbers"),
        ({"camids": [0.5, 1, 2]}, OptionError, "camids are whole numbers"),
        ({"rule": "scene", "scenes": ["a", "b", "c"]}, OptionError, "scenes are whole numbers"),
    ],
)
def test_input_that_does_not_fit_is_an_error(options, error, said):
    given_ = {"features": np.eye(3)[:, :2] + 1, "pids": [0, 0, 1], "camids": [0, 1, 0], **options}
    with pytest.raises(error, match=said):
        retrieval(**given_)


def planted(n_people=6, n_shots=4):
    rng = np.random.default_rng(2)
    pids = np.repeat(np.arange(n_people), n_shots)
    features = rng.normal(size=(n_people, 8))[pids] + 0.9 * rng.normal(size=(len(pids), 8))
    return features, pids, np.tile(np.arange(n_shots), n_people)


def test_images_of_unknown_identity_are_no_person_but_stay_in_the_gallery():
    features, pids, camids = planted()
    pids[16:] = -1
    report = retrieval(features, pids, camids)
    nobody = np.where(pids < 0, 1000 + np.arange(len(pids)), pids)
    assert report.mAP == retrieval(features, nobody, camids).mAP
    assert report.mAP < retrieval(features[:16], pids[:16], camids[:16]).mAP  # they stand in the way
    assert np.isnan(report.per_query_ap[16:]).all()
    assert (report.n_queries, report.n_answered, report.queries) == (24, 16, "16 of 24 queries")
    assert list(report.per_identity_ap) == [0, 1, 2, 3]
    assert "over 16 of 24 queries, ranked by cosine." in report.sentences()[0]
    assert report.sentences()[1] == "8 queries have no match: 8 of unknown identity."


CHOSEN = {
    "booleans": lambda rows, n: np.isin(np.arange(n), rows),
    "list of booleans": lambda rows, n: np.isin(np.arange(n), rows).tolist(),
    "boolean column": lambda rows, n: pd.Series(np.isin(np.arange(n), rows), index=range(100, 100 + n)),
    "boolean tensor": lambda rows, n: torch.from_numpy(np.isin(np.arange(n), rows)),
    "objects": lambda rows, n: np.array(rows, object),
    "range": lambda rows, n: range(rows[0], rows[-1] + 1),
    "tensor": lambda rows, n: torch.tensor(rows),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_queries_and_gallery_are_chosen_by_index_or_by_booleans(kind):
    features, pids, camids = planted()
    expected = retrieval(features, pids, camids, query=[3, 4, 5], gallery=list(range(2, 20)))
    query, gallery = (CHOSEN[kind](rows, len(pids)) for rows in ([3, 4, 5], list(range(2, 20))))
    found = retrieval(features, pids, camids, query=query, gallery=gallery)
    np.testing.assert_array_equal(found.per_query_ap, expected.per_query_ap)
    compared = mv.compare(features, features, pids, camids, query=query, gallery=gallery)
    np.testing.assert_array_equal(compared.plain.per_query_ap, expected.per_query_ap)
    assert compared.to_pandas()[1]["plain_ap"].notna().tolist() == [3 <= row <= 5 for row in range(len(pids))]


def test_one_rank_may_be_asked_for_alone():
    assert list(retrieval(*planted(), ranks=5).cmc) == [5]


NUMBERS = {
    "list": lambda values: values,
    "tuple": tuple,
    "int8": lambda values: np.array(values, np.int8),
    "float": lambda values: np.array(values, float),
    "NaN": lambda values: np.array([np.nan if v < 0 else v for v in values]),
    "None": lambda values: [None if v < 0 else v for v in values],
    "objects": lambda values: np.array(values, object),
    "pandas": lambda values: pd.Series(values),
    "pandas with NaN": lambda values: pd.Series([np.nan if v < 0 else v for v in values], dtype=float),
    "pandas with NA": lambda values: pd.Series([pd.NA if v < 0 else v for v in values], dtype="Int64"),
    "pandas, another index": lambda values: pd.Series(values, index=range(100, 100 + len(values))),
    "torch": torch.tensor,
    "torch scalars": lambda values: [torch.tensor(v) for v in values],
    "torch float": lambda values: torch.tensor(values, dtype=torch.float32),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_taken_from_any_array_of_whole_numbers(kind):
    features, pids, camids = planted()
    pids[20:], camids[:3] = -1, -7
    expected = retrieval(features, pids, camids)
    found = retrieval(features, NUMBERS[kind](pids.tolist()), NUMBERS[kind](camids.tolist()))
    np.testing.assert_array_equal(found.per_query_ap, expected.per_query_ap)
    np.testing.assert_array_equal(found.query_pids, expected.query_pids)
    assert found.unanswered == {"unknown": 4}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.5, 1, 2], r"pids are whole numbers, -1 or NaN where not known: got 0.5"),
        (["a", "b", "a"], "np.unique"),
        (["1", "2", "2"], "np.unique"),
        ([None, "a", 1], "'a'"),
        ([np.inf, 1, 2], "inf"),
        ([True, False, True], "bool"),
        (np.array([1, 2, 2**64 - 1], np.uint64), "beyond"),
        ([1e300, 1, 2], "1e.300"),
        ([1, [2], 3], "rows that differ"),
        ([1, 2**70, 3], "1180591620717411303424"),
        ([None, 1.5, 3], "1.5"),
        ([None, float("inf"), 3], "inf"),
        ([None, True, 3], "True"),
    ],
)
def test_numbers_that_are_not_whole_are_refused_with_the_rule(values, said):
    with pytest.raises(OptionError, match=said):
        retrieval(np.eye(3), values, [0, 1, 2])


@pytest.mark.parametrize("rule", ["camera", "scene"])
def test_where_no_camera_or_scene_is_known_only_the_query_is_dropped_and_it_is_said(rule):
    features, pids, camids = planted()
    unknown = np.full(len(pids), -1)
    keys = {"camids": unknown} if rule == "camera" else {"camids": camids, "scenes": unknown}
    report = retrieval(features, pids, **keys, rule=rule)
    assert report.mAP == retrieval(features, pids, camids, rule="none").mAP
    assert report.notes[0] == report.sentences()[-1]
    assert f"No {rule} numbers, so the {rule} rule leaves out only the query itself." in report.notes[0]
    assert "higher than" in report.notes[0]
    assert 'rule="' in report.notes[0]
    assert retrieval(features, pids, camids).notes == ()
    assert retrieval(features, pids, unknown, rule="none").notes == ()


def test_cameras_may_be_left_out_altogether_or_known_in_part():
    features, pids, camids = planted()
    assert "No camera numbers" in retrieval(features, pids).notes[0]
    camids[:6] = -1
    assert "6 of 24 images have no camera numbers" in retrieval(features, pids, camids).notes[0]


@pytest.mark.parametrize(
    ("pids", "camids", "said"),
    [
        (np.arange(5), np.arange(5), "5 whose identity has no other image in the gallery"),
        (np.array([1, 1, 1, 2, 2]), np.zeros(5), "5 whose identity has no image from another camera"),
        (np.full(5, -1), np.arange(5), "5 of unknown identity"),
        (
            np.array([1, 1, 2, -1, -1]),
            np.zeros(5),
            "2 of unknown identity, 1 whose identity has no other image in the gallery, 2 whose identity has no image "
            "from another camera",
        ),
    ],
)
def test_where_no_query_has_a_match_the_cause_is_said(pids, camids, said):
    report = retrieval(np.eye(5), pids, camids)
    assert np.isnan(report.mAP)
    assert report.sentences() == [f"Retrieval is not measured: no query has a match; {said}."]


def test_distances_are_of_raw_features():
    features = np.array([[1.0, 0], [50, 1], [0.9, 0.5], [3, 0]])
    pids = [0, 0, 1, 0]
    assert retrieval(features, pids, range(4), query=[0]).first_match.tolist() == [1]
    report = retrieval(features, pids, range(4), query=[0], metric="euclidean")
    assert report.per_query_ap == pytest.approx([(1 / 2 + 2 / 3) / 2])
    assert "ranked by Euclidean distance" in report.sentences()[0]


@pytest.mark.parametrize("scale", [1e-9, 1, 1e7])
def test_equal_distances_keep_the_gallerys_order_at_any_length(scale):
    rng = np.random.default_rng(0)
    features = scale * rng.normal(size=(30, 16))
    features[1:] = features[rng.integers(1, 6, 29)]  # five different vectors
    pids = np.arange(30) % 3
    report = retrieval(features, pids, range(30), metric="euclidean", ranks=(1,))
    aps, _ = measures_by_loops(
        features / scale, pids, np.arange(30), range(30), range(30), (1,), metric="euclidean"
    )
    np.testing.assert_allclose(report.per_query_ap, aps, rtol=1e-12)


def test_an_outlier_does_not_blur_the_distances_of_the_others():
    features = np.array([[0.0, 1e-3], [0, 1.2e-3], [0, 1.1e-3], [1e6, 1e6], [0, 0]])
    report = retrieval(features, [0, 1, 0, 3, 0], range(5), query=[0, 4], metric="euclidean")
    assert report.per_query_ap == pytest.approx([(1 + 2 / 3) / 2, 1])  # a vector of zeros has distances


@pytest.mark.parametrize(
    "features",
    [
        lambda some: some.tolist(),
        lambda some: torch.tensor(some, requires_grad=True),
        lambda some: [torch.tensor(row) for row in some],
        lambda some: pd.DataFrame(some),
        lambda some: np.asfortranarray(some),
    ],
)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_features_are_taken_from_lists_frames_and_tensors(features, metric):
    some, pids, camids = planted()
    found = retrieval(features(some), pids, camids, metric=metric)
    assert found.mAP == pytest.approx(retrieval(some, pids, camids, metric=metric).mAP)


def test_half_precision_is_ranked_as_it_stands():
    some, pids, camids = planted()
    for half in (some.astype(np.float16), torch.tensor(some).bfloat16()):
        full = half.astype(float) if isinstance(half, np.ndarray) else half.double().numpy()
        assert retrieval(half, pids, camids).mAP == retrieval(full, pids, camids).mAP


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_values_of_each_query_are_the_measures_of_retrieval_bit_for_bit(metric):
    rng = np.random.default_rng(3)
    n = 157
    features = np.round(rng.normal(size=(n, 4))) + 0.25  # many ties
    who = matching(rng.integers(-1, 20, n), rng.integers(-1, 3, n))
    query, gallery = rng.permutation(n)[:60], rng.permutation(n)[:120]
    rows = module.compared_rows(features, metric, "image")
    measures, values = measured_queries(rows, who, query, gallery, metric=metric), empty_values(n)
    unanswered = fill_values(values, rows, who, (query, gallery), metric=metric)
    np.testing.assert_array_equal(values.average_precision[query], measures.ap)
    np.testing.assert_array_equal(values.inverse_penalty[query], measures.inp)
    np.testing.assert_array_equal(values.first_match[query], measures.first)
    assert unanswered == measures.unanswered
    assert np.isfinite(measures.ap).sum() > 30
