"""Tables of several models on the same images: brought into one order, ranked, compared, and held against plain loops."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mswin_viz.analysis.embeddings.list_changes import list_changes
from mswin_viz.analysis.embeddings.named_features import NamedFeatures, features_of
from mswin_viz.analysis.embeddings.neighbours import neighbours, ranked_queries
from mswin_viz.analysis.embeddings.query_order import AS_LISTED, order_names, ordered
from mswin_viz.analysis.embeddings.query_table import query_table
from mswin_viz.analysis.embeddings.same_images import same_images
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.comparison import compare
from mswin_viz.analysis.measures.paired_statistics import holm
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError, StoppedError
from mswin_viz.model.encoder.encoded_batch import Failure

N = 29


def made(seed: int, dim: int, *, metric: str = "cosine", ties: bool = True) -> EmbeddingTable:
    """Images of six people (one of them unknown) in RGB and NI, by a model of some width."""
    about, features = np.random.default_rng(1), np.random.default_rng(seed)
    pids, cameras = about.integers(-1, 5, N), about.integers(-1, 3, N)
    owners = np.concatenate([np.arange(N), np.arange(N)])
    modality = np.repeat(["RGB", "NI"], N)
    values = features.normal(size=(2 * N, dim)) * features.uniform(0.5, 2, size=(2 * N, 1))
    values = np.round(2 * values) / 2 if ties else values
    values[:, 0] += 5
    return EmbeddingTable(
        sample=owners, modality=modality, pid=pids[owners], camid=cameras[owners], scene=np.full(2 * N, -1),
        split=np.full(2 * N, "test"),
        files=tuple({name: Path(f"{name}_{at}.png")} for name, at in zip(modality, owners, strict=True)),
        plain=values.astype(np.float32), enhanced=np.flip(values, 0).astype(np.float32).copy(), metric=metric,
    )  # fmt: skip


def closeness(table: EmbeddingTable, feature: str, a: int, b: int) -> float:
    x, y = (getattr(table, feature)[row].astype(float) for row in (a, b))
    if table.metric == "cosine":
        return round(float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y))), 12)
    return round(-float(((x - y) ** 2).sum() ** 0.5), 12)


def by_hand(table: EmbeddingTable, feature: str, query: int) -> dict[str, float]:
    """The published formulas, one candidate at a time."""
    kept = []
    for row in range(len(table)):
        same = table.pid[row] == table.pid[query] >= 0
        beside = same and table.camid[row] == table.camid[query] >= 0
        if table.modality[row] == table.modality[query] and row != query and not beside:
            kept.append((-closeness(table, feature, query, row), row, bool(same)))
    kept.sort()
    ranks = [at for at, (_, _, same) in enumerate(kept, 1) if same]
    if not ranks:
        return dict.fromkeys(("ap", "inp", "first_match", "margin"), np.nan)
    right, wrong = ([-far for far, _, same in kept if same is wanted] for wanted in (True, False))
    return {
        "ap": sum(at / rank for at, rank in enumerate(ranks, 1)) / len(ranks),
        "inp": len(ranks) / ranks[-1],
        "first_match": ranks[0],
        "margin": max(wrong) - min(right) if wrong else np.nan,
    }


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_what_is_known_of_each_query_is_that_of_a_plain_loop(metric: str, feature: str) -> None:
    table = made(3, 4, metric=metric)
    frame = query_table({"one": (table, feature)})
    for row in range(len(table)):
        for name, expected in by_hand(table, feature, row).items():
            assert frame[f"one_{name}"][row] == pytest.approx(expected, abs=1e-9, nan_ok=True), (row, name)


def test_the_first_candidates_are_the_neighbours_also_of_an_unknown_query() -> None:
    table = made(3, 4)
    found = ranked_queries(table).values
    assert (table.pid < 0).any()
    for row, feature in product(range(len(table)), ("plain", "enhanced")):
        expected = neighbours(table, row, feature=feature, k=24).rows
        assert found[feature].first[row, : len(expected)].tolist() == expected.tolist()
        assert (found[feature].first[row, len(expected) :] == -1).all()


def test_tables_of_other_widths_metrics_and_orders_rank_as_each_alone() -> None:
    one, two = made(3, 4), made(5, 7, metric="euclidean")
    order = np.random.default_rng(2).permutation(len(two))
    shuffled = replace(two[order], sample=np.arange(len(two))[::-1].copy())
    found = same_images({"one": one, "two": (shuffled, "plain")}).features
    assert (found.names, found.notes, len(found)) == (("one", "two"), (), len(one))
    ranked = ranked_queries(found).precisions
    np.testing.assert_array_equal(ranked["one"], ranked_queries(one).precisions["enhanced"])
    np.testing.assert_allclose(ranked["two"], ranked_queries(two).precisions["plain"])
    assert found.of["two"][0].files == one.files


def test_images_that_only_some_tables_have_are_left_out_of_all_and_named() -> None:
    one, two = made(3, 4), made(5, 4)
    found = same_images({"one": one[2:], "two": two[: N + 3]})
    assert [str(path) for path in found.features.table.path] == [
        str(one.path[row]) for row in range(2, N + 3)
    ]
    assert found.features.notes == (
        "“one” lacks 2 images that another table has, left out of every list: RGB_0.png (RGB), RGB_1.png (RGB).",
        f"“two” lacks {N - 3} images that another table has, left out of every list: NI_3.png (NI), NI_4.png (NI), "
        f"NI_5.png (NI) and {N - 6} more.",
    )
    assert found.features.notes[0] in ranked_queries(found.features).notes


def test_samples_are_put_together_from_the_rows_or_found_by_their_files() -> None:
    table = made(3, 4)
    found = same_images({"one": table[::-1]})
    assert len(found.samples) == N
    sample = found.samples[found.features.table.sample[0]]
    assert sample.images == {"NI": Path(f"NI_{N - 1}.png"), "RGB": Path(f"RGB_{N - 1}.png")}
    assert (sample.pid, sample.split, sample.scene) == (int(table.pid[N - 1]), "test", None)
    given = [
        Sample(1, 1, {"RGB": Path(f"RGB_{at}.png"), "NI": Path(f"NI_{at}.png")}, "a coat", split="test")
        for at in range(N + 2)
    ][::-1]
    again = same_images({"one": table}, given)
    owners = again.features.table.sample
    assert all(
        given[owner].images[name] == files[name]
        for owner, files in zip(owners, table.files, strict=True)
        for name in files
    )
    with pytest.raises(DataError, match=r"samples must be those of the tables: got 2 rows .* RGB_0\.png"):
        same_images({"one": table}, given[:-1])


def test_an_image_that_is_query_and_gallery_stays_both() -> None:
    table = made(3, 4)[:6]
    twice = replace(
        table[[0, 1, 2, 0, 1, 2]], sample=np.arange(6), split=np.array(["query"] * 3 + ["gallery"] * 3)
    )
    found = same_images({"one": twice, "two": twice[[5, 4, 3, 2, 1, 0]]})
    assert found.features.of["two"][0].split.tolist() == twice.split.tolist()
    assert len(found.samples) == 6


@pytest.mark.parametrize(
    ("tables", "error", "words"),
    [
        (lambda t: {"a": t, 7: t}, OptionError, "tables have names to show: got"),
        (lambda t: {"a": t, " ": t}, OptionError, "tables have names to show"),
        (lambda t: {"a": t, "b\udce9": t}, OptionError, "UTF-8 can hold"),
        (lambda t: {"a": t, "b": "c"}, OptionError, r"a table of mswin_viz.embed.*for 'b'"),
        (lambda t: {"a": t, "b": (t, "both")}, OptionError, "plain or enhanced: got 'both' for 'b'"),
        (lambda t: {"a": t, "b": t[[]]}, DataError, "needs rows: got none in 'b'"),
        (
            lambda t: {"a": t, "b": replace(t, files=tuple({n: Path("x") / f for n, f in one.items()} for one in t.files))},
            DataError, "of the same images.*got none that all 2 have",
        ),
        (lambda t: {"a": t, "b": replace(t, pid=t.pid + 1)}, OptionError, "agree on the identity of each image: got .* in 'a' and"),
        (lambda t: {"a": t, "b": replace(t, camid=t.camid + 1)}, OptionError, "agree on the camera"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_compared_are_refused(tables, error, words) -> None:
    with pytest.raises(error, match=words):
        same_images(tables(made(3, 4)))


def test_failed_images_say_which_table_lacks_them() -> None:
    one, two = (replace(made(seed, 4), failed=(Failure(Path("x.png"), "cut short"),)) for seed in (3, 5))
    two = replace(two, failed=(*two.failed, Failure(Path("y.png"), "no image")))
    assert same_images({"one": one, "two": two}).features.failed == (
        (Path("x.png"), "cut short (in one and two)"), (Path("y.png"), "no image (in two)"),
    )  # fmt: skip


def test_changes_are_those_of_compare_and_p_is_holms() -> None:
    table = made(3, 4)[:N]
    one, two, three = table, made(5, 6)[:N], made(7, 5)[:N]
    lists = same_images({"one": one, "two": two, "three": three}).features
    changes = list_changes(ranked_queries(lists).values, table.pid, draws=300, flips=500, seed=4)
    tests = []
    for change, other in zip(changes[1:], (two, three), strict=True):
        found = compare(one.enhanced, other.enhanced, table.pid, table.camid, draws=300, flips=500, seed=4)
        assert change.mean_ap.value == pytest.approx(found.enhanced.mAP)
        assert change.ap_change.value == pytest.approx(found.difference_interval.value)
        assert (change.ap_change.low, change.ap_change.high) == pytest.approx(
            (found.difference_interval.low, found.difference_interval.high)
        )
        assert change.ap_test.p == pytest.approx(found.test.p)
        each = found.enhanced.per_query_ap - found.plain.per_query_ap
        assert (change.n_gained, change.n_lost) == ((each > 1e-9).sum(), (each < -1e-9).sum())
        tests.append(found.test.p)
    assert [change.p_adjusted for change in changes[1:]] == pytest.approx(holm(tests))
    assert changes[0].ap_test is None
    inp = [by_hand(table, "enhanced", row)["inp"] for row in range(N)]
    assert changes[0].mean_inp.value == pytest.approx(np.nanmean(inp))


def test_holm_is_the_step_down_of_its_paper() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    rejected = {level: holm_by_hand(p, level) for level in (0.005, 0.021, 0.0301, 0.061, 0.2)}
    for level, expected in rejected.items():
        assert [adjusted <= level for adjusted in holm(p)] == expected
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with_gaps = holm([0.01, float("nan"), 0.04])  # no test, so two are corrected for
    assert with_gaps[::2] == pytest.approx([0.02, 0.04])
    assert np.isnan(with_gaps[1])


def holm_by_hand(p: list[float], level: float) -> list[bool]:
    """Test the smallest at level/m, the next at level/(m-1), until one is not rejected (Holm, 1979)."""
    rejected = [False] * len(p)
    for step, at in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[at] > level / (len(p) - step):
            break
        rejected[at] = True
    return rejected


def test_every_order_is_that_of_a_plain_sort() -> None:
    lists = same_images({"one": made(3, 4), "two": made(5, 6)}).features
    values = ranked_queries(lists).values
    one, two = (
        [by_hand(table, "enhanced", row) for row in range(2 * N)] for table in (made(3, 4), made(5, 6))
    )
    tops = [
        [set(neighbours(table, row, k=5, feature="enhanced").rows.tolist()) for row in range(2 * N)]
        for table in (made(3, 4), made(5, 6))
    ]
    change = [b["ap"] - a["ap"] for a, b in zip(one, two, strict=True)]
    keys = {
        "AP, two": [b["ap"] for b in two],
        "loss, two": change,
        "gain, two": [-value for value in change],
        "margin, one": [-a["margin"] for a in one],
        "first match, one": [-a["first_match"] for a in one],
        "disagreement": [
            len(a & b) + (-1e-3 * abs(value) if np.isfinite(value) else 0)
            for a, b, value in zip(*tops, change, strict=True)
        ],
    }
    for order, key in keys.items():
        found = ordered(values, order, k=5)
        expected = sorted(
            range(2 * N),
            key=lambda row: (np.isnan(key[row]), round(key[row], 9) if key[row] == key[row] else 0),
        )
        assert found.rows.tolist() == expected, order
    assert [len(a & b) for a, b in zip(*tops, strict=True)] == ordered(
        values, "disagreement", k=5
    ).value.tolist()
    assert ordered(values, AS_LISTED, k=5).rows.tolist() == list(range(2 * N))
    assert set(keys) < set(order_names(("one", "two")))
    assert order_names(("one",)) == [AS_LISTED, "AP, one", "margin, one", "first match, one"]
    with pytest.raises(OptionError, match=r"in one of these orders: .*got 'worst'"):
        ordered(values, "worst", k=5)


def test_the_table_of_queries_has_a_line_for_each_and_says_what_is_left_out() -> None:
    one, two = made(3, 4), made(5, 6)[: 2 * N - 1]
    frame = query_table({"one": one, "two $": two}, modality="NI", k=5)
    assert frame.columns.tolist() == [
        "path", "modality", "pid", "camid", "one_ap", "one_inp", "one_first_match", "one_margin",
        "two $_ap", "two $_inp", "two $_first_match", "two $_margin", "two $_change", "in_common",
    ]  # fmt: skip
    assert len(frame) == N - 1
    np.testing.assert_allclose(frame["two $_change"], frame["two $_ap"] - frame["one_ap"])
    assert any("NI_28.png" in note for note in frame.attrs["notes"])
    joined = query_table({"one": one}, modality="RGB+NI")
    assert joined["modality"].unique().tolist() == ["RGB+NI"]
    assert query_table(one).columns.tolist()[4] == "plain_ap"
    with pytest.raises(OptionError, match=r"one of the table's RGB, NI, or several joined by .: got 'TI'"):
        query_table(one, modality="TI")
    for wrong in (None, [3], "x"):
        with pytest.raises(OptionError, match="or of a dictionary name -> table: got"):
            query_table(wrong)
    with pytest.raises(OptionError, match="k is at most 24"):
        query_table(one, k=25)
    with pytest.raises(StoppedError):
        query_table(one, stop=lambda: True)
    with pytest.raises(OptionError, match="at least one table: got an empty dictionary"):
        query_table({})
    with pytest.raises(OptionError, match="or of a dictionary name -> table: got 3"):
        query_table(3)  # type: ignore[arg-type]


def test_queries_that_no_candidate_is_left_for_are_in_the_table_with_nothing() -> None:
    table = made(3, 4)
    alone = query_table({"one": table[[0]], "two": table[[0]]})
    assert alone[["one_ap", "two_margin"]].isna().all(axis=None)
    gallery = replace(table[:6], split=np.array(["query", "query", *["gallery"] * 4]))
    assert len(query_table(gallery)) == 2


def test_named_features_of_one_table_are_prepared_once() -> None:
    table = made(3, 4)
    found = same_images({"CLIP": (table, "plain"), "windows": table}).features
    assert found.of["CLIP"][0] is found.of["windows"][0]
    joint = found.concatenated(("RGB", "NI"))
    assert joint.of["CLIP"][0] is joint.of["windows"][0]
    assert len(joint) == N
    assert features_of(found) is found
    assert isinstance(features_of(table), NamedFeatures)
