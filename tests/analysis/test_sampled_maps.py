"""A map of many images is computed of some of them; every image has a place, and the words say so."""

from __future__ import annotations

import numpy as np
import pytest

import mswin_viz as mv
from mswin_viz.analysis.projection.extension import extend
from mswin_viz.analysis.projection.project import project
from mswin_viz.analysis.projection.sampled import project_some
from mswin_viz.errors import OptionError


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 12))
    plain = centres[np.arange(90) % 4] + 0.2 * rng.normal(size=(90, 12))
    return plain, plain + 0.1 * rng.normal(size=(90, 12))


def test_few_images_have_the_map_they_always_had(features) -> None:
    some, whole = project_some(*features, most=90, perplexity=8), project(*features, perplexity=8)
    np.testing.assert_array_equal(some.plain, whole.plain)
    assert some.notes == whole.notes


def test_those_drawn_lie_as_in_their_own_map_and_the_others_as_extend_puts_them(features) -> None:
    plain, enhanced = features
    reports = []
    found = project_some(plain, enhanced, most=40, perplexity=8, seed=5, report=reports.append)
    drawn = np.sort(np.random.default_rng(5).choice(90, 40, replace=False))
    others = np.setdiff1d(np.arange(90), drawn)
    first = project(plain[drawn], enhanced[drawn], perplexity=8, seed=5)
    placed = extend(first, plain[others], enhanced[others])
    for name in ("plain", "enhanced"):
        np.testing.assert_array_equal(getattr(found, name)[drawn], getattr(first, name))
        np.testing.assert_array_equal(getattr(found, name)[others], getattr(placed, name))
    assert found.kept.tolist() == found.place_of.tolist() == list(range(90))
    assert "computed of 40 of 90 images, drawn at random" in found.sentences()[2]
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    again = extend(found, plain[:3], enhanced[:3])  # a map with a place for every image can be extended
    assert again.plain.shape == (3, 2)


def test_a_place_is_near_those_of_its_kind(features) -> None:
    found = project_some(*features, most=40, perplexity=8)
    kind = np.arange(90) % 4
    for places in (found.plain, found.enhanced):
        distances = np.linalg.norm(places[:, None] - places[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        assert (kind[distances.argmin(axis=1)] == kind).mean() > 0.95


def test_a_stop_is_said_at_any_moment(features) -> None:
    every = []
    project_some(*features, most=40, perplexity=8, stop=lambda: bool(every.append(1)))
    for n_before in (0, 5, len(every) - 3):
        asked = iter([False] * n_before + [True] * 10_000)
        stopped = project_some(*features, most=40, perplexity=8, stop=lambda asked=asked: next(asked))
        assert stopped.stopped


def test_a_view_draws_as_many_as_it_is_told(features) -> None:
    with pytest.raises(OptionError, match="at least 5 images: got most=4"):
        project_some(*features, most=4)
    table = mv.EmbeddingTable(
        sample=np.arange(90), modality=np.full(90, "RGB"), pid=np.arange(90) % 4, camid=np.arange(90) % 3,
        scene=np.full(90, -1), split=np.full(90, "test"), files=({},) * 90, plain=features[0], enhanced=features[1],
    )  # fmt: skip
    view = mv.embedding_view(table, mv.ViewSettings(perplexity=8, most=30))
    assert len(view) == 90
    assert any("30 of 90 images" in sentence for sentence in view.sentences())
