"""The strip of neighbours: its traits follow the table, and what cannot be shown is said."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.small_tables import small_table
from traitlets import TraitError

from mswin_viz.analysis.embeddings.neighbours import neighbours
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.row_pictures import MISSING, joined, read_or_blank, row_thumbnail


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return small_table(tmp_path)


def size_of(jpeg: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(jpeg)).size


def test_the_lists_are_the_neighbours_of_both_features(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=1, k=3)
    assert [some["feature"] for some in strip.lists] == ["plain", "enhanced"]
    for some in strip.lists:
        found = neighbours(table, 1, k=3, feature=some["feature"])
        assert [item["row"] for item in some["items"]] == found.rows.tolist()
        assert [item["mark"] for item in some["items"]] == list(found.marks)
        assert [item["similarity"] for item in some["items"]] == found.similarity.tolist()
        assert f"AP {found.average_precision:.3f}" in some["words"]


def test_every_neighbour_after_says_where_it_stood_before(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=1, k=3)
    before, after = (some["items"] for some in strip.lists)
    places = {item["row"]: at for at, item in enumerate(before, start=1)}
    assert [item["plain_rank"] for item in after] == [places.get(item["row"], 0) for item in after]
    assert [item["plain_rank"] for item in before] == [None] * 3


def test_another_row_gives_other_lists_and_nothing_is_chosen(table: EmbeddingTable) -> None:
    strip, seen = NeighbourStrip(table, row=1, k=3), []
    strip.observe(lambda change: seen.append(change["new"]), "clicked")
    strip.clicked = strip.lists[0]["items"][0]["row"]
    strip.row = 0
    assert (strip.clicked, len(seen)) == (-1, 2)
    assert strip.query["label"] == "id 3, camera 1"
    strip.rule = "none"
    assert 4 in strip.results["plain"].rows  # the same person in the same camera
    strip.rule = "camera"
    assert 4 not in NeighbourStrip(table, row=0, k=9).results["plain"].rows


def test_every_neighbour_has_a_picture_even_where_its_file_is_broken(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=0, k=9, rule="none")
    assert set(strip.pictures) == {"1", "2", "3", "4", "5"}
    assert {size_of(jpeg) for jpeg in strip.pictures.values()} == {(56, 112)}


def test_the_query_shows_all_its_modalities_and_which_of_them_ask(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=int(table.row_of(1, "NI")))
    assert [(p["name"], p["is_used"]) for p in strip.query["pictures"]] == [("RGB", False), ("NI", True)]


def test_joined_modalities_stand_beside_each_other_or_below(tmp_path: Path) -> None:
    (tmp_path / "lying").mkdir()
    for folder, lying, size in ((tmp_path, False, (114, 112)), (tmp_path / "lying", True, (112, 114))):
        joint = small_table(folder, lying=lying).concatenated(("RGB", "NI"))
        strip = NeighbourStrip(joint, row=0, rule="none", k=9)
        assert {size_of(jpeg) for jpeg in strip.pictures.values()} == {size}
        assert [p["is_used"] for p in strip.query["pictures"]] == [True, True]


def test_without_an_add_on_there_is_one_list(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(replace(table, enhanced=table.plain), row=1)
    assert [some["feature"] for some in strip.lists] == ["plain"]
    assert len(NeighbourStrip(replace(table, enhanced=table.plain), row=1, has_addon=True).lists) == 2


def test_a_row_that_does_not_exist_is_an_error_and_the_old_one_stays(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=2)
    with pytest.raises(TraitError, match=r"rows 0\.\.10.*got 11"):
        strip.row = 11
    assert strip.row == 2


def test_a_query_nobody_can_answer_is_said_in_the_strip(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table[[0, 4]], row=0)
    assert strip.lists == []
    assert "the rule 'camera' leaves none of 1 other row for row 0" in strip.message  # as text, without tags
    strip.rule = "none"
    assert strip.message == ""
    assert [item["mark"] for item in strip.lists[0]["items"]] == ["right"]


def test_what_is_not_known_is_said(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=5)
    assert {item["mark"] for item in strip.lists[0]["items"]} == {"unknown"}
    assert "not known" in strip.lists[0]["words"]
    assert who(table, 5) == "RGB_5.png"
    lonely = NeighbourStrip(replace(table, pid=table.sample), row=1)
    assert "no match is left among 5" in lonely.lists[0]["words"]


def test_another_table_takes_the_place_of_the_first(table: EmbeddingTable) -> None:
    strip = NeighbourStrip(table, row=0)
    strip.replace(table.concatenated(("RGB", "NI")), 0)
    assert strip.row == 0
    assert len(strip.table) == 5
    assert [p["is_used"] for p in strip.query["pictures"]] == [True, True]
    strip.replace(table)
    assert (strip.row, strip.lists, strip.query) == (-1, [], {})


def test_a_file_that_cannot_be_read_is_a_crossed_grey_picture(tmp_path: Path) -> None:
    blank = read_or_blank(tmp_path / "gone.png", (20, 40))
    assert blank.getpixel((10, 3)) == MISSING
    assert blank.getpixel((0, 0)) == (255, 255, 255)
    assert joined([blank, blank], gap=3).size == (43, 40)
    assert size_of(row_thumbnail({"RGB": tmp_path / "gone.png"}, (20, 40))) == (20, 40)


def test_a_row_is_ranked_once_whatever_else_changes_with_it(table: EmbeddingTable, monkeypatch) -> None:
    strip, ranked = NeighbourStrip(table, row=0, k=3), []

    def counted(*args, **options):
        ranked.append(options["feature"])
        return neighbours(*args, **options)

    monkeypatch.setattr("mswin_viz.view.parts.neighbour_rows.neighbours", counted)
    strip.show(table[[2, 1, 0, 3]], 1, k=2, rule="none")
    assert ranked == list(strip.results) == ["plain", "enhanced"]
    assert (strip.row, strip.k, strip.rule) == (1, 2, "none")
