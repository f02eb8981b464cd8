"""Overlap, silhouettes and CKA against scikit-learn, loops and kernels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from support.planted import identities

from mswin_viz.analysis.measures.feature_spaces import (
    feature_pair,
    linear_cka,
    neighbour_overlap,
    silhouettes,
)
from mswin_viz.errors import OptionError, ShapeError

FEATURES, PIDS, _ = identities(50, 7, dim=9, spread=0.9)
OTHER = FEATURES + np.random.default_rng(2).normal(size=FEATURES.shape)
UNIT, UNIT_OTHER = feature_pair(FEATURES, OTHER)


def test_silhouettes_are_scikit_learns():
    np.testing.assert_allclose(
        silhouettes(UNIT, PIDS), silhouette_samples(FEATURES, PIDS, metric="cosine"), atol=1e-12
    )


def test_an_identity_with_one_image_has_no_silhouette_and_still_counts_as_another():
    pids = PIDS.copy()
    pids[4] = 99
    found = silhouettes(UNIT, pids)
    assert np.flatnonzero(np.isnan(found)).tolist() == [4]
    np.testing.assert_allclose(
        np.delete(found, 4), np.delete(silhouette_samples(FEATURES, pids, metric="cosine"), 4), atol=1e-12
    )


def test_one_identity_has_no_silhouette():
    assert np.isnan(silhouettes(UNIT, np.zeros(50, int))).all()


def test_overlap_is_that_of_cosine_neighbours():
    found = neighbour_overlap(UNIT, UNIT_OTHER, k=6)
    for at in (0, 17, 49):
        sets = [set(np.argsort(-np.delete(some @ some[at], at))[:6]) for some in (UNIT, UNIT_OTHER)]
        assert found[at] == len(sets[0] & sets[1]) / 6
    assert (neighbour_overlap(UNIT, UNIT, k=6) == 1).all()
    with pytest.raises(OptionError, match="k=50"):
        neighbour_overlap(UNIT, UNIT, k=50)


def test_linear_cka_is_the_alignment_of_centred_kernels():
    centring = np.eye(50) - 1 / 50
    kernels = [centring @ some @ some.T @ centring for some in (UNIT, UNIT_OTHER)]
    by_kernels = (kernels[0] * kernels[1]).sum() / np.sqrt(np.prod([(some**2).sum() for some in kernels]))
    assert linear_cka(UNIT, UNIT_OTHER) == pytest.approx(by_kernels)


def test_cka_does_not_mind_turning_and_scaling():
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(9, 9)))
    assert linear_cka(UNIT, 3 * UNIT @ turn + 1) == pytest.approx(1)
    assert linear_cka(UNIT, np.random.default_rng(4).normal(size=(50, 9))) < 0.4
    assert np.isnan(linear_cka(UNIT, np.ones_like(UNIT)))


def test_features_are_the_same_images_in_the_same_rows():
    with pytest.raises(ShapeError, match=r"\(49, 9\)"):
        feature_pair(FEATURES, OTHER[:49])
    with pytest.raises(ShapeError, match="enhanced row"):
        feature_pair(FEATURES, np.where(np.arange(50)[:, None] == 7, np.inf, OTHER))
