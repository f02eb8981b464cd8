"""Maps and measures together, their tables, and pairs of similarities."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mswin_viz.analysis.embeddings.export import export, measures_frame, points_frame
from mswin_viz.analysis.embeddings.similarity_pairs import MOST_PAIRS, similarity_pairs
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import ViewSettings, chosen_rows, embedding_view
from mswin_viz.analysis.measures.comparison import compare
from mswin_viz.errors import DataError, OptionError, OutputError, ShapeError, StoppedError
from mswin_viz.model.encoder.encoded_batch import Failure

N_IDS, CAMERAS, DIM = 4, 3, 6


def made_table(
    *, pids: np.ndarray | None = None, modalities: tuple[str, ...] = ("RGB", "NI", "TI")
) -> EmbeddingTable:
    """Four identities in three cameras and three modalities; the enhanced features are nearer to their identity."""
    rng = np.random.default_rng(5)
    own = np.repeat(np.arange(N_IDS), CAMERAS) if pids is None else pids
    n = len(own)
    centres = rng.normal(size=(N_IDS, DIM))
    wide = [
        [centres[np.maximum(own, 0)] + spread * rng.normal(size=(n, DIM)) for _ in modalities]
        for spread in (1.5, 0.2)
    ]
    columns = {field.name for field in dataclasses.fields(EmbeddingTable)}
    unknown = {
        name: np.full(n * len(modalities), value) for name, value in {"scene": -1, "split": ""}.items()
    }
    return EmbeddingTable(
        sample=np.tile(np.arange(n), len(modalities)),
        modality=np.repeat(modalities, n),
        pid=np.tile(own, len(modalities)),
        camid=np.tile(np.arange(n) % CAMERAS, len(modalities)),
        **{name: some for name, some in unknown.items() if name in columns},
        files=tuple({name: Path(f"{name}/{row}.jpg")} for name in modalities for row in range(n)),
        plain=np.concatenate(wide[0]).astype(np.float32),
        enhanced=np.concatenate(wide[1]).astype(np.float32),
    )


@pytest.fixture(scope="module")
def table() -> EmbeddingTable:
    return made_table()


def test_each_modality_is_compared_by_itself_in_the_full_space(table: EmbeddingTable) -> None:
    view = embedding_view(table)
    assert tuple(view.comparisons) == ("RGB", "NI", "TI")
    rows = table.rows("NI")
    alone = compare(table.plain[rows], table.enhanced[rows], table.pid[rows], table.camid[rows])
    assert view.comparisons["NI"].enhanced.mAP == alone.enhanced.mAP
    np.testing.assert_array_equal(view.plain_ap[rows], alone.plain.per_query_ap)
    np.testing.assert_array_equal(view.overlap[rows], alone.overlap)


def test_the_change_of_each_row_is_enhanced_minus_plain(table: EmbeddingTable) -> None:
    view = embedding_view(table)
    assert np.nanmean(view.ap_change) > 0.1  # by construction of the table
    np.testing.assert_allclose(view.ap_change, view.enhanced_ap - view.plain_ap)


@pytest.mark.parametrize(("show", "n", "dim"), [("all", 36, DIM), ("TI", 12, DIM), ("together", 12, 3 * DIM)])
def test_what_is_shown_can_be_chosen(table: EmbeddingTable, show: str, n: int, dim: int) -> None:
    view = embedding_view(table, ViewSettings(show))
    assert view.projection.plain.shape == view.projection.enhanced.shape == (n, 2)
    assert view.table.plain.shape == (n, dim)


def test_copies_of_an_image_leave_the_maps_and_every_row_keeps_its_own_measures(
    table: EmbeddingTable,
) -> None:
    rows = np.array([0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    view = embedding_view(table[rows], ViewSettings("RGB"))
    assert len(view) == 12
    assert len(view.plain_ap) == len(view.projection.plain) == 12
    assert [path.name for path in view.table.path] == [f"{row}.jpg" for row in range(12)]


def test_an_unknown_identity_is_like_no_other(table: EmbeddingTable) -> None:
    pids = np.array([0, 0, 0, 1, 1, 1, -1, -1, -1, -1])
    view = embedding_view(made_table(pids=pids, modalities=("RGB",)))
    assert np.isnan(view.plain_ap[6:]).all()
    assert np.isfinite(view.plain_ap[:6]).all()


def test_identities_that_are_all_unknown_have_maps_and_no_measures() -> None:
    view = embedding_view(made_table(pids=np.full(9, -1), modalities=("NI",)))
    assert np.isnan(view.plain_ap).all()
    assert len(view.projection.plain) == 9
    assert any("No query has a match" in sentence for sentence in view.sentences())
    assert np.isnan(measures_frame(view).plain_mAP[0])


def test_one_identity_alone_has_measures_without_an_interval() -> None:
    view = embedding_view(made_table(pids=np.zeros(6, int), modalities=("RGB",)))
    (line,) = measures_frame(view).itertuples()
    assert line.plain_mAP == 1
    assert np.isnan(line.low)


def test_a_modality_with_one_row_is_named_and_does_not_sink_the_others(table: EmbeddingTable) -> None:
    view = embedding_view(table[np.array([*range(12), 12])])
    assert tuple(view.comparisons) == ("RGB",)
    assert any("NI cannot be measured" in note for note in view.notes)


def test_too_few_rows_for_a_map_are_refused_with_the_reason(table: EmbeddingTable) -> None:
    with pytest.raises(ShapeError, match="got 1"):
        embedding_view(table[[0]])


def test_a_modality_that_is_not_there_is_named(table: EmbeddingTable) -> None:
    with pytest.raises(DataError, match="it has RGB, NI"):
        chosen_rows(table[np.arange(24)], "TI")
    with pytest.raises(OptionError, match="'depth'"):
        chosen_rows(table, "depth")


def test_a_stop_is_followed_within_a_comparison(table: EmbeddingTable) -> None:
    words: list[str] = []
    with pytest.raises(StoppedError, match=r"comparison was stopped.*no measures"):
        embedding_view(
            table,
            report=lambda progress: words.append(progress.words),
            stop=lambda: sum(word.startswith("comparing RGB") for word in words) > 2,
        )
    assert not any(word.startswith("comparing NI") for word in words)


def test_a_stop_is_followed_between_two_comparisons(table: EmbeddingTable) -> None:
    words: list[str] = []
    with pytest.raises(StoppedError, match=r"comparison was stopped.*no measures"):
        embedding_view(
            table,
            report=lambda progress: words.append(progress.words),
            stop=lambda: words[-1:] == ["comparing RGB"],
        )
    assert words.count("comparing RGB") == 1


def test_a_stop_ends_the_work_without_a_view(table: EmbeddingTable) -> None:
    with pytest.raises(StoppedError):
        embedding_view(table, stop=lambda: True)


def test_progress_rises_to_one(table: EmbeddingTable) -> None:
    seen = []
    embedding_view(table, report=lambda at: seen.append(at.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_the_tables_hold_everything_and_come_back_the_same_from_parquet(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    view = embedding_view(table)
    written = export(view, tmp_path, provenance="these weights")
    assert sorted(path.name for path in written) == sorted(
        f"{name}.{kind}" for name in ("points", "identities", "measures") for kind in ("csv", "parquet")
    )
    points = pd.read_parquet(tmp_path / "points.parquet")
    pd.testing.assert_frame_equal(points.drop(columns="weights"), points_frame(view), check_dtype=False)
    assert set(points.weights) == {"these weights"}
    assert {"path", "pid", "plain_x", "enhanced_y", "ap_change", "overlap"} <= set(points)
    measures = pd.read_csv(tmp_path / "measures.csv")
    assert measures.enhanced_mAP.tolist() == pytest.approx(
        [c.enhanced.mAP for c in view.comparisons.values()]
    )
    assert measures.coupling.tolist() == [0.2] * 3
    assert pd.read_csv(tmp_path / "identities.csv").groupby("modality").size().to_dict() == dict.fromkeys(
        ("RGB", "NI", "TI"), N_IDS
    )


def test_a_format_that_is_not_on_offer_is_refused_and_nothing_is_written(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="xlsx"):
        export(embedding_view(table), tmp_path / "out", formats=("csv", "xlsx"))
    assert not (tmp_path / "out").exists()


def test_pairs_are_those_of_a_plain_loop(table: EmbeddingTable) -> None:
    pairs = similarity_pairs(table)
    expected = {}
    for a in range(len(table)):
        for b in range(a + 1, len(table)):
            if table.modality[a] != table.modality[b]:
                continue
            same = table.pid[a] == table.pid[b]
            if same and table.camid[a] == table.camid[b]:
                continue
            u, v = (table.enhanced[row].astype(float) for row in (a, b))
            expected[a, b] = (same, u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    found = {
        (a, b): (same, cosine)
        for a, b, same, cosine in zip(pairs.first, pairs.second, pairs.same, pairs.enhanced, strict=True)
    }
    assert found.keys() == expected.keys()
    for pair, (same, cosine) in expected.items():
        assert found[pair] == (same, pytest.approx(cosine))
    assert not pairs.is_sample


def test_the_gap_of_the_means_grows_where_identities_draw_together(table: EmbeddingTable) -> None:
    plain, enhanced = similarity_pairs(table).gap("RGB")
    assert enhanced > plain


def test_many_pairs_are_a_seeded_sample_and_said_to_be_one() -> None:
    pids = np.arange(700) // 2 % N_IDS
    many = made_table(pids=pids, modalities=("RGB",))
    first, again = similarity_pairs(many, seed=1), similarity_pairs(many, seed=1)
    assert first.is_sample
    assert (~first.same).sum() == MOST_PAIRS
    np.testing.assert_array_equal(first.plain, again.plain)


def test_a_view_says_over_how_many_queries_and_which_images_have_no_row(table: EmbeddingTable) -> None:
    pids = np.array([0, 0, 0, 1, 1, 1, -1, -1, 2])
    some = dataclasses.replace(
        made_table(pids=pids, modalities=("RGB",)), failed=(Failure(Path("broken.jpg"), "cut short"),)
    )
    words = embedding_view(some).sentences()
    assert any("over 6 of 9 queries" in line for line in words)
    assert any(
        "3 queries have no match: 2 of unknown identity, 1 whose identity has no other image" in line
        for line in words
    )
    assert any("1 image could not be embedded" in line and "broken.jpg" in line for line in words)
    assert not any("queries have no match" in line for line in embedding_view(table).sentences())
    assert "verdict" in measures_frame(embedding_view(some))


def test_a_view_without_camera_numbers_says_so_and_one_camera_is_not_measured(table: EmbeddingTable) -> None:
    rgb = table[table.rows("RGB")]
    unknown = embedding_view(dataclasses.replace(rgb, camid=np.full(12, -1)))
    assert unknown.comparisons["RGB"].plain.mAP == compare(
        rgb.plain, rgb.enhanced, rgb.pid, rgb.camid, rule="none"
    ).plain.mAP  # fmt: skip
    assert any("No camera numbers" in line for line in unknown.sentences())
    one = embedding_view(dataclasses.replace(rgb, camid=np.ones(12, int)))
    assert measures_frame(one).verdict[0].startswith("not measured: no query has a match")


def test_a_view_of_a_table_ranked_by_distance_measures_by_distance(table: EmbeddingTable) -> None:
    rgb = dataclasses.replace(table[table.rows("RGB")], metric="euclidean")
    view = embedding_view(rgb)
    expected = compare(rgb.plain, rgb.enhanced, rgb.pid, rgb.camid, metric="euclidean")
    assert view.comparisons["RGB"].enhanced.mAP == expected.enhanced.mAP
    np.testing.assert_array_equal(view.plain_silhouette, expected.plain_silhouette)
    assert any("ranked by Euclidean distance" in line for line in view.sentences())


def test_pairs_of_unknown_cameras_are_all_kept(table: EmbeddingTable) -> None:
    rgb = table[table.rows("RGB")]
    unknown = dataclasses.replace(rgb, camid=np.full(12, -1))
    assert similarity_pairs(unknown).same.sum() == similarity_pairs(rgb, rule="none").same.sum()
    with pytest.raises(OptionError, match="rule is one of camera, scene, none: got 'time'"):
        similarity_pairs(rgb, rule="time")


def located(table: EmbeddingTable, folder: Path, names: list[str], root: Path | None) -> EmbeddingTable:
    """The table as if of these files, again and again."""
    files = tuple({"RGB": folder / names[row % len(names)]} for row in range(len(table)))
    return dataclasses.replace(table, files=files, root=root)


@pytest.mark.parametrize(
    ("names", "root", "expected"),
    [
        (["set/test/a.jpg", "set/b.jpg"], "set", ["test/a.jpg", "b.jpg"]),
        (["set/a.jpg", "other/b.jpg"], "set", ["a.jpg", "b.jpg"]),
        (["set/../set/a.jpg", "settled/b.jpg"], "set", ["a.jpg", "b.jpg"]),
        (["set/RGB/a.jpg", "set/NI/b.jpg"], None, ["RGB/a.jpg", "NI/b.jpg"]),
        (["set/=a.jpg", "set/-b/c.jpg"], "set", ["'=a.jpg", "'-b/c.jpg"]),
    ],
)
def test_exported_tables_name_files_below_the_data_set_and_no_folder_above(
    table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names, root, expected
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    some = located(table, tmp_path, names, None if root is None else tmp_path / root)
    export(embedding_view(some), tmp_path / "out", provenance=f"=weights {tmp_path}/w.pth; -{tmp_path}x")
    points = pd.read_csv(tmp_path / "out" / "points.csv")
    assert points.path.tolist()[: len(names)] == expected
    assert set(points.weights) == {f"'=weights ~/w.pth; -{tmp_path}x"}
    assert pd.read_parquet(tmp_path / "out" / "points.parquet").path.tolist()[: len(names)] == [
        text.removeprefix("'") for text in expected
    ]
    for file in (tmp_path / "out").iterdir():
        assert f"{tmp_path}/".encode() not in file.read_bytes()


def test_every_table_that_cannot_be_written_is_named_before_any_is(
    table: EmbeddingTable, tmp_path: Path
) -> None:
    (tmp_path / "measures.csv").mkdir()
    with pytest.raises(OutputError, match=r"measures\.csv is a folder"):
        export(embedding_view(table), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["measures.csv"]
