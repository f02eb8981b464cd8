"""Maps of plain and enhanced features: planted clusters, reproducibility, duplicates, stops, new images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from support.planted import identities, nearest_centre

import mswin_viz as mv
from mswin_viz.analysis.projection import descent
from mswin_viz.analysis.projection.affinities import affinities, both_affinities, coupled
from mswin_viz.analysis.projection.project import METHODS
from mswin_viz.analysis.projection.space import LEAST_IMAGES
from mswin_viz.errors import OptionError, ShapeError

FEATURES, PIDS, _ = identities()
ENHANCED = FEATURES + 0.3 * np.random.default_rng(9).normal(size=FEATURES.shape)


@pytest.fixture(scope="module")
def joint() -> mv.Projection:
    return mv.project(FEATURES, ENHANCED, perplexity=10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_planted_identities_are_clusters_on_both_maps(method, metric):
    found = mv.project(FEATURES, ENHANCED, method=method, metric=metric, perplexity=10)
    for places in (found.plain, found.enhanced):
        assert places.shape == (120, 2)
        assert (nearest_centre(places, PIDS) == PIDS).mean() > 0.95
    assert found.plain_quality.trustworthiness > 0.9
    most = 750 if method == "joint" else 1500
    assert (
        found.settings.iterations == most
        if method == "scikit-learn"
        else 0 < found.settings.iterations <= most
    )


def test_planted_identities_are_no_clusters_before_the_first_step():
    rng = np.random.default_rng(0)
    assert (nearest_centre(rng.normal(size=(120, 2)), PIDS) == PIDS).mean() < 0.5


def test_the_same_seed_gives_the_same_map_to_the_last_bit(joint):
    again = mv.project(FEATURES, ENHANCED, perplexity=10)
    np.testing.assert_array_equal(again.plain, joint.plain)
    np.testing.assert_array_equal(again.enhanced, joint.enhanced)


def test_another_seed_gives_another_map_as_good_as_the_first(joint):
    other = mv.project(FEATURES, ENHANCED, perplexity=10, seed=1)
    assert not np.allclose(other.plain, joint.plain)
    assert other.plain_quality.trustworthiness == pytest.approx(joint.plain_quality.trustworthiness, abs=0.02)


def test_lengths_of_features_do_not_matter(joint):
    lengths = 2.0 ** np.random.default_rng(1).integers(-2, 3, size=(120, 1))  # exact in binary
    again = mv.project(FEATURES * lengths, ENHANCED, perplexity=10)
    np.testing.assert_array_equal(again.plain, joint.plain)


def test_openTSNE_keeps_neighbours_as_well_as_scikit_learn():  # noqa: N802 (the library's name)
    ours = mv.project(FEATURES, ENHANCED, method="separate", perplexity=10)
    theirs = mv.project(FEATURES, ENHANCED, method="scikit-learn", perplexity=10)
    for name in ("plain_quality", "enhanced_quality"):
        assert getattr(ours, name).trustworthiness > getattr(theirs, name).trustworthiness - 0.02
        assert getattr(ours, name).knn_recall > getattr(theirs, name).knn_recall - 0.05


def test_joint_affinities_are_the_two_blocks_and_the_bridge_renormalised():
    a, b = (affinities(some, perplexity=4, metric="euclidean") for some in (FEATURES[:20], ENHANCED[:20]))
    assert a.sum() == pytest.approx(1)
    joint = coupled(a, b, 0.3).P
    bridge = 0.3 / 20 * np.eye(20)
    by_hand = np.block([[a.toarray(), bridge], [bridge, b.toarray()]])
    np.testing.assert_allclose(joint.toarray(), by_hand / by_hand.sum(), rtol=1e-12)
    assert by_hand.sum() == pytest.approx(2.6)
    assert isinstance(joint, sparse.csr_matrix)


def test_affinities_have_the_perplexity_asked_for():
    symmetric = affinities(FEATURES, perplexity=10, metric="euclidean").toarray()
    np.testing.assert_allclose(symmetric, symmetric.T)
    squared = ((FEATURES[:, None] - FEATURES) ** 2).sum(axis=2)
    order = np.argsort(squared[7])[1:31]
    beta = np.logspace(-4, 4, 20001)[:, None]
    weights = np.exp(-beta * (squared[7, order] - squared[7, order[0]]))
    weights /= weights.sum(axis=1, keepdims=True)
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1)
    mine = weights[np.abs(entropy - np.log(10)).argmin()]
    neighbours = np.zeros(120)
    neighbours[order] = mine
    assert (2 * 120 * symmetric[7] >= neighbours - 1e-3).all()  # its own half of (p_ij + p_ji) / 2n


def test_duplicates_are_removed_and_said():
    plain, enhanced = FEATURES[:40].copy(), ENHANCED[:40].copy()
    plain[[30, 35]], enhanced[[30, 35]] = plain[4], enhanced[4]
    plain[20] = plain[3]  # enhanced differs: kept
    found = mv.project(plain, enhanced, perplexity=5)
    assert found.removed.tolist() == [30, 35]
    assert found.equals.tolist() == [4, 4]
    assert len(found.kept) == len(found.plain) == 38
    assert found.kept[found.place_of].tolist() == [4 if at in (30, 35) else at for at in range(40)]
    assert "2 of 40 images were removed" in found.duplicates
    assert found.duplicates in found.sentences()


def test_no_duplicates_are_said_too(joint):
    assert joint.duplicates == "No duplicates among 120 images."


def test_perplexity_beyond_the_images_is_lowered_and_said():
    found = mv.project(FEATURES[:10], ENHANCED[:10], perplexity=30)
    assert found.settings.perplexity_asked == 30
    assert found.settings.perplexity == pytest.approx(3)
    assert any("Perplexity 30 was asked for; 10 images allow" in note for note in found.notes)
    assert found.plain_quality.k == 4
    assert any("Quality by 15 neighbours was asked for" in note for note in found.notes)


def test_an_addon_that_shifts_nothing_gives_a_map_whatever_the_ties():
    found = mv.project(FEATURES, FEATURES, perplexity=10, coupling=1)
    assert np.isfinite(found.plain).all()
    assert found.disparity < 0.01
    assert found.plain_quality.knn_recall == pytest.approx(found.enhanced_quality.knn_recall, abs=0.05)


def test_progress_is_reported_up_to_the_end():
    seen = []
    mv.project(
        FEATURES[:30], ENHANCED[:30], report=lambda progress: seen.append((progress.done, progress.total))
    )
    assert seen[0] == (10, 750)
    assert seen[-1] == (750, 750)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def divergence(projection: mv.Projection) -> float:
    """Of Kullback and Leibler, written out: the affinities of both halves, and all pairs of places on the map."""
    space, used = projection.space, projection.settings
    halves = both_affinities(space.plain, space.enhanced, perplexity=used.perplexity, metric=used.metric)
    wanted = coupled(*halves, used.coupling).P.toarray()
    places = np.concatenate([projection.plain, projection.enhanced])
    squared = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    near = 1 / (1 + squared)
    np.fill_diagonal(near, 0)
    there = wanted > 0
    return float((wanted[there] * np.log(wanted[there] / (near / near.sum())[there])).sum())


@pytest.mark.parametrize("n", [50, 400])
def test_a_map_that_ends_once_it_has_settled_is_as_good_as_one_of_all_steps(monkeypatch, n):
    plain = np.random.default_rng(n).normal(size=(n, 8))
    enhanced = plain + np.random.default_rng(n + 1).normal(scale=0.3, size=plain.shape)
    early = mv.project(plain, enhanced)
    monkeypatch.setattr(descent, "_SETTLED", (sum(descent.STEPS), 0))
    whole = mv.project(plain, enhanced)
    assert early.settings.iterations < whole.settings.iterations == 750
    assert divergence(early) < 1.02 * divergence(whole)
    for half in ("plain_quality", "enhanced_quality"):
        assert getattr(early, half).knn_recall > getattr(whole, half).knn_recall - 0.02


@pytest.mark.parametrize("method", ["joint", "separate", "initialised"])
def test_a_stopped_map_says_so(method):
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 4

    found = mv.project(FEATURES[:30], ENHANCED[:30], method=method, stop=stop)
    assert found.stopped
    assert 0 < found.settings.iterations < 100
    assert any("Stopped on request" in note and "unfinished" in note for note in found.notes)
    assert np.isfinite(found.enhanced).all()
    assert np.isnan(found.plain_quality.trustworthiness)
    assert not any("trustworthiness" in line for line in found.sentences())


def test_a_stop_that_comes_when_all_is_done_stops_nothing():
    done = []
    found = mv.project(
        FEATURES[:30],
        ENHANCED[:30],
        report=lambda progress: done.append(progress.done == progress.total),
        stop=lambda: done[-1:] == [True],
    )
    assert not found.stopped


def test_scikit_learn_is_stopped_between_its_runs():
    done = []
    found = mv.project(
        FEATURES[:30],
        ENHANCED[:30],
        method="scikit-learn",
        report=lambda progress: done.append(progress.done),
        stop=lambda: bool(done),
    )
    assert found.stopped
    assert found.settings.iterations == 750


def test_one_pca_is_fitted_on_both_halves():
    found = mv.project(FEATURES, ENHANCED, pca=5, perplexity=10)
    assert found.settings.pca == 5
    unit = [some / np.linalg.norm(some, axis=1, keepdims=True) for some in (FEATURES, ENHANCED)]
    stack = np.concatenate(unit)
    _, _, vt = np.linalg.svd(stack - stack.mean(axis=0), full_matrices=False)
    for scores, some in zip((found.space.plain, found.space.enhanced), unit, strict=True):
        np.testing.assert_allclose(np.abs(scores), np.abs((some - stack.mean(axis=0)) @ vt[:5].T), atol=1e-8)


def test_quality_is_measured_in_the_full_space_not_after_pca():
    few, all_ = (mv.project(FEATURES, ENHANCED, pca=pca, perplexity=10) for pca in (2, None))
    assert few.plain_quality.knn_recall < all_.plain_quality.knn_recall


def test_new_images_join_their_identity_and_move_nothing(joint):
    rng = np.random.default_rng(5)
    new = np.stack([FEATURES[pid == PIDS].mean(axis=0) for pid in range(8)]) + 0.3 * rng.normal(size=(8, 24))
    before = joint.plain.copy(), joint.enhanced.copy()
    added = mv.extend(joint, new, new)
    np.testing.assert_array_equal(joint.plain, before[0])
    np.testing.assert_array_equal(joint.enhanced, before[1])
    assert nearest_centre(joint.plain, PIDS, added.plain).tolist() == list(range(8))
    assert nearest_centre(joint.enhanced, PIDS, added.enhanced).tolist() == list(range(8))
    assert any("did not move" in note and "without the coupling" in note for note in added.notes)


def test_new_images_do_not_mind_each_other(joint):
    together = mv.extend(joint, FEATURES[:6] + 0.1, ENHANCED[:6] + 0.1)
    alone = mv.extend(joint, FEATURES[2:3] + 0.1, ENHANCED[2:3] + 0.1)
    np.testing.assert_allclose(together.plain[2], alone.plain[0], rtol=1e-3)


def test_new_images_on_separate_maps():
    found = mv.project(FEATURES, ENHANCED, method="separate", perplexity=10)
    added = mv.extend(found, FEATURES[:8], ENHANCED[:8])
    assert nearest_centre(found.enhanced, PIDS, added.enhanced).tolist() == PIDS[:8].tolist()
    assert added.notes == ("New images were placed among the old ones, which did not move.",)


def test_adding_can_be_stopped(joint):
    added = mv.extend(joint, FEATURES[:4], ENHANCED[:4], stop=lambda: True)
    assert added.stopped
    assert "Stopped on request" in added.notes[-1]


def test_new_images_of_another_width_are_refused(joint):
    with pytest.raises(ShapeError, match="width 24"):
        mv.extend(joint, np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match="new >= 1"):
        mv.extend(joint, np.ones((0, 24)), np.ones((0, 24)))


def test_features_with_more_behind_them_are_on_the_map_too():
    """The enhanced feature of an add-on that is concatenated is wider; zeros behind the plain one change no cosine."""
    wide = np.concatenate([ENHANCED, 0.5 * np.random.default_rng(2).normal(size=(120, 5))], axis=1)
    padded = np.pad(FEATURES, ((0, 0), (0, 5)))
    found, same = (mv.project(plain, wide, perplexity=10) for plain in (FEATURES, padded))
    np.testing.assert_array_equal(found.plain, same.plain)
    np.testing.assert_array_equal(found.enhanced, same.enhanced)
    assert (nearest_centre(found.enhanced, PIDS) == PIDS).mean() > 0.95
    added = mv.extend(found, FEATURES[:8], wide[:8])
    assert nearest_centre(found.enhanced, PIDS, added.enhanced).tolist() == PIDS[:8].tolist()
    with pytest.raises(ShapeError, match="width 29"):
        mv.extend(found, FEATURES[:8], ENHANCED[:8])


def with_value(value: float) -> np.ndarray:
    features = FEATURES.copy()
    features[3] = value
    return features


@pytest.mark.parametrize(
    ("plain", "options", "error", "said"),
    [
        (FEATURES[:5], {}, ShapeError, r"\(5, 24\)"),
        (with_value(np.nan), {}, ShapeError, "plain row.* row 3"),
        (with_value(0), {}, ShapeError, "no direction"),
        (np.ones_like(FEATURES), {"same": True}, ShapeError, "got 1"),
        (FEATURES, {"coupling": -1}, OptionError, "-1"),
        (FEATURES, {"coupling": np.nan}, OptionError, "nan"),
        (FEATURES, {"perplexity": 0}, OptionError, "perplexity"),
        (FEATURES, {"metric": "manhattan"}, OptionError, "manhattan"),
        (FEATURES, {"method": "umap"}, OptionError, "umap"),
        (FEATURES, {"pca": 1}, OptionError, "got 1"),
        (FEATURES, {"k": 0}, OptionError, "k=0"),
    ],
)
def test_input_that_does_not_fit_is_an_error(plain, options, error, said):
    enhanced = np.ones_like(ENHANCED) if options.pop("same", False) else ENHANCED
    with pytest.raises(error, match=said):
        mv.project(plain, enhanced, **options)


@pytest.mark.parametrize("n", [1, LEAST_IMAGES - 1])
def test_too_few_images_are_an_error_that_says_how_many_are_needed(n):
    with pytest.raises(ShapeError, match=f"at least {LEAST_IMAGES} images that differ: got {n}"):
        mv.project(FEATURES[:n], ENHANCED[:n])


def test_a_half_without_any_difference_has_no_map_of_its_own():
    same = np.ones_like(FEATURES)
    with pytest.raises(ShapeError, match="120 that are all the same"):
        mv.project(same, ENHANCED, method="separate", perplexity=10)


def test_the_least_number_of_images_is_enough():
    found = mv.project(FEATURES[:LEAST_IMAGES], ENHANCED[:LEAST_IMAGES])
    assert np.isfinite(found.plain).all()


def test_coupling_aligns_and_the_sweep_shows_what_it_costs():
    sweep = mv.coupling_sweep(FEATURES, ENHANCED, (0, 0.2, 50), perplexity=10)
    assert sweep.disparity[1] < 0.1
    assert sweep.disparity[2] < sweep.disparity[0]
    assert sweep.plain_recall[2] < sweep.plain_recall[1]
    table = sweep.to_pandas()
    assert table["coupling"].tolist() == [0, 0.2, 50]
    assert sum("Coupling" in line for line in sweep.sentences()) == 3


def test_a_map_of_the_sweep_is_that_of_project():
    sweep = mv.coupling_sweep(FEATURES, ENHANCED, (0.3,), perplexity=10)
    found = mv.project(FEATURES, ENHANCED, coupling=0.3, perplexity=10)
    assert sweep.disparity[0] == found.disparity
    assert sweep.plain_recall[0] == found.plain_quality.knn_recall
    assert sweep.enhanced_recall[0] == found.enhanced_quality.knn_recall


def test_a_stopped_sweep_keeps_the_finished_maps_and_says_so():
    done = []
    sweep = mv.coupling_sweep(
        FEATURES[:30],
        ENHANCED[:30],
        (0.1, 0.2, 0.3),
        report=lambda progress: done.append((progress.done, progress.total)),
        stop=lambda: done[-1:] > [(900, 0)],
    )
    assert sweep.stopped
    assert sweep.couplings.tolist() == [0.1]
    assert done[-1][1] == 2250
    assert any("after 1 of 3 maps" in note for note in sweep.notes)


def test_a_sweep_of_nothing_is_refused():
    with pytest.raises(OptionError, match="at least one coupling"):
        mv.coupling_sweep(FEATURES, ENHANCED, ())


def test_a_joint_map_whose_halves_do_not_align_says_so():
    found = mv.project(FEATURES, np.random.default_rng(3).permutation(ENHANCED), coupling=0, perplexity=10)
    assert found.disparity > 0.3
    assert any("cannot be compared" in note for note in found.notes)


def swept(couplings: list[float], disparity: list[float]) -> mv.CouplingSweep:
    none = np.zeros(len(couplings))
    return mv.CouplingSweep(
        couplings=np.array(couplings, float), disparity=np.array(disparity, float), plain_recall=none, enhanced_recall=none, k=3,
        stopped=False, notes=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("couplings", "disparity", "words"),
    [
        ([0, 0.05, 1], [0.537, 0.675, 0.0], "rises at 1 of 2 steps of the coupling: 0.537 at coupling 0, 0.675 at coupling 0.05, 0.000 at coupling 1."),
        ([1, 0, 0.05], [0.0, 0.537, 0.675], "rises at 1 of 2 steps of the coupling: 0.537 at coupling 0, 0.675"),
        ([0, 1], [0.6, 0.1], "rises at no step of the coupling: 0.600 at coupling 0, 0.100 at coupling 1."),
        ([0, 1, 2], [0.0, 0.1, 0.2], "rises at 2 of 2 steps"),
        ([0, 1], [0.1, 0.1004], "rises at no step"),
        ([0.3], [0.25], "is 0.250 at coupling 0.3."),
        ([], [], "No map was finished."),
    ],
)  # fmt: skip
def test_the_sentence_on_the_disparity_is_made_from_its_numbers(couplings, disparity, words: str) -> None:
    assert words in swept(couplings, disparity).trend()
