"""The retrieval view and the embedding explorer as pages: what they hold is what the live view shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pages import PageText
from support.tiny import pictures, tiny_model

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.view.retrieval.view import ALL, RetrievalView

MODEL = tiny_model()


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Eight samples of three people in two modalities; the fourth has no NI, the last one's RGB is broken."""
    found = []
    for at, picture in enumerate(pictures(8)):
        files = {name: tmp_path / "a folder" / f"{name}_{at}.png" for name in ("RGB", "NI")}
        for turn, path in enumerate(files.values()):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.roll(picture, turn, axis=2)).save(path)
        found.append(Sample(at % 3, at, files, caption=f"number {at}"))
    del found[3].images["NI"]
    found[7].images["RGB"].write_bytes(b"broken")
    return found


@pytest.fixture
def table(samples: list[Sample]) -> EmbeddingTable:
    return embed(MODEL, samples, progress=False)


# ---- retrieval ---------------------------------------------------------------------------------


@pytest.fixture
def retrieval(samples: list[Sample], table: EmbeddingTable) -> RetrievalView:
    return RetrievalView(MODEL, samples, table=table, k=4)


@pytest.mark.parametrize(
    ("query", "modality", "rule"), [(4, "NI", "camera"), (0, ALL, "none"), (3, "NI", "camera")]
)
def test_a_page_ranks_as_the_live_view_does(
    retrieval: RetrievalView, tmp_path: Path, query: int, modality: str, rule: str
) -> None:
    page = PageText(retrieval.page())
    strip, _ = page.model(trait="lists")
    retrieval.query, retrieval.modality, retrieval.rule = query, modality, rule
    answer = page.answer(query, modality, rule)
    live = retrieval.strip
    assert answer[strip]["query"] == live.query
    assert answer[strip]["lists"] == live.lists
    assert answer[strip]["pictures"] == live.pictures
    assert bool(live.lists) == (query != 3)
    summary, message = (page.shown(answer, f"mswin-retrieval-{name}") for name in ("summary", "message"))
    assert summary == retrieval._html["summary"].value.replace(f"{tmp_path}/a folder/", "")
    assert message == retrieval._html["message"].value.replace(f"{tmp_path}/a folder/", "")
    assert ("has no NI row" in message) == (query == 3)


def test_a_page_of_results_is_whole_and_names_no_folder(retrieval: RetrievalView, tmp_path: Path) -> None:
    page = PageText(retrieval.page())
    assert page.broken_references == []
    assert "RGB_7.png" in page.text  # which failed
    for folder in (tmp_path, Path.home(), Path.cwd()):
        assert str(folder) not in page.text
    assert "a folder" not in page.text


def test_a_page_of_results_holds_the_first_queries_and_the_present_one(retrieval: RetrievalView) -> None:
    retrieval.query = 6
    page = PageText(retrieval.page(images=3))
    name, menu = page.model("mswin-retrieval-query")
    assert [label.split(",")[0] for label in menu["_options_labels"]] == ["id 0", "id 1", "id 0"]
    assert menu["index"] == 2
    count = page.model("mswin-retrieval-count")[1]["value"]
    assert page.words(count) == "3 of 8 queries"
    (table,) = page.data["tables"]
    assert table["axes"][0] == [name, "index", None]
    assert len(table["answers"]) == 3 * len(retrieval._rankings.choices) * len(
        retrieval.controls.rule.options
    )
    assert page.answer(2, "RGB", "camera")[page.model(trait="lists")[0]]["query"] == retrieval.strip.query
    for left_out in ("mswin-retrieval-search", "mswin-retrieval-work-run", "mswin-retrieval-save"):
        assert left_out not in page.text


def test_a_page_says_why_a_query_has_no_results(samples: list[Sample], table: EmbeddingTable) -> None:
    alone = np.flatnonzero((table.modality == "RGB") & np.isin(table.sample, (0, 3)))
    cameras = table[alone]
    view = RetrievalView(MODEL, samples, table=cameras)
    answer = PageText(view.page(images=1)).answer(0, "RGB", "camera")
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
    assert len(PageText(page.decode()).model("mswin-retrieval-query")[1]["_options_labels"]) == 2
