"""Neighbours of a row: order, rules, marks; and their agreement with the retrieval measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mswin_viz.analysis.embeddings.neighbours import neighbours, ranked_queries
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.retrieval import retrieval
from mswin_viz.errors import OptionError, ShapeError, StoppedError
from mswin_viz.model.encoder.encoded_batch import Failure


def made_table(features, pids, camids=None, *, modality=None, scenes=None, splits=None) -> EmbeddingTable:
    n = len(features)
    fill = lambda given, value: np.full(n, value) if given is None else np.asarray(given)  # noqa: E731
    features = np.asarray(features, np.float32)
    kinds = fill(modality, "RGB")
    return EmbeddingTable(
        sample=np.arange(n),
        modality=kinds,
        pid=np.asarray(pids),
        camid=np.arange(n) if camids is None else np.asarray(camids),
        scene=fill(scenes, -1),
        split=fill(splits, ""),
        files=tuple({kind: Path(f"{i}.png")} for i, kind in enumerate(kinds.tolist())),
        plain=features,
        enhanced=features[:, ::-1].copy(),
    )


def at_angles(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_neighbours_come_nearest_first_with_their_cosines() -> None:
    table = made_table(at_angles(0, 30, 10, 60) * [[3], [1], [7], [2]], [1, 1, 2, 1])
    found = neighbours(table, 0)
    assert found.rows.tolist() == [2, 1, 3]
    np.testing.assert_allclose(found.similarity, np.cos(np.radians([10, 30, 60])), atol=1e-6)
    assert found.marks == ("wrong", "right", "right")
    assert (found.first_right, found.n_right, found.n_candidates, found.n_dropped) == (2, 2, 3, 0)
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_the_feature_asked_for_decides_the_order() -> None:
    table = made_table([[1, 0, 0], [1, 2, 0], [0, 0.5, 1]], [0, 0, 1])
    assert neighbours(table, 0, feature="plain").rows.tolist() == [1, 2]
    reversed_ = replace(table, enhanced=table.plain[[0, 2, 1]])
    assert neighbours(reversed_, 0, feature="enhanced").rows.tolist() == [2, 1]


def test_the_camera_rule_drops_the_querys_identity_in_its_camera_only() -> None:
    table = made_table(at_angles(0, 1, 2, 3, 4), [5, 5, 5, 6, 6], [1, 1, 2, 1, 2])
    assert neighbours(table, 0, rule="camera").rows.tolist() == [2, 3, 4]
    assert neighbours(table, 0, rule="camera").n_dropped == 1
    assert neighbours(table, 0, rule="none").rows.tolist() == [1, 2, 3, 4]


def test_the_scene_rule_drops_the_querys_identity_in_its_scene_only() -> None:
    table = made_table(at_angles(0, 1, 2, 3), [5, 5, 5, 6], [1, 2, 1, 1], scenes=[7, 7, 8, 7])
    assert neighbours(table, 0, rule="scene").rows.tolist() == [2, 3]


def test_a_camera_that_is_not_known_is_like_no_other() -> None:
    table = made_table(at_angles(0, 1, 2), [5, 5, 6], [-1, -1, -1])
    found = neighbours(table, 0, rule="camera")
    assert found.rows.tolist() == [1, 2]
    assert found.average_precision == 1.0


def test_equal_cosines_keep_the_tables_order() -> None:
    features = np.tile([[1.0, 2.0, 0.5]], (30, 1)) * np.linspace(0.1, 9, 30)[:, None]
    table = made_table(features, [7] + [1] * 28 + [7])
    found = neighbours(table, 0, k=40)
    assert found.rows.tolist() == list(range(1, 30))
    assert found.first_right == 29


def test_identities_that_are_not_known_are_neither_right_nor_wrong() -> None:
    table = made_table(at_angles(0, 1, 2, 3), [4, -1, 4, 5])
    assert neighbours(table, 0).marks == ("unknown", "right", "wrong")
    lost = neighbours(table, 1)
    assert lost.marks == ("unknown",) * 3
    assert not lost.right.any()
    assert np.isnan(lost.average_precision)
    assert lost.first_right is None


def test_a_query_without_a_match_has_neighbours_and_no_precision() -> None:
    found = neighbours(made_table(at_angles(0, 1, 2), [1, 2, 3]), 0)
    assert found.marks == ("wrong", "wrong")
    assert found.first_right is None
    assert np.isnan(found.average_precision)


def test_the_gallery_answers_and_training_rows_only_training_rows() -> None:
    table = made_table(
        at_angles(0, 1, 2, 3, 4), [0, 0, 0, 1, 1], splits=["query", "query", "gallery", "train", "train"]
    )
    assert neighbours(table, 0).rows.tolist() == [2]
    assert neighbours(table, 3).rows.tolist() == [4]
    assert neighbours(table, 0, candidates=[1, 4]).rows.tolist() == [1, 4]


def test_another_modality_answers_only_if_it_is_asked() -> None:
    table = made_table(at_angles(0, 1, 2, 3), [0, 0, 1, 0], modality=["RGB", "NI", "RGB", "RGB"])
    assert neighbours(table, 0).rows.tolist() == [2, 3]
    assert neighbours(table, 0, candidates=table.rows("NI")).rows.tolist() == [1]


@pytest.mark.parametrize("rule", ["camera", "scene", "none"])
@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_precisions_of_all_queries_are_those_of_each_and_of_retrieval(rule: str, feature: str) -> None:
    rng = np.random.default_rng(3)
    features = np.round(rng.normal(size=(31, 3)))  # with ties
    features[:, 0] += 5
    groups = {"camids": rng.integers(0, 3, 31), "scenes": rng.integers(0, 4, 31)}
    table = made_table(features, rng.integers(0, 5, 31), **groups)
    found = ranked_queries(table, features=(feature,), rule=rule).precisions[feature]
    each = [neighbours(table, row, feature=feature, rule=rule) for row in range(31)]
    np.testing.assert_allclose(found, [one.average_precision for one in each])
    report = retrieval(getattr(table, feature), table.pid, rule=rule, **groups)
    np.testing.assert_allclose(found, report.per_query_ap)
    first = [np.nan if one.first_right is None else one.first_right for one in each]
    np.testing.assert_array_equal(first, report.first_match)


def test_ranking_every_query_is_reported_and_can_be_stopped() -> None:
    table, seen = made_table(at_angles(*range(9)), np.arange(9) // 3), []
    ranked_queries(table, report=lambda progress: seen.append((progress.done, progress.total)))
    assert seen == [(9, 18), (18, 18)]  # plain, enhanced
    with pytest.raises(StoppedError, match="0 of 9"):
        ranked_queries(table, features=("plain",), stop=lambda: True)


def test_every_feature_is_ranked_in_one_go() -> None:
    table = made_table(np.random.default_rng(3).normal(size=(31, 3)), np.arange(31) % 5)
    ranked = ranked_queries(table)
    assert list(ranked.precisions) == ["plain", "enhanced"]
    for feature, precisions in ranked.precisions.items():
        alone = ranked_queries(table, features=(feature,)).precisions[feature]
        np.testing.assert_array_equal(precisions, alone)


def test_a_gallery_of_nobody_leaves_precisions_empty() -> None:
    table = made_table(at_angles(0, 1), [0, 0], splits=["query", "query"])
    assert np.isnan(ranked_queries(table).precisions["plain"]).all()


@pytest.mark.parametrize(
    ("changes", "options", "error", "said"),
    [
        ({}, {"query": 3}, OptionError, r"0\.\.2: got 3"),
        ({}, {"k": 0}, OptionError, "at least 1: got 0"),
        ({}, {"rule": "person"}, OptionError, "'person'"),
        ({}, {"feature": "both"}, OptionError, "'both'"),
        ({}, {"candidates": [0, 9]}, OptionError, r"0\.\.2"),
        ({}, {"candidates": [0]}, ShapeError, "at least one candidate"),
        ({"camids": [0, 0, 0], "pids": [0, 0, 0]}, {}, ShapeError, "leaves none of 2 other rows"),
        ({"features": [[1, 0], [0, 0], [1, 1]]}, {}, ShapeError, r"row 1 \(1\.png\)"),
        ({"features": [[1, 0], [1, 0], [np.nan, 1]]}, {}, ShapeError, "row 2"),
    ],
)
def test_input_that_does_not_fit_is_an_error(changes, options, error, said) -> None:
    table = made_table(**{"features": at_angles(0, 1, 2), "pids": [0, 0, 1], "camids": [0, 1, 0], **changes})
    with pytest.raises(error, match=said):
        neighbours(table, **{"query": 0, **options})


def test_one_image_alone_has_no_neighbours() -> None:
    with pytest.raises(ShapeError, match="at least one candidate"):
        neighbours(made_table([[1, 0]], [0]), 0)


def test_a_table_that_is_ranked_by_distance_is_so_everywhere() -> None:
    rng = np.random.default_rng(3)
    features = np.round(rng.normal(size=(31, 3)) * rng.uniform(0.5, 4, size=(31, 1)))  # with ties
    pids = np.where(rng.random(31) < 0.2, -1, rng.integers(0, 5, 31))
    table = replace(made_table(features, pids, rng.integers(-1, 3, 31)), metric="euclidean")
    found = ranked_queries(table).precisions["plain"]
    each = [neighbours(table, row) for row in range(31)]
    np.testing.assert_allclose(found, [one.average_precision for one in each])
    report = retrieval(table.plain, table.pid, table.camid, metric="euclidean")
    np.testing.assert_allclose(found, report.per_query_ap)
    distances = np.linalg.norm(features[each[4].rows] - features[4], axis=1)
    np.testing.assert_allclose(each[4].similarity, distances)
    assert (np.diff(distances) >= -1e-9).all()
    assert each[4].metric == "euclidean"
    by_cosine = ranked_queries(made_table(features + 5, pids, table.camid)).precisions["plain"]
    assert not np.allclose(found, by_cosine, equal_nan=True)


def test_a_part_of_a_table_and_joined_modalities_keep_its_metric() -> None:
    table = made_table(at_angles(0, 1, 2, 3), [0, 0, 1, 1], modality=["RGB", "RGB", "NI", "NI"])
    table = replace(table, metric="euclidean", sample=np.array([0, 1, 0, 1]))
    assert table[[0, 1]].metric == "euclidean"
    assert table.concatenated(("RGB", "NI")).metric == "euclidean"
    with pytest.raises(OptionError, match="'manhattan'"):
        replace(table, metric="manhattan")


def test_what_must_be_known_of_a_ranking_is_said() -> None:
    table = made_table(at_angles(*range(6)), [0, 0, 1, 1, 2, -1], [0, 1, 0, 0, 0, 0])
    assert ranked_queries(table).notes == (
        "Over 2 of 6 queries: 4 queries have no match (1 of unknown identity, 1 whose identity has no other image in the "
        "gallery, 2 whose identity has no image from another camera).",
    )
    assert np.isfinite(ranked_queries(table).precisions["plain"]).sum() == 2
    assert ranked_queries(made_table(at_angles(0, 1), [0, 0])).notes == ()
    unknown = made_table(at_angles(0, 1), [0, 0], [-1, -1])
    assert "No camera numbers" in ranked_queries(unknown).notes[0]
    failed = replace(unknown, failed=(Failure(Path("broken.jpg"), "cut short"),))
    assert "1 image could not be embedded" in ranked_queries(failed, rule="none").notes[0]
    assert "broken.jpg (cut short)" in ranked_queries(failed, rule="none").notes[0]
