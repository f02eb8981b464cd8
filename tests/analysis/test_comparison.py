"""Plain against enhanced: a planted improvement is found, a null is not, and maps play no part."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest
from support.planted import identities

import mswin_viz as mv
from mswin_viz.errors import OptionError, ShapeError, StoppedError

ROOT = Path(__file__).resolve().parents[2]


def noisy(spread: float, seed: int, *, n_images: int = 120, n_identities: int = 12) -> tuple:
    """The same planted people seen with their own noise."""
    centres, pids, camids = identities(n_images, n_identities, spread=0)
    return centres + spread * np.random.default_rng(seed).normal(size=centres.shape), pids, camids


@pytest.fixture(scope="module")
def improved() -> mv.Comparison:
    plain, pids, camids = noisy(2.0, 1)
    return mv.compare(plain, noisy(1.2, 2)[0], pids, camids)


def test_a_planted_improvement_is_found(improved):
    assert improved.test.p < 0.01
    assert improved.difference_interval.low > 0
    assert improved.verdict == "better"
    assert np.nanmean(improved.enhanced_silhouette) > np.nanmean(improved.plain_silhouette)
    assert any("enhanced features retrieve better" in line for line in improved.sentences())


def test_a_planted_loss_is_found_too():
    plain, pids, camids = noisy(1.2, 2)
    found = mv.compare(plain, noisy(2.0, 1)[0], pids, camids)
    assert found.verdict == "worse"
    assert any("retrieve worse" in line for line in found.sentences())


def test_p_values_of_200_nulls_are_roughly_uniform():
    """Plain and enhanced see the same people with noise of the same kind: neither is better."""
    values, told = [], 0
    for seed in range(200):
        plain, pids, camids = noisy(2.0, 2 * seed, n_images=40, n_identities=10)
        enhanced = noisy(2.0, 2 * seed + 1, n_images=40, n_identities=10)[0]
        found = mv.compare(plain, enhanced, pids, camids, draws=100, k=3)
        values.append(found.test.p)
        told += found.verdict != "cannot be told apart"
    assert kstest(values, "uniform").pvalue > 0.01
    assert told / 200 < 0.1


def test_an_addon_that_shifts_nothing_changes_nothing():
    plain, pids, camids = noisy(2.0, 1)
    found = mv.compare(plain, 3 * plain, pids, camids)
    assert (
        found.difference_interval.value
        == found.difference_interval.low
        == found.difference_interval.high
        == 0
    )
    assert found.test.p == 1
    assert (found.overlap == 1).all()
    assert found.cka == pytest.approx(1)
    assert found.verdict == "cannot be told apart"


def test_numbers_of_identities_are_those_of_retrieval(improved):
    plain, pids, camids = noisy(2.0, 1)
    report = mv.retrieval(plain, pids, camids)
    by_identity = report.per_identity_ap
    assert improved.plain.mAP == report.mAP
    np.testing.assert_allclose(improved.plain_ap, [by_identity[pid] for pid in improved.identities])
    weights = improved.n_queries / improved.n_queries.sum()
    assert weights @ improved.plain_ap == pytest.approx(report.mAP)
    assert weights @ improved.change == pytest.approx(improved.test.difference)
    assert improved.difference_interval.value == pytest.approx(improved.test.difference)
    assert improved.cmc_change[1] == improved.enhanced.cmc[1] - improved.plain.cmc[1]


def test_tables_hold_a_row_for_each_identity_and_image():
    plain, pids, camids = noisy(2.0, 1)
    found = mv.compare(plain, noisy(1.2, 2)[0], pids, camids, query=[5, 60, 7])
    people, images = found.to_pandas()
    assert people["pid"].tolist() == sorted({int(pids[at]) for at in (5, 60, 7)})
    np.testing.assert_allclose(people["change"], people["enhanced_ap"] - people["plain_ap"])
    assert len(images) == 120
    assert np.flatnonzero(images["plain_ap"].notna()).tolist() == [5, 7, 60]
    assert images.loc[60, "enhanced_ap"] == found.enhanced.per_query_ap[1]
    assert images.loc[7, "plain_first_match"] == found.plain.first_match[2]


def test_options_of_retrieval_reach_it():
    plain, pids, camids = noisy(2.0, 1)
    scenes = np.arange(120) % 5
    found = mv.compare(
        plain, plain + 1, pids, camids, rule="scene", scenes=scenes, ranks=(1, 3), gallery=np.arange(60)
    )
    alone = mv.retrieval(
        plain, pids, camids, rule="scene", scenes=scenes, ranks=(1, 3), gallery=np.arange(60)
    )
    assert found.plain.mAP == alone.mAP
    assert set(found.cmc_change) == {1, 3}


def test_one_identity_has_no_interval_and_no_test():
    plain, _, camids = noisy(2.0, 1)
    found = mv.compare(plain, plain + 1, np.zeros(120, int), camids)
    assert np.isnan(found.difference_interval.low)
    assert found.verdict == "not measured: only one identity has a match, and a test needs two"
    assert any("One identity has no spread" in line for line in found.sentences())
    assert any("Silhouettes need two identities" in line for line in found.sentences())
    assert not any(re.search(r"\bnan", line) for line in found.sentences())


def test_without_a_match_that_is_all_that_is_said_about_retrieval():
    plain, _, camids = noisy(2.0, 1)
    found = mv.compare(plain, plain + 1, np.arange(120), camids)
    assert np.isnan(found.plain.mAP)
    cause = "120 whose identity has no other image in the gallery"
    assert found.verdict == f"not measured: no query has a match ({cause})"
    assert (
        found.sentences()[0] == f"No query has a match in the gallery: retrieval is not measured ({cause})."
    )
    assert len(found.to_pandas()[0]) == 0


def test_few_images_have_fewer_neighbours_and_it_is_said():
    plain, pids, camids = noisy(2.0, 1)
    found = mv.compare(plain[:6], plain[:6] + 1, pids[:6], camids[:6])
    assert found.k == 5
    assert "Overlap of 10 neighbours was asked for; 6 images allow 5" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"enhanced": np.ones((3, 4))}, ShapeError, r"\(3, 4\)"),
        ({"pids": [1, 2]}, ShapeError, r"\(2,\)"),
        ({"plain": np.full((120, 24), np.nan)}, ShapeError, "plain row"),
        ({"draws": 0}, OptionError, "got 0"),
        ({"k": 0}, OptionError, "k is a whole number of at least 1: got 0"),
    ],
)
def test_input_that_does_not_fit_is_an_error(change, error, said):
    plain, pids, camids = noisy(2.0, 1)
    given = {"plain": plain, "enhanced": plain, "pids": pids, "camids": camids, **change}
    with pytest.raises(error, match=said):
        mv.compare(**given)


def test_images_that_occur_twice_are_counted_and_said():
    plain, pids, camids = noisy(2.0, 1)
    twice = np.concatenate([plain, plain[:10]])
    found = mv.compare(twice, twice + 1, np.append(pids, pids[:10]), np.append(camids, camids[:10]))
    assert "10 of 130 images equal an earlier one" in found.notes[0]


def test_progress_and_stop_between_steps():
    plain, pids, camids = noisy(2.0, 1)
    seen = []
    mv.compare(
        plain, plain, pids, camids, report=lambda progress: seen.append((progress.done, progress.total))
    )
    assert seen == [(at, 5) for at in range(1, 6)]
    with pytest.raises(StoppedError, match="after 1 of 5"):
        mv.compare(plain, plain, pids, camids, stop=lambda: True)


def test_one_image_is_an_error():
    with pytest.raises(ShapeError, match="two images: got 1"):
        mv.compare(np.ones((1, 4)), np.ones((1, 4)), [0], [0])


@pytest.mark.parametrize("name", ["comparison", "comparison_record", "null_comparison", "paired_statistics"])
def test_conclusions_know_no_map(name):
    tree = ast.parse(
        (ROOT / "mswin_viz" / "analysis" / "measures" / f"{name}.py").read_text(encoding="utf-8")
    )
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {module for module in modules if "projection" in module or "coupling" in module}


def sentences_of_the_project() -> list[tuple[str, str]]:
    """File and sentence, of code, notebooks and documents; strings that are continued are joined."""
    folders = ("mswin_viz", "notebooks", "data_samples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*files, *ROOT.glob("*.md")] if path.suffix in {".py", ".md", ".ipynb", ".mjs"}]
    found = []
    for path in files:
        for part in parts_of(path):
            text = re.sub(r'["#*`\\\s]+', " ", part.replace("\\n", " "))
            found += [(path.name, sentence) for sentence in re.split(r"(?<=[.!?;])\s", text)]
    return found


def parts_of(path: Path) -> list[str]:
    """The cells of a notebook with their text outputs, each by itself; the whole of any other file."""
    if path.suffix != ".ipynb":
        return [path.read_text(encoding="utf-8")]
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    said = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return [cell.source for cell in cells] + said


ALIGNED = re.compile(r"\b(disparity|procrustes|align\w*|halves|coupling|t-sne)\b", re.I)
PRAISE = re.compile(r"\b(improv\w+|better|helps?|gains?)\b", re.I)
DENIED = re.compile(r"\b(no|not|never|nothing|cannot)\b", re.I)


def praise_of_alignment(sentence: str) -> bool:
    return bool(ALIGNED.search(sentence) and PRAISE.search(sentence)) and not DENIED.search(sentence)


def test_alignment_is_never_reported_as_improvement():
    sentences = sentences_of_the_project()
    assert sum(bool(ALIGNED.search(some)) for _, some in sentences) > 20
    assert [some for some in sentences if praise_of_alignment(some[1])] == []


@pytest.mark.parametrize(
    "said", ["The halves align, so the add-on helps.", "A lower disparity shows the improvement."]
)
def test_such_a_claim_would_be_found(said):
    assert praise_of_alignment(said)


def test_what_a_map_says_of_itself_ends_in_what_it_cannot_say():
    plain, _, _ = noisy(2.0, 1)
    found = mv.project(plain, plain, perplexity=5, stop=lambda: True)
    sweep = mv.coupling_sweep(plain, plain, (1,), stop=lambda: True)
    for words in (found.sentences(), sweep.sentences()):
        assert "says nothing about which features are better" in words[-1]
    assert "does not measure improvement" in " ".join(found.sentences())


def test_images_of_unknown_identity_are_no_person():
    """Every measure is as if each of them were somebody else."""
    plain, pids, camids = noisy(2.0, 1)
    enhanced = noisy(1.2, 2)[0]
    gone = pids >= 6
    pids[gone] = -1
    found = mv.compare(plain, enhanced, pids.astype(float), camids)
    nobody = np.where(pids < 0, 1000 + np.arange(120), pids)
    expected = mv.compare(plain, enhanced, nobody, camids)
    assert found.plain.mAP == expected.plain.mAP
    assert found.identities.tolist() == list(range(6))
    np.testing.assert_array_equal(found.plain_silhouette, expected.plain_silhouette)
    assert np.isnan(found.enhanced_silhouette[gone]).all()
    assert found.difference_interval == expected.difference_interval
    assert set(found.to_pandas()[1]["pid"][gone]) == {-1}
    assert -1 not in found.plain.per_identity_ap
    assert any(f"over {(~gone).sum()} of 120 queries" in line for line in found.sentences())
    assert f"{gone.sum()} queries have no match: {gone.sum()} of unknown identity." in found.sentences()


@pytest.mark.parametrize(
    ("pids", "camids", "said"),
    [
        (np.arange(12), np.arange(12), "12 whose identity has no other image in the gallery"),
        (np.arange(12) // 4, np.zeros(12, int), "12 whose identity has no image from another camera"),
        (np.full(12, -1), np.arange(12), "12 of unknown identity"),
    ],
)
def test_where_nothing_was_measured_the_verdict_says_so_with_the_cause(pids, camids, said):
    plain, _, _ = noisy(2.0, 1)
    found = mv.compare(plain[:12], plain[12:24], pids, camids)
    assert found.verdict == f"not measured: no query has a match ({said})"
    assert not any("cannot be told apart" in line or re.search(r"\bnan", line) for line in found.sentences())
    nulls = mv.compare_with_nulls(plain[:12], plain[12:24], {"other": plain[24:36]}, pids, camids)
    assert nulls.sentences() == [
        f"Nothing was measured, so nothing can be compared: no query has a match ({said})."
    ]


def test_one_identity_beside_nulls_is_not_measured_either():
    plain, _, _ = noisy(2.0, 1)
    nulls = mv.compare_with_nulls(plain[:12], plain[12:24], {"other": plain[24:36]}, np.zeros(12), range(12))
    assert "not measured: only one identity has a match" in nulls.sentences()[-1]
    assert not any("beyond chance, than" in line for line in nulls.sentences())


def test_by_distance_every_measure_is_of_raw_features():
    plain, pids, camids = noisy(2.0, 1)
    lengths = np.random.default_rng(3).uniform(0.2, 5, size=(120, 1))
    enhanced = noisy(1.2, 2)[0] * lengths
    found = mv.compare(plain, enhanced, pids, camids, metric="euclidean")
    assert found.enhanced.mAP == mv.retrieval(enhanced, pids, camids, metric="euclidean").mAP
    assert found.enhanced.mAP < mv.compare(plain, enhanced, pids, camids).enhanced.mAP - 0.05
    distances = np.linalg.norm(enhanced[:, None] - enhanced[None], axis=2)
    own, at = pids == pids[7], np.arange(120)
    within = distances[7, own & (at != 7)].mean()
    other = min(distances[7, pids == pid].mean() for pid in set(pids.tolist()) - {pids[7]})
    assert found.enhanced_silhouette[7] == pytest.approx((other - within) / max(other, within))
    np.fill_diagonal(distances, np.inf)
    before = np.linalg.norm(plain[:, None] - plain[None], axis=2) + np.diag(np.full(120, np.inf))
    kept = np.isin(np.argsort(distances[7])[:10], np.argsort(before[7])[:10]).mean()
    assert found.overlap[7] == pytest.approx(kept)
    assert any("ranked by Euclidean distance" in line for line in found.sentences())


def test_without_camera_numbers_a_comparison_says_so_once():
    plain, pids, _ = noisy(2.0, 1)
    found = mv.compare(plain, noisy(1.2, 2)[0], pids)
    assert sum("No camera numbers" in line for line in found.sentences()) == 1


@pytest.mark.parametrize("kind", [list, torch.tensor, lambda some: torch.tensor(some).half(), pd.DataFrame])
def test_features_are_taken_from_lists_frames_and_tensors(kind):
    plain, pids, camids = noisy(2.0, 1)
    plain = plain.astype(np.float16).astype(float)
    found = mv.compare(kind(plain), kind(plain[::-1].copy()), pids.tolist(), torch.tensor(camids), draws=5)
    assert found.plain.mAP == mv.retrieval(plain, pids, camids).mAP


@pytest.mark.parametrize(("n", "least"), [(2, "0.5"), (5, "0.0625")])
def test_so_few_identities_that_no_change_could_be_told_are_called_that(n, least):
    """With five identities and all of them better, p is still 2 of 32."""
    plain, pids, camids = noisy(2.0, 1)
    enhanced = np.eye(plain.shape[1])[pids]  # everybody is found
    rows = np.isin(pids, range(n))
    found = mv.compare(plain[rows], enhanced[rows], pids[rows], camids[rows])
    assert found.enhanced.mAP == 1 > found.plain.mAP
    assert found.verdict == "cannot be told apart"
    said = f"so few identities cannot tell the two apart, whatever the change (p is at least {least})."
    assert any(line.endswith(said) for line in found.sentences())


def test_six_identities_can_be_told_apart():
    plain, pids, camids = noisy(2.0, 1)
    rows = pids < 6
    found = mv.compare(plain[rows], np.eye(plain.shape[1])[pids[rows]], pids[rows], camids[rows])
    assert found.verdict == "better"


def test_one_identity_is_counted_in_the_singular():
    plain = np.array([[1.0, 0], [0.9, 0.5], [0.6, 0.8], [0, 1]])
    enhanced = np.array([[1.0, 0], [1, 0], [0.5, 1], [0, 1]])
    said = " ".join(mv.compare(plain, enhanced, [0, 0, 1, 1], [0, 1, 0, 1]).sentences())
    assert re.search(r"rose for \d (identity|identities) and fell", said)
    assert "1 identities" not in said


@pytest.mark.parametrize("option", [{"k": 2.5}, {"k": "5"}, {"k": 0}, {"draws": 1e3}, {"flips": None}])
def test_counts_are_whole_numbers_of_at_least_one(option):
    plain, pids, camids = noisy(2.0, 1)
    (name,) = option
    with pytest.raises(OptionError, match=f"{name} is a whole number of at least 1: got"):
        mv.compare(plain, plain, pids, camids, **option)


@pytest.mark.parametrize("seed", [-1, "a", 0.5])
def test_a_seed_is_a_whole_number(seed):
    plain, pids, camids = noisy(2.0, 1)
    with pytest.raises(OptionError, match="seed is a whole number of at least 0: got"):
        mv.compare(plain, plain, pids, camids, seed=seed)


def test_features_too_long_to_be_normalised_are_refused_without_a_warning():
    with pytest.raises(ShapeError, match="finite and not all 0"):
        mv.compare(1e200 * np.eye(3), np.eye(3), [0, 0, 1])


def test_enhanced_features_may_be_wider_than_plain_ones():
    """Where the add-on's feature stands behind the CLS token; every measure is of each space by itself."""
    (plain, pids, _), (enhanced, *_) = noisy(1.0, 3), noisy(0.5, 4)
    padded = np.pad(plain, ((0, 0), (0, 4)))
    wide = np.concatenate([enhanced, np.random.default_rng(1).normal(size=(len(enhanced), 4))], axis=1)
    found, same = (mv.compare(before, wide, pids, rule="none", draws=50) for before in (plain, padded))
    assert found.plain.mAP == same.plain.mAP
    assert found.cka == pytest.approx(same.cka)
    np.testing.assert_array_equal(found.overlap, same.overlap)
    np.testing.assert_allclose(found.plain_silhouette, same.plain_silhouette)
