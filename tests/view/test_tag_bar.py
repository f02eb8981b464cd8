"""Tags in the embedding explorer, from the kernel's side: given to what is selected, and a filter of the maps."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.view.parts.tag_bar import ALL, HIDDEN, ONLY, TagBar


@pytest.fixture(scope="module")
def view_of(tmp_path_factory: pytest.TempPathFactory):
    """Folder, samples and maps of eight drawn people in two modalities."""
    root = mv.write_samples(tmp_path_factory.mktemp("tagged") / "set", identities=8, cameras=1, shots=1)
    samples = mv.samples(root)
    table = mv.embed(tiny_model(), samples, modalities=("RGB", "NI"), progress=False)
    return root, samples, mv.embedding_view(table, mv.ViewSettings(perplexity=4))


@pytest.fixture(scope="module")
def opened(view_of) -> mv.EmbeddingExplorer:
    _, samples, view = view_of
    return mv.EmbeddingExplorer(tiny_model(), samples, table=view.table, view=view)


@pytest.fixture
def explorer(opened, view_of) -> mv.EmbeddingExplorer:
    """The explorer with no tags yet, and nothing selected or hidden."""
    root = view_of[0]
    (root / "tags.jsonl").unlink(missing_ok=True)
    bar(opened).mode.value = ALL
    bar(opened).use(mv.open_tags(root))
    opened.controls.search.value = ""
    opened.maps.selected = []
    return opened


def bar(explorer: mv.EmbeddingExplorer) -> TagBar:
    return explorer.board.tag_bar


def give(explorer: mv.EmbeddingExplorer, rows: list[int], tag: str) -> None:
    explorer.maps.selected = rows
    bar(explorer).tag.value = tag
    bar(explorer).add.click()


def shown(explorer: mv.EmbeddingExplorer) -> list[list[int] | None]:
    every = [scatter.widget.filter for scatter in explorer.maps.scatters]
    return [None if rows is None else rows.tolist() for rows in every]


def test_what_is_selected_is_tagged_with_all_images_of_its_samples(explorer, view_of) -> None:
    root, samples, _ = view_of
    give(explorer, [0, 9], "half hidden")  # RGB of the first person, NI of the second
    written = [json.loads(line)["path"] for line in (root / "tags.jsonl").read_text().splitlines()]
    assert written == [
        path.relative_to(root).as_posix() for n in (0, 1) for path in samples[n].images.values()
    ]
    assert "6 images tagged" in bar(explorer).message.value
    assert bar(explorer).tag.options == ("half hidden",)
    assert bar(explorer).which.options == (("half hidden (6)", "half hidden"),)


def test_the_selection_is_the_tables_rows_with_the_tags_of_their_samples(explorer) -> None:
    give(explorer, [0, 1], "b")
    give(explorer, [1], "a")
    explorer.maps.selected = [1, 2, 8]
    frame = explorer.selection()
    assert frame.columns.tolist() == [*explorer.table.to_pandas().columns, "tags"]
    assert frame.index.tolist() == [1, 2, 8]
    assert frame["tags"].tolist() == ["a, b", "", "b"]


@pytest.mark.parametrize(("mode", "persons"), [(ONLY, {0, 1}), (HIDDEN, {2, 3, 4, 5, 6, 7}), (ALL, None)])
def test_both_maps_show_only_or_hide_what_has_a_tag(explorer, mode: str, persons: set[int] | None) -> None:
    give(explorer, [0, 1], "a")
    explorer.maps.selected = [1, 2]
    bar(explorer).mode.value = mode
    rows = None if persons is None else [row for row in range(16) if row % 8 in persons]
    assert shown(explorer) == [rows, rows]
    assert explorer.maps.selected == [row for row in (1, 2) if rows is None or row in rows]


@pytest.mark.parametrize(
    ("tag", "mode", "words"),
    [
        ("a", ONLY, "4 of 16 points shown"),
        ("a", HIDDEN, "12 of 16 points shown"),
        ("elsewhere", ONLY, "no points with “elsewhere” here: choose another tag, or “show all”"),
        ("everywhere", HIDDEN, "no points without “everywhere” here: choose another tag, or “show all”"),
        ("a", ALL, ""),
    ],
)
def test_how_many_points_are_shown_is_said(explorer, view_of, tag: str, mode: str, words: str) -> None:
    root, samples, _ = view_of
    (root / "other.png").write_bytes(b"")
    mv.open_tags(root).add([root / "other.png"], "elsewhere")
    mv.open_tags(root).add(samples, "everywhere")
    give(explorer, [0, 1], "a")
    bar(explorer).which.value = tag
    bar(explorer).mode.value = mode
    assert bar(explorer).shown.value == words
    (root / "other.png").unlink()


def test_another_tag_changes_nothing_of_what_is_shown_and_selected(explorer) -> None:
    give(explorer, [0], "b")
    give(explorer, [1, 2], "c")
    bar(explorer).which.value = "c"
    bar(explorer).mode.value = ONLY
    give(explorer, [1, 2], "a")  # the first in the menu from now on
    assert bar(explorer).which.value == "c"
    assert shown(explorer) == [[1, 2, 9, 10]] * 2
    assert explorer.maps.selected == [1, 2]


def test_all_are_shown_once_no_image_has_the_tag_any_longer(explorer) -> None:
    give(explorer, [0], "a")
    give(explorer, [1], "b")
    bar(explorer).which.value = "b"
    bar(explorer).mode.value = ONLY
    explorer.maps.selected = [1]
    bar(explorer).remove.click()
    assert bar(explorer).mode.value == ALL
    assert shown(explorer) == [None, None]
    assert "no image has “b” any longer, so all are shown" in bar(explorer).message.value
    assert bar(explorer).shown.value == ""


def test_a_tag_that_changes_nothing_is_said_also_after_a_refusal(explorer) -> None:
    give(explorer, [0], "a")
    give(explorer, [], "a")
    assert "nothing is; click" in bar(explorer).message.value
    give(explorer, [0], "a")
    assert bar(explorer).message.value == "nothing to change: what is selected has this tag already"
    explorer.maps.selected = [1]
    bar(explorer).remove.click()
    assert bar(explorer).message.value == "nothing to change: what is selected does not have this tag"


def test_a_search_does_not_select_what_is_hidden(explorer) -> None:
    give(explorer, [0], "a")
    bar(explorer).mode.value = HIDDEN
    explorer.controls.search.value = "1"
    assert explorer.maps.selected == []
    assert "is hidden" in explorer.board.html["selection"].value
    bar(explorer).mode.value = ALL
    assert "is hidden" not in explorer.board.html["selection"].value
    bar(explorer).mode.value = HIDDEN
    explorer.controls.search.value = "2"
    assert explorer.maps.selected == [1, 9]


def test_new_maps_are_filtered_as_the_old_ones_were(explorer, view_of) -> None:
    give(explorer, [0], "a")
    bar(explorer).mode.value = ONLY
    explorer.board.show(view_of[2])
    assert shown(explorer) == [[0, 8], [0, 8]]


def test_nothing_is_said_of_missing_tags_where_there_are_some(explorer, view_of) -> None:
    again = mv.EmbeddingExplorer(tiny_model(), view_of[1], table=view_of[2].table, view=view_of[2])
    assert bar(again).message.value == ""


def test_undo_takes_back_the_last_tagging_and_then_itself(explorer, view_of) -> None:
    give(explorer, [0], "a")
    give(explorer, [1], "a")
    tags = bar(explorer).tags
    for counts in ({"a": 3}, {"a": 6}, {"a": 3}):
        bar(explorer).undo.click()
        assert tags.counts == counts
    assert len(tags.history) == 6 + 9


def test_a_tag_is_taken_away_from_the_selection(explorer) -> None:
    give(explorer, [0, 1], "a")
    explorer.maps.selected = [1]
    bar(explorer).remove.click()
    assert bar(explorer).tags.counts == {"a": 3}


def test_tags_are_there_when_the_explorer_is_opened_again(explorer, view_of) -> None:
    give(explorer, [0], "a")
    again = mv.EmbeddingExplorer(tiny_model(), view_of[1], table=view_of[2].table, view=view_of[2])
    assert bar(again).which.options == (("a (3)", "a"),)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_selection_is_exported_as_a_table(explorer, tmp_path: Path, ending: str) -> None:
    give(explorer, [3, 11], "a")
    bar(explorer).file.value = str(tmp_path / f"mine.{ending}")
    bar(explorer).save.click()
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[ending](tmp_path / f"mine.{ending}")
    assert read["pid"].tolist() == [4, 4]
    assert read["tags"].tolist() == ["a", "a"]
    assert read["path"].tolist() == [f"test/{m}/000004_cam1_0_00.jpg" for m in ("RGB", "NI")]
    assert {"plain_x", "enhanced_y", "ap_change"} <= set(read)


@pytest.mark.parametrize(
    ("rows", "tag", "words"),
    [
        ([], "a", "nothing is; click, draw a lasso, or search"),
        ([0], " ", "a tag is 1 to 60"),
        ([0], "a,b", "without a comma"),
    ],
)
def test_what_cannot_be_tagged_is_said_beside_the_button(
    explorer, view_of, rows, tag: str, words: str
) -> None:
    give(explorer, rows, tag)
    assert words in bar(explorer).message.value
    assert not (view_of[0] / "tags.jsonl").exists()


def test_samples_of_no_one_folder_need_a_file_that_is_named(view_of, tmp_path: Path) -> None:
    _, samples, view = view_of
    without = [Sample(one.pid, one.camid, one.images) for one in samples]
    explorer = mv.EmbeddingExplorer(tiny_model(), without, table=view.table, view=view)
    assert "come from no one folder" in bar(explorer).message.value
    assert bar(explorer).add.disabled
    explorer.maps.selected = [0]
    assert explorer.selection()["tags"].tolist() == [""]
    bar(explorer).use(mv.open_tags(tmp_path / "mine.jsonl", root=view_of[0]))
    assert not bar(explorer).add.disabled
    give(explorer, [0], "a")
    assert bar(explorer).tags.counts == {"a": 3}


def test_tags_that_cannot_be_read_do_not_keep_the_explorer_from_opening(explorer, view_of) -> None:
    root, samples, view = view_of
    (root / "tags.jsonl").mkdir()
    try:
        broken = mv.EmbeddingExplorer(tiny_model(), samples, table=view.table, view=view)
        assert "must be a readable file" in bar(broken).message.value
        assert bar(broken).tags is None
    finally:
        (root / "tags.jsonl").rmdir()


def test_a_selection_needs_maps(view_of) -> None:
    explorer = mv.EmbeddingExplorer(tiny_model(), view_of[1])
    with pytest.raises(OptionError, match="a selection needs maps"):
        explorer.selection()
    explorer.close()
    with pytest.raises(mv.MswinVizError, match="closed"):
        explorer.selection()


def test_an_old_error_is_not_told_again_after_a_success(explorer) -> None:
    explorer.maps.selected = [0]
    bar(explorer).file.value = ""
    bar(explorer).save.click()
    failed = bar(explorer).message.value
    assert failed
    give(explorer, [0], "a")
    give(explorer, [], "a")
    assert "nothing is; click" in bar(explorer).message.value
    assert "table" not in bar(explorer).message.value
