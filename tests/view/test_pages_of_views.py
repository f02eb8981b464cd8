"""The retrieval view and the embedding explorer as pages: what they hold is what the live view shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.saved_pages import ReadPage
from support.tiny import tiny_model, two_modalities

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import EmbeddingView, embedding_view
from mswin_viz.data.progress import Progress
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.view.embeddings.explorer import EmbeddingExplorer
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail
from mswin_viz.view.retrieval.rankings import ALL
from mswin_viz.view.retrieval.view import RetrievalView
from mswin_viz.view.widgets.map_places import unit_square
from mswin_viz.view.widgets.map_points import map_colouring

MODEL = tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Eight samples of three people in two modalities; the fourth has no NI, the last one's RGB is broken."""
    folder = tmp_path_factory.mktemp("people") / "a folder"
    folder.mkdir()
    found = two_modalities(folder, 8, n_people=3)
    del found[3].images["NI"]
    found[7].images["RGB"].write_bytes(b"broken")
    return found


@pytest.fixture(scope="module")
def folder(samples: list[Sample]) -> Path:
    return samples[0].images["RGB"].parent


@pytest.fixture(scope="module")
def table(samples: list[Sample]) -> EmbeddingTable:
    return embed(MODEL, samples, progress=False)


def assert_whole(page: ReadPage, folder: Path) -> None:
    """Everything that the page needs is in it, and no folder of this machine."""
    assert page.broken_references == []
    assert "RGB_7.png" in page.text  # which failed
    for place in (folder.parent, Path.home(), Path.cwd()):
        assert str(place) not in page.text
    assert "a folder" not in page.text


# ---- retrieval ---------------------------------------------------------------------------------


@pytest.fixture
def retrieval(samples: list[Sample], table: EmbeddingTable) -> RetrievalView:
    return RetrievalView(MODEL, samples, table=table, k=4)


@pytest.mark.parametrize(
    ("query", "modality", "rule"), [(4, "NI", "camera"), (0, ALL, "none"), (3, "NI", "camera")]
)
def test_a_page_ranks_as_the_live_view_does(
    retrieval: RetrievalView, folder: Path, query: int, modality: str, rule: str
) -> None:
    page = ReadPage(retrieval.page())
    strip, _ = page.model(trait="lists")
    retrieval.query, retrieval.modality, retrieval.rule = query, modality, rule
    answer = page.answer(query, modality, rule)
    live = retrieval.strip
    assert answer[strip]["query"] == live.query
    assert answer[strip]["lists"] == live.lists
    assert answer[strip]["pictures"] == live.pictures
    assert bool(live.lists) == (query != 3)
    summary, message = (page.html(f"mswin-retrieval-{name}", answer) for name in ("summary", "message"))
    assert summary == retrieval._html["summary"].value.replace(f"{folder}/", "")
    assert message == retrieval._html["message"].value.replace(f"{folder}/", "")
    assert ("has no NI row" in message) == (query == 3)


def test_a_page_of_results_is_whole_and_names_no_folder(retrieval: RetrievalView, folder: Path) -> None:
    assert_whole(ReadPage(retrieval.page()), folder)


def test_a_page_of_results_holds_the_first_queries_and_the_present_one(retrieval: RetrievalView) -> None:
    retrieval.query = 6
    page = ReadPage(retrieval.page(images=3))
    name, menu = page.model("mswin-retrieval-query")
    assert [label.split(",")[0] for label in menu["_options_labels"]] == ["id 0", "id 1", "id 0"]
    assert menu["index"] == 2
    assert page.html("mswin-retrieval-count") == "in this page: 3 of 8 queries"
    (table,) = page.data["tables"]
    assert table["axes"][0] == [name, "index", None]
    assert len(table["answers"]) == 3 * len(retrieval._rankings.choices) * len(
        retrieval.controls.rule.options
    )
    assert page.answer(2, "RGB", "camera")[page.model(trait="lists")[0]]["query"] == retrieval.strip.query
    for left_out in ("mswin-retrieval-search", "mswin-retrieval-work-run", "mswin-retrieval-save"):
        assert left_out not in page.text


def test_a_view_that_moves_on_meanwhile_does_not_change_its_page(retrieval: RetrievalView) -> None:
    still = ReadPage(retrieval.page())

    def move(progress: Progress) -> None:
        retrieval.k, retrieval.query = 1 + progress.done % 6, progress.done % 8

    moved = ReadPage(retrieval.page(report=move))
    assert moved.data["tables"] == still.data["tables"]
    assert moved.data["values"] == still.data["values"]


def test_a_page_says_why_a_query_has_no_results(samples: list[Sample], table: EmbeddingTable) -> None:
    alone = np.flatnonzero((table.modality == "RGB") & np.isin(table.sample, (0, 3)))
    cameras = table[alone]
    view = RetrievalView(MODEL, samples, table=cameras)
    answer = ReadPage(view.page(images=1)).answer(0, "RGB", "camera")
    (strip,) = [traits for traits in answer.values() if "lists" in traits]
    assert strip["lists"] == view.strip.lists
    assert strip["query"] == view.strip.query
    assert strip["message"] == view.strip.message


def test_a_page_of_results_needs_results(samples: list[Sample]) -> None:
    view = RetrievalView(MODEL, samples)
    with pytest.raises(OptionError, match=r"needs ranked results: got none yet; press"):
        view.page()


def test_a_page_of_results_can_be_stopped_while_queries_are_ranked(retrieval: RetrievalView) -> None:
    with pytest.raises(StoppedError):
        retrieval.page(stop=lambda: True)


def test_the_button_sends_the_page_of_results(retrieval: RetrievalView) -> None:
    sent = []
    retrieval.pair.board.send = lambda content, buffers=None: sent.append((content, buffers))
    retrieval.save_page.images.value = 2
    retrieval.save_page.worker.start().join(60)
    ((content, (page,)),) = sent
    assert content == {"kind": "download", "name": "retrieval.html"}
    assert len(ReadPage(page.decode()).model("mswin-retrieval-query")[1]["_options_labels"]) == 2


# ---- embeddings --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def view(table: EmbeddingTable) -> EmbeddingView:
    return embedding_view(table)


@pytest.fixture
def explorer(samples: list[Sample], table: EmbeddingTable, view: EmbeddingView) -> EmbeddingExplorer:
    return EmbeddingExplorer(MODEL, samples, table=table, view=view)


@pytest.mark.parametrize("by", ["modality", "enhanced_ap", "ap_change"])
def test_a_page_of_maps_is_coloured_as_the_live_maps_are(explorer: EmbeddingExplorer, by: str) -> None:
    page = ReadPage(explorer.page())
    maps, _ = page.model(trait="thumbs")
    explorer.controls.colour.value = by
    answer, colouring = page.answer(by), map_colouring(explorer.view, by)
    codes = np.frombuffer(answer[maps]["codes"], "<i4")
    assert [answer[maps]["colours"][code] for code in codes] == colouring.of_points
    assert page.html("mswin-embedding-legend", answer) == explorer.board.html["legend"].value


def test_a_page_of_maps_has_the_live_places_words_and_pictures(explorer: EmbeddingExplorer) -> None:
    explorer.open_row(3)
    _, maps = ReadPage(explorer.page()).model(trait="thumbs")
    points, view = explorer.maps._points, explorer.view
    for name, places in zip(("plain", "enhanced"), unit_square(points.plain, points.enhanced), strict=True):
        assert np.frombuffer(maps[name], "<f4").reshape(-1, 2) == pytest.approx(places, abs=1e-6)
    assert maps["words"] == {name: list(map(str, words)) for name, words in points.words.items()}
    assert maps["selected"] == [3]
    size = picture_size(view.table.files, longer=112)
    assert maps["thumbs"] == {
        str(row): row_thumbnail(view.table.files[row], size) for row in range(len(view))
    }


def test_a_page_of_maps_morphs_and_draws_arrows_as_the_live_maps_do(explorer: EmbeddingExplorer) -> None:
    page = ReadPage(explorer.page())
    maps, _ = page.model(trait="thumbs")
    for is_morphed in (True, False):
        explorer.controls.morph.value = is_morphed
        answer = page.answer(is_morphed, table=1)[maps]
        assert answer["is_morphed"] == explorer.maps.is_morphed
        live = [str(title.value) for title in explorer.maps._titles]
        assert [f"<b>{title}</b>" for title in answer["titles"]] == live
        assert page.answer(is_morphed, table=2)[maps] == {"has_arrows": is_morphed}


def test_a_page_of_maps_is_whole_and_names_no_folder(explorer: EmbeddingExplorer, folder: Path) -> None:
    page = ReadPage(explorer.page())
    assert_whole(page, folder)
    assert page.html("mswin-embedding-measures") == explorer.board.html["measures"].value.replace(
        f"{folder}/", ""
    )
    for left_out in ("mswin-show", "mswin-map-search", "mswin-point", "mswin-embedding-run", "new Function("):
        assert left_out not in page.text


def test_a_page_says_how_many_points_have_a_picture(explorer: EmbeddingExplorer) -> None:
    explorer.open_row(9)
    page = ReadPage(explorer.page(images=4))
    assert list(page.model(trait="thumbs")[1]["thumbs"]) == ["0", "1", "2", "9"]
    assert f"4 of {len(explorer.view)} points have a picture" in page.text
    assert "have a picture" not in explorer.page()


def test_a_page_of_maps_needs_maps(samples: list[Sample]) -> None:
    with pytest.raises(OptionError, match="a page needs maps: none have been computed yet"):
        EmbeddingExplorer(MODEL, samples).page()


def test_a_page_of_maps_can_be_stopped_while_pictures_are_read(explorer: EmbeddingExplorer) -> None:
    with pytest.raises(StoppedError):
        explorer.page(stop=lambda: True)


def test_the_button_sends_the_page_of_maps(explorer: EmbeddingExplorer) -> None:
    sent = []
    explorer.panel.board.send = lambda content, buffers=None: sent.append((content, buffers))
    explorer.save_page.images.value = 2
    explorer.save_page.worker.start().join(60)
    ((content, (page,)),) = sent
    assert content == {"kind": "download", "name": "embeddings.html"}
    assert len(ReadPage(page.decode()).model(trait="thumbs")[1]["thumbs"]) == 2
