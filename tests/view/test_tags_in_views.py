"""Tags in the retrieval view, the list of findings and the search by text: given to what is selected, and a filter."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.view.parts.tag_bar import ALL, HIDDEN, ONLY, TagBar

MODEL = tiny_model()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mv.write_samples(tmp_path_factory.mktemp("tagged") / "set", identities=4, cameras=2, shots=1)


@pytest.fixture(scope="module")
def samples(root: Path) -> list[mv.Sample]:
    return mv.samples(root)


@pytest.fixture(scope="module")
def table(samples) -> mv.EmbeddingTable:
    return mv.embed(MODEL, samples, modalities=["RGB", "TI"], progress=False)


@pytest.fixture(autouse=True)
def no_tags(root: Path) -> None:
    (root / "tags.jsonl").unlink(missing_ok=True)


def give(bar: TagBar, name: str) -> None:
    bar.tag.value = name
    bar.add.click()
    assert "image" in bar.message.value, bar.message.value


def tagged(root: Path, samples: list[mv.Sample], name: str) -> list[int]:
    tags = mv.open_tags(root)
    return [at for at, sample in enumerate(samples) if name in tags.of(sample)]


def test_the_query_is_tagged_or_the_result_that_was_clicked(root: Path, samples, table) -> None:
    view = mv.RetrievalView(MODEL, samples, table=table, k=3)
    view.query = 2
    assert view.tag_bar.words.value == "selected: the query"
    assert view.selection()["sample"].tolist() == [2]
    give(view.tag_bar, "asked")
    result = int(view.strip.results["plain"].rows[0])
    view.strip.clicked = result
    assert view.tag_bar.words.value == "selected: the chosen result"
    give(view.tag_bar, "found")
    assert view.selection().index.tolist() == [result]
    assert view.selection()["tags"].tolist() == ["found"]
    assert tagged(root, samples, "asked") == [2]
    assert tagged(root, samples, "found") == [int(table.sample[result])]
    view.close()


def test_queries_are_listed_by_their_tags(root: Path, samples, table) -> None:
    mv.open_tags(root).add([samples[1], samples[5]], "half hidden")
    view = mv.RetrievalView({"plain one": (table, "plain"), "other": table}, samples, k=3)

    def listed() -> list[int]:
        return [at for _, at in view.controls.query.options]

    view.tag_bar.mode.value = ONLY
    assert listed() == [1, 5]
    assert view.tag_bar.shown.value == "2 of 8 queries shown"
    assert view.query == 1
    view.tag_bar.mode.value = HIDDEN
    assert listed() == [0, 2, 3, 4, 6, 7]
    view.controls.search.value = "id 1"
    assert listed() == [0]
    view.controls.search.value = ""
    view.tag_bar.mode.value = ALL
    assert listed() == list(range(8))
    view.close()


def test_chosen_findings_are_tagged_and_the_list_leaves_them_out(root: Path, samples, table) -> None:
    wrong = mv.embed(MODEL, [*samples, samples[3]], modalities=["RGB"], progress=False)
    view = mv.FindingsView([mv.outliers(wrong), mv.near_duplicates(wrong)], per_page=1)
    view.place = next(at for at, (words, _) in enumerate(view.menu.options) if "near-duplicates" in words)
    n = len(view.found)
    view.selected = [0]
    assert view.tag_bar.words.value == "1 selected"
    give(view.tag_bar, "copy")
    assert view.selection()["tags"].tolist() == ["copy"]
    assert tagged(root, samples, "copy") == [3]
    view.tag_bar.mode.value = HIDDEN
    assert view.menu.label == "near-duplicates: none" if n == 1 else f"of {n - 1}" in view.menu.label
    assert view.selected == []
    assert n > 1 or view.list.words == "All near-duplicates are hidden by their tags."
    assert "findings" in view.tag_bar.shown.value
    view.tag_bar.mode.value = ONLY
    assert view.menu.label == "near-duplicates: 1 to 1 of 1"
    assert len(view.list.items) == 1
    assert view.tag_bar.shown.value == f"1 of {n + len(mv.outliers(wrong))} findings shown"
    view.close()


def test_a_text_finds_only_what_the_tags_let_through(root: Path, samples, table) -> None:
    view = mv.TextSearchView(MODEL, samples, table=table, prompt="a red top", k=3)
    every = view.results
    first = int(every.of("RGB").rows[0])
    view.selected = [first]
    assert view.tag_bar.words.value == "1 selected"
    give(view.tag_bar, "red")
    assert view.selection()["tags"].tolist() == ["red"]
    view.tag_bar.mode.value = HIDDEN
    ranked = mv.search_text(MODEL, table, "a red top", k=len(table))
    for modality in ("RGB", "TI"):
        rows = [row for row in ranked.of(modality).rows if table.sample[row] != table.sample[first]]
        assert view.results.of(modality).rows.tolist() == rows[:3]
        assert view.results.of(modality).n_ranked == 7
    view.tag_bar.mode.value = ONLY
    assert [len(hits.rows) for hits in view.results.hits] == [1, 1]
    assert view.tag_bar.shown.value == "1 of 8 samples shown"
    view.tag_bar.mode.value = ALL
    assert view.results.of("RGB").rows.tolist() == every.of("RGB").rows.tolist()
    view.close()


def test_samples_of_no_folder_cannot_be_tagged_and_the_views_open_all_the_same(samples, table) -> None:
    view = mv.RetrievalView({"one": table}, k=3)
    assert view.selection()["tags"].tolist() == [""]
    view.close()
