"""The list of findings: its pages, its choice and its pictures, whatever files are called, and what is saved of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hostile import NAMES
from support.saved_pages import ReadPage
from support.small_tables import small_table
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.analysis.findings.compared import ComparedItems
from mswin_viz.analysis.findings.record import Finding, findings_of
from mswin_viz.errors import ClosedError, OptionError
from mswin_viz.view.findings.view import FindingsViewError


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> mv.EmbeddingTable:
    samples = two_modalities(tmp_path_factory.mktemp("people"), 12, n_people=3)
    return mv.embed(tiny_model(), samples, progress=False)


def made(table: mv.EmbeddingTable, n: int, kind: str = "outliers") -> mv.Findings:
    """A list of so many findings, about the first rows, each shown by the next two."""
    found = [
        Finding(row, str(table.modality[row]), "outlier", 9.0 - row, f"reason {row}", (row + 1, row + 2))
        for row in range(n)
    ]
    return findings_of(
        kind, table, "plain", found, items=ComparedItems([], 0, 0), words=("Listed: some.", ["A note."])
    )


@pytest.fixture
def view(table: mv.EmbeddingTable) -> Iterator[mv.FindingsView]:
    view = mv.FindingsView(
        [made(table, 7), made(table, 0, "near-duplicates"), made(table, 2, "wrong identities")], per_page=3
    )
    yield view
    view.close()


def test_lists_are_shown_in_pages_one_after_the_other(view: mv.FindingsView) -> None:
    assert [words for words, _ in view.menu.options] == [
        "outliers: 1 to 3 of 7", "outliers: 4 to 6 of 7", "outliers: 7 to 7 of 7", "near-duplicates: none", "wrong identities: 1 to 2 of 2",
    ]  # fmt: skip
    assert [item["number"] for item in view.list.items] == [0, 1, 2]
    view._following.click()
    assert [item["reason"] for item in view.list.items] == ["reason 3", "reason 4", "reason 5"]
    assert [len(item["evidence"]) for item in view.list.items] == [2, 2, 2]
    view.menu.value = 3
    assert (view.list.items, view.list.words) == ([], "No near-duplicates found.")
    view.place = 4
    assert view._following.disabled
    assert "2 probably wrong identities" in view._summary.value


def test_a_page_has_one_widget_and_each_picture_once(view: mv.FindingsView) -> None:
    used = {one["picture"] for item in view.list.items for one in (item, *item["evidence"])}
    assert used == set(range(len(view.list.pictures)))
    assert len(view.list.pictures) == 5  # rows 0 to 4
    assert all(picture.startswith(b"\xff\xd8") for picture in view.list.pictures)


def test_what_is_chosen_is_a_table_with_what_was_found(
    view: mv.FindingsView, table: mv.EmbeddingTable
) -> None:
    assert len(view.selection()) == 0
    view.list.selected = [2, 0]
    chosen = view.selection()
    assert chosen.columns.tolist()[: len(table.to_pandas().columns)] == table.to_pandas().columns.tolist()
    assert chosen.reason.tolist() == ["reason 2", "reason 0"]
    assert view._chosen.value == "2 chosen"
    view.place = 1
    assert view.selected == [2, 0]  # another page of the same list
    view.place = 4
    assert view.selected == view.list.selected == []


def test_a_page_or_a_finding_that_is_not_there_is_refused(
    view: mv.FindingsView, table: mv.EmbeddingTable
) -> None:
    with pytest.raises(FindingsViewError, match="place counts from 0 to 4 here: got 5"):
        view.place = 5
    with pytest.raises(FindingsViewError, match="selected counts from 0 to 6 here: got 9"):
        view.selected = [0, 9]
    assert (view.place, view.selected) == (0, [])
    for wrong in ([], table, [made(table, 1), 3]):
        with pytest.raises(OptionError, match="needs one or several Findings"):
            mv.FindingsView(wrong)
    with pytest.raises(FindingsViewError, match="selected stays empty where nothing was found: got 0"):
        mv.FindingsView(made(table, 0)).selected = [0]
    with pytest.raises(OptionError, match="per_page must be a whole number"):
        mv.FindingsView(made(table, 1), per_page=0)


def test_the_identity_that_is_suggested_and_the_own_one_are_marked(table: mv.EmbeddingTable) -> None:
    other = int(np.flatnonzero(table.pid != table.pid[0])[0])
    same = int(np.flatnonzero(table.pid == table.pid[0])[1])
    one = Finding(
        0, str(table.modality[0]), "wrong identity", 1.0, "why", (other, same), int(table.pid[other])
    )
    found = findings_of(
        "wrong identities", table, "plain", [one], items=ComparedItems([], 0, 0), words=("", [])
    )
    view = mv.FindingsView(found)
    assert [one["mark"] for one in view.list.items[0]["evidence"]] == ["suggested", "own"]
    view.close()


def test_a_page_without_a_kernel_answers_the_whole_menu_and_names_no_folder(
    view: mv.FindingsView, table: mv.EmbeddingTable
) -> None:
    text = view.page(images=100)
    page = ReadPage(text)
    assert len(page.data["tables"][0]["answers"]) == 5
    assert str(table.path[0].parent) not in text
    assert len(ReadPage(view.page(images=3)).data["tables"][0]["answers"]) == 3  # a page of each list


def test_a_file_that_cannot_be_read_has_a_grey_picture(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    view = mv.FindingsView(made(table, 4))
    assert len(view.list.items) == 4
    assert mv.findings_figure(view.found, n=4).axes
    view.close()


def test_names_of_files_are_shown_as_text(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    files = []
    for at, name in enumerate(NAMES[: len(table)]):
        file = tmp_path / f"{at}{name}.png".replace("/", "_")
        Image.new("RGB", (16, 40), (20 * at, 0, 0)).save(file)
        files.append({str(table.modality[at]): file})
    odd = replace(table[: len(files)], files=tuple(files), pid=np.full(len(files), -1))
    view = mv.FindingsView(made(odd, len(files) - 2))
    assert "<script" not in view._summary.value
    assert view.selection().empty
    assert b"PNG" in mv.figure_bytes(view.figure(n=2), "png", dpi=40)[:8]
    page = view.page()
    assert all(
        word not in page.partition("mswin-page-data")[2].partition("</script>")[0]
        for word in ("<img", "<script")
    )
    view.close()


def test_figures_are_of_what_is_in_the_list(table: mv.EmbeddingTable, view: mv.FindingsView) -> None:
    figure = mv.findings_figure(made(table, 7), first=5, n=6, provenance="weights: none")
    drawn = " ".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))
    assert "reason 5" in drawn
    assert "reason 6" in drawn
    assert "weights: none" in drawn.replace("\n", " ")
    with pytest.raises(OptionError, match="one of the list's 0 places"):
        mv.findings_figure(made(table, 0))
    for options in ({"first": "a"}, {"first": None}):
        with pytest.raises(OptionError, match="from 0: got"):
            mv.findings_figure(made(table, 2), **options)
    for kind, dpi in (("bmp", 50), (None, 50), ("png", 0), ("png", math.nan), ("png", 10**9), ("png", "x")):
        with pytest.raises(OptionError, match=r"kind must be one of|dpi is a number"):
            mv.figure_bytes(figure, kind, dpi=dpi)
    with pytest.raises(OptionError, match="a figure of matplotlib: got None"):
        mv.figure_bytes(None, "png")
    with pytest.raises(OptionError, match="needs Findings: got 3"):
        mv.findings_figure(3)
    view.place = 3
    with pytest.raises(OptionError, match="one of the list's 0 places"):
        view.figure()


def test_a_closed_view_says_so(table: mv.EmbeddingTable) -> None:
    view = mv.FindingsView(made(table, 2))
    assert repr(view) == "FindingsView(Findings(2 outliers among 0))"
    view.close()
    assert repr(view) == "FindingsView(closed)"
    with pytest.raises(ClosedError):
        view.selection()
