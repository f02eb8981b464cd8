"""Quality of maps against scikit-learn, by hand, and where it must be perfect or poor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.manifold import trustworthiness

from mswin_viz.analysis.measures import nearest as module
from mswin_viz.analysis.measures.nearest import nearest, nearest_of_new, ranks_of
from mswin_viz.analysis.projection.quality import disparity, map_quality
from mswin_viz.errors import OptionError, ShapeError

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(41, 6))
PLACES = FEATURES[:, :2] + 0.3 * RNG.normal(size=(41, 2))


@pytest.fixture(params=[1, 100, 4_000_000], autouse=True)
def _blocks(request, monkeypatch):
    """One row at a time, a few, all: nothing may depend on it."""
    monkeypatch.setattr(module, "_PAIRS", request.param)


@pytest.mark.parametrize("k", [1, 7, 20])
def test_trustworthiness_and_continuity_are_scikit_learns(k):
    found = map_quality(FEATURES, PLACES, k=k)
    assert found.trustworthiness == pytest.approx(trustworthiness(FEATURES, PLACES, n_neighbors=k))
    assert found.continuity == pytest.approx(trustworthiness(PLACES, FEATURES, n_neighbors=k))


def test_knn_recall_is_the_mean_overlap_of_neighbour_sets():
    found = map_quality(FEATURES, PLACES, k=5)
    by_hand = []
    for at in range(41):
        sets = []
        for some in (FEATURES, PLACES):
            order = sorted((np.linalg.norm(some[at] - other), j) for j, other in enumerate(some) if j != at)
            sets.append({j for _, j in order[:5]})
        by_hand.append(len(sets[0] & sets[1]) / 5)
    assert found.knn_recall == pytest.approx(np.mean(by_hand))


def test_a_turned_copy_is_perfect():
    turned = FEATURES[:, :3] @ Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix() * 7 + 2
    found = map_quality(FEATURES[:, :3], turned, k=6)
    assert (found.trustworthiness, found.continuity, found.knn_recall) == (1, 1, 1)


def test_a_shuffled_map_is_no_better_than_chance():
    found = map_quality(FEATURES, RNG.permutation(FEATURES[:, :2]), k=8)
    assert found.knn_recall < 0.4  # chance: 8 of 40
    assert 0.3 < found.trustworthiness < 0.7


def test_disparity_is_zero_for_a_turned_and_scaled_map_and_large_for_a_shuffled_one():
    turn = Rotation.from_euler("z", 40, degrees=True).as_matrix()[:2, :2]
    assert disparity(PLACES, 3 * PLACES @ turn - 5) == pytest.approx(0, abs=1e-12)
    assert disparity(PLACES, RNG.permutation(PLACES)) > 0.7


def test_nearest_rows_in_order_without_the_row_itself():
    points = np.array([[0.0], [1], [3], [3], [10]])
    assert nearest(points, 2).tolist() == [[1, 2], [0, 2], [3, 1], [2, 1], [2, 3]]
    assert nearest(points, 4).shape == (5, 4)
    assert ranks_of(points, np.array([[4], [2], [3], [2], [0]])).tolist() == [[4], [2], [1], [1], [4]]


def test_nearest_old_rows_of_new_ones():
    indices, squared = nearest_of_new(np.array([[0.9], [8.0]]), np.array([[0.0], [1], [10]]), 2)
    assert indices.tolist() == [[1, 0], [2, 1]]
    np.testing.assert_allclose(squared, [[0.01, 0.81], [4, 49]])


def test_neighbours_are_as_near_as_in_a_sorted_distance_matrix_and_equals_come_in_order():
    points = np.round(2 * RNG.normal(size=(53, 3)))
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    found = nearest(points, 9)
    of_found = np.take_along_axis(distances, found, axis=1)
    np.testing.assert_array_equal(of_found, np.sort(distances, axis=1)[:, :9])
    assert (np.diff(found, axis=1) > 0)[np.diff(of_found, axis=1) == 0].all()


@pytest.mark.parametrize("k", [0, 21])
def test_neighbours_must_be_fewer_than_half(k):
    with pytest.raises(OptionError, match=f"k={k}"):
        map_quality(FEATURES, PLACES, k=k)


def test_a_place_for_each_image():
    with pytest.raises(ShapeError, match="41 images and 40 places"):
        map_quality(FEATURES, PLACES[:40])
