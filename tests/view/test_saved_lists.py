"""Ranked lists of many queries as files: pictures, a page, a table."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_tables import small_table
from support.tiny import tiny_model, two_modalities
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli, errors
from mswin_viz.analysis.embeddings.neighbours import ranked_queries
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.retrieval import saved_lists

SMALL = b"\x89PNG"


@pytest.fixture(autouse=True)
def quick_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes a second; where it is not what is tested, its bytes are made up."""
    if "a_picture_is_the_figure" not in request.node.name:
        monkeypatch.setattr(saved_lists, "figure_bytes", lambda _figure, kind, **_: SMALL + kind.encode())
        monkeypatch.setattr(saved_lists, "ranked_figure", lambda *_, **__: None)


@pytest.fixture
def table(tmp_path: Path) -> mv.EmbeddingTable:
    (tmp_path / "files").mkdir()
    return small_table(tmp_path / "files")


def page_data(page: Path) -> dict:
    found = re.search(r'id="mswin-page-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found[1])


def lines_of(saved: mv.SavedLists) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved.lines.read_text(encoding="utf-8"))))


def precision_of(table: mv.EmbeddingTable, query: int, feature: str) -> float:
    """Average precision under the camera rule from its definition, with loops."""
    features = getattr(table, feature).astype(np.float64)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    candidates = [
        row
        for row in range(len(table))
        if row != query
        and table.modality[row] == table.modality[query]
        and not (table.pid[row] == table.pid[query] >= 0 and table.camid[row] == table.camid[query] >= 0)
    ]
    order = sorted(candidates, key=lambda row: -float(features[row] @ features[query]))
    hits, total = 0, 0.0
    for rank, row in enumerate(order, 1):
        if table.pid[row] == table.pid[query] >= 0:
            hits += 1
            total += hits / rank
    return total / hits if hits else float("nan")


@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_precisions_of_some_rows_are_those_of_a_loop(feature: str, table) -> None:
    rows = np.array([6, 0, 5, 3])
    expected = [precision_of(table, int(row), feature) for row in rows]
    found = ranked_queries(table, features=[feature], queries=rows).precisions[feature]
    np.testing.assert_allclose(found[rows], expected, rtol=1e-12)
    assert np.isnan(np.delete(found, rows)).all()


def test_the_worst_queries_are_those_of_lowest_precision_with_the_add_on(table, tmp_path: Path) -> None:
    saved = mv.save_ranked_lists(table, tmp_path / "out", n=3, k=2, modality="RGB")
    rows = table.rows("RGB").tolist()
    of_row = {row: precision_of(table, row, "enhanced") for row in rows}
    expected = sorted((row for row in rows if not np.isnan(of_row[row])), key=lambda row: of_row[row])[:3]
    assert saved.queries == table.sample[expected].tolist()
    assert [query["lists"][1]["ap"] for query in page_data(saved.page)["queries"]] == pytest.approx(
        [of_row[row] for row in expected]
    )


def test_queries_of_the_gallery_split_are_not_among_the_worst(table, tmp_path: Path) -> None:
    split = np.where(table.sample < 2, "query", "gallery")
    saved = mv.save_ranked_lists(replace(table, split=split), tmp_path / "out", modality="RGB", rule="none")
    assert sorted(saved.queries) == [0, 1]
    assert all(line["rank"] in "1234" for line in lines_of(saved))


def test_page_and_table_say_what_neighbours_says(table, tmp_path: Path) -> None:
    saved = mv.save_ranked_lists(
        table, tmp_path / "out", queries=[4, 0], k=3, modality="NI", provenance="by hand"
    )
    lines, queries = lines_of(saved), page_data(saved.page)["queries"]
    assert [query["name"] for query in queries] == ["NI_4.png", "NI_0.png"]
    for query, position in zip(queries, (4, 0), strict=True):
        for of_page, feature in zip(query["lists"], ("plain", "enhanced"), strict=True):
            found = mv.neighbours(table, table.row_of(position, "NI"), k=3, feature=feature)
            assert [item["mark"] for item in of_page["items"]] == list(found.marks)
            assert [item["similarity"] for item in of_page["items"]] == found.similarity.tolist()
            own = [one for one in lines if one["feature"] == feature and one["query"].endswith(query["name"])]
            assert [Path(one["result"]).name for one in own] == [table.path[row].name for row in found.rows]
            assert [one["rank"] for one in own] == ["1", "2", "3"]
    assert {one["provenance"].split("; ")[1] for one in lines} == {"by hand"}
    assert "rule camera; by hand; mswin_viz" in saved.page.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_and_its_names_are_text(table, tmp_path: Path) -> None:
    odd = tmp_path / "files" / "<_script><b>=1+1&\u202e.png"
    table.files[0]["RGB"].rename(odd)
    files = ({"RGB": odd}, *table.files[1:])
    saved = mv.save_ranked_lists(
        replace(table, files=files, pid=np.full(len(table), -1)),
        tmp_path / "out",
        queries=[0, 1],
        modality="RGB",
    )
    text = saved.page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text.replace("&#39;", "'")
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", text)
    assert "<b>=1" not in text
    assert "\u202e" not in text
    assert page_data(saved.page)["queries"][0]["label"] == "<_script><b>=1+1&\\u202e.png"
    assert saved.pictures[0].name == "001_script_b_1_1_u202e.png"
    assert lines_of(saved)[0]["mark"] == "unknown"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_picture_is_the_figure_on_screen_with_its_provenance(kind: str, table, tmp_path: Path) -> None:
    saved = mv.save_ranked_lists(
        table, tmp_path / "out", queries=[0], k=2, modality="RGB", kind=kind, provenance="weights: by hand"
    )
    content = saved.pictures[0].read_bytes()
    if kind == "svg":
        assert b"by hand" in content
        return
    hits = {name: mv.neighbours(table, 0, k=2, feature=name) for name in ("plain", "enhanced")}
    words = f"Ranked by RGB, rule camera; weights: by hand; mswin_viz {mv.__version__}"
    assert content == figure_bytes(mv.ranked_figure(table, hits, provenance=words), "png", dpi=150)


def test_tables_by_name_make_one_picture_of_a_query_with_a_list_for_each_name(
    table, tmp_path: Path, monkeypatch
) -> None:
    drawn: list[dict] = []
    monkeypatch.setattr(saved_lists, "ranked_figure", lambda _table, found, **_: drawn.append(found))
    named = {"base line": (table, "plain"), "windows": table}
    saved = mv.save_ranked_lists(named, tmp_path / "out", queries=[4, 0], k=3, modality="RGB")
    assert [file.name for file in saved.pictures] == ["001_RGB_4.png", "002_RGB_0.png"]
    assert [list(found) for found in drawn] == [["base line", "windows"]] * 2
    page = page_data(saved.page)
    assert page["lists"] == ["base line", "windows"]
    lines = lines_of(saved)
    assert [(one["table"], one["feature"]) for one in lines[::3]] == [
        ("base line", "plain"), ("windows", "enhanced"),
    ] * 2  # fmt: skip
    for query, position, found in zip(page["queries"], (4, 0), drawn, strict=True):
        for of_page, name, feature in zip(query["lists"], named, ("plain", "enhanced"), strict=True):
            alone = mv.neighbours(table, table.row_of(position, "RGB"), k=3, feature=feature)
            assert found[name].rows.tolist() == alone.rows.tolist()
            assert of_page["ap"] == pytest.approx(precision_of(table, alone.query, feature))


def test_the_same_tables_by_name_have_the_same_values_in_the_table_of_queries(table, tmp_path: Path) -> None:
    turned = table[np.arange(len(table))[::-1]]
    named = {"base line": (turned, "plain"), "windows": table}
    saved = mv.save_ranked_lists(named, tmp_path / "out", n=20, modality="RGB")
    queries = mv.query_table(named, modality="RGB").set_index("path")
    for line in lines_of(saved):
        expected = queries.loc[line["query"], f"{line['table']}_ap"]
        assert float(line["average_precision"]) == pytest.approx(expected)
    worst = queries["windows_ap"].dropna().sort_values()
    shown = list(dict.fromkeys(line["query"] for line in lines_of(saved)))
    assert queries.loc[shown, "windows_ap"].tolist() == pytest.approx(worst.tolist())


def test_names_that_look_alike_once_shortened_keep_a_list_each(table, tmp_path: Path) -> None:
    long = "a checkpoint with a very long name " * 4
    saved = mv.save_ranked_lists(
        {f"{long}1 {long}": (table, "plain"), f"{long}2 {long}": table},
        tmp_path / "out",
        queries=[0],
        modality="RGB",
    )
    page = page_data(saved.page)
    assert len(page["lists"]) == len(page["queries"][0]["lists"]) == 2
    assert {line["feature"] for line in lines_of(saved)} == {"plain", "enhanced"}


def test_modalities_are_joined_unless_one_is_named(table, tmp_path: Path) -> None:
    saved = mv.save_ranked_lists(table, tmp_path / "out", queries=[0, 2], k=2)
    assert {one["modality"] for one in lines_of(saved)} == {"RGB+NI"}
    assert (saved.queries, list(saved.left_out)) == ([0], ["RGB_2.png"])
    assert saved.left_out["RGB_2.png"] == "it has no RGB+NI row"


def test_a_sample_is_found_by_its_files_wherever_it_stands(tmp_path: Path) -> None:
    samples = two_modalities(tmp_path, 5, n_people=2)
    table = mv.embed(tiny_model(), samples, progress=False)
    saved = mv.save_ranked_lists(table, tmp_path / "out", queries=[samples[3], samples[1]], k=2)
    assert saved.queries == [3, 1]
    with pytest.raises(errors.OptionError, match="none of whose files has a row"):
        mv.save_ranked_lists(table, tmp_path / "out", queries=[mv.Sample(1, 1, {"RGB": Path("other.png")})])


def test_saving_again_replaces_the_files_and_leaves_others(table, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for k in (1, 2):
        saved = mv.save_ranked_lists(table, out, queries=[0], k=k, modality="RGB")
    assert len(lines_of(saved)) == 4
    assert sorted(file.name for file in out.iterdir()) == [
        "001_RGB_0.png", "notes.txt", "ranked_lists.csv", "ranked_lists.html",
    ]  # fmt: skip


def test_work_is_reported_and_can_be_stopped(table, tmp_path: Path) -> None:
    seen: list[float] = []
    mv.save_ranked_lists(
        table, tmp_path / "out", n=2, modality="RGB", report=lambda one: seen.append(one.fraction)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1
    asked: list[int] = []
    with pytest.raises(errors.StoppedError, match="after 1 of 2 queries"):
        mv.save_ranked_lists(
            table, tmp_path / "other", queries=[0, 1], modality="RGB", stop=lambda: len(asked) > 1 or asked.append(1)
        )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queries": "best"}, "got 'best'"),
        ({"queries": []}, "a list of at least one sample or position"),
        ({"queries": [99]}, "0..5: got 99"),
        ({"modality": "TI"}, "one of the table's RGB, NI, or several joined by +: got 'TI'"),
        ({"rule": "person"}, "got 'person'"),
        ({"kind": "gif"}, "kind must be one of png, svg, pdf: got 'gif'"),
        ({"k": 0}, "k is a whole number of at least 1"),
        ({"queries": [2], "modality": "NI"}, "ranked lists need a query that has one"),
    ],
)
def test_what_cannot_be_saved_is_refused(options: dict, words: str, table, tmp_path: Path) -> None:
    with pytest.raises(mv.MswinVizError) as problem:
        mv.save_ranked_lists(table, tmp_path / "out", **options)
    assert words in str(problem.value)
    assert not (tmp_path / "out").exists()


def test_images_are_found_by_their_files_and_those_that_one_table_lacks_are_named(
    table, tmp_path: Path
) -> None:
    fewer = table[np.flatnonzero(table.sample != 5)]
    moved = replace(fewer, sample=fewer.sample[::-1].copy())
    named = {"a": table, "b": moved}
    saved = mv.save_ranked_lists(named, tmp_path / "out", queries=[4], modality="RGB")
    assert {Path(line["query"]).name for line in lines_of(saved)} == {"RGB_4.png"}
    assert "RGB_5.png" not in {Path(line["result"]).name for line in lines_of(saved)}
    assert "“b” lacks 2 images" in saved.page.read_text(encoding="utf-8")
    with pytest.raises(errors.OptionError, match=r"0\.\.4: got 5"):
        mv.save_ranked_lists(named, tmp_path / "out", queries=[5], modality="RGB")


def test_tables_of_other_images_and_unknown_identities_are_refused(table, tmp_path: Path) -> None:
    other = replace(table, files=tuple({"RGB": tmp_path / f"{row}.png"} for row in range(len(table))))
    with pytest.raises(errors.DataError, match="tables must be of the same images"):
        mv.save_ranked_lists({"a": table, "b": other}, tmp_path / "out", modality="RGB")
    strangers = replace(table, pid=table.pid + 1)
    with pytest.raises(errors.OptionError, match="tables must agree on the identity"):
        mv.save_ranked_lists({"a": table, "b": strangers}, tmp_path / "out", modality="RGB")
    with pytest.raises(errors.OptionError, match="a name leads to a table of"):
        mv.save_ranked_lists({"a": 3}, tmp_path / "out")
    with pytest.raises(errors.OptionError, match="a dictionary name -> table: got 3"):
        mv.save_ranked_lists(3, tmp_path / "out")
    with pytest.raises(errors.OptionError, match="at least one table: got an empty dictionary"):
        mv.save_ranked_lists({}, tmp_path / "out")
    unknown = replace(table, pid=np.full(len(table), -1))
    with pytest.raises(
        errors.DataError, match=r"under the rule 'camera': 6 queries have no match \(6 of unknown identity\)"
    ):
        mv.save_ranked_lists(unknown, tmp_path / "out", modality="RGB")


# ---- the command -----------------------------------------------------------------------------------


def run(*words: str) -> dict:
    done = CliRunner().invoke(cli.app, [*words, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_rank_writes_lists_of_a_folder_and_of_a_store(tmp_path: Path, monkeypatch) -> None:
    model = tiny_model()
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: model)
    root = mv.write_samples(tmp_path / "set", identities=3, cameras=2, shots=1)
    found = run(
        "rank", str(root), "--out", str(tmp_path / "lists"), "--worst", "2", "--k", "3", "--modality", "NI"
    )
    assert (len(found["queries"]), len(found["pictures"])) == (2, 2)
    store = mv.extract(mv.samples(root), tmp_path / "store", model=model, workers=0, progress=False)
    name = found["queries"][0]
    again = run(
        "rank", str(store.folder), "--out", str(tmp_path / "again"), "--query", name, "--modality", "NI"
    )
    assert again["queries"] == [name]
    assert "weights: tiny" in Path(again["page"]).read_text(encoding="utf-8")
    refused = CliRunner().invoke(cli.app, ["rank", str(root), "--query", "nobody"])
    assert "got 'nobody', which none of" in str(refused.exception)
