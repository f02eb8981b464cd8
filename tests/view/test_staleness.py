"""What is out of date is marked, in every explorer by the same rule; and a figure names what it shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.view.parts.figure_file import figure_picture
from mswin_viz.view.scales.figure import shown_words
from mswin_viz.view.widgets.freshness import Freshness

MODEL = tiny_model()
OLD = "mswin-out-of-date"


# ---- the rule -------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(["ask", "answer", "fail", "clear"]), st.integers(0, 2)), max_size=30)
)
def test_what_is_shown_is_old_exactly_if_something_else_was_asked_for_since(steps) -> None:
    """Against a loop that remembers requests alone."""
    marks: list[bool] = []
    freshness = Freshness(marks.append)
    shown = asked = None
    has_failed = False
    for what, request in steps:
        if what == "ask":
            freshness.ask(request)
            has_failed = has_failed and asked == request
            asked = request
        elif what == "answer" and asked is not None:
            freshness.answer(freshness.ask(asked))
            shown, has_failed = asked, False
        elif what == "fail" and asked is not None:
            freshness.fail(freshness.ask(asked))
            has_failed = True
        elif what == "clear":
            freshness.clear()
            shown = None
        expected = shown is not None and (shown != asked or has_failed)
        assert freshness.is_old == expected
        assert (marks[-1] if marks else False) == expected
        assert freshness.shown == shown
    assert marks == [at % 2 == 0 for at in range(len(marks))]  # called with changes only


# ---- the scale explorer ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, picture in enumerate(pictures(4)):
        Image.fromarray(np.roll(picture, at, axis=1)).save(tmp_path / f"person {at}.png")
    return tmp_path


@pytest.fixture
def explorer(folder: Path) -> Iterator[mv.ScaleExplorer]:
    samples = [Sample(at, at, {"RGB": folder / f"person {at}.png"}) for at in range(3)]
    made = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    yield made
    made.close()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def words(path: Path) -> None:
    path.write_text("no picture")


def landscape(path: Path) -> None:
    Image.fromarray(np.zeros((4, 4000, 3), np.uint8)).save(path)
    cut(path)


def pale(image: Path) -> None:
    Image.new("F", (8, 16)).save(image.with_suffix(".tif"))
    shutil.move(image.with_suffix(".tif"), image)
    cut(image)


BROKEN = [cut, emptied, words, landscape, pale]


def is_marked(explorer: mv.ScaleExplorer) -> bool:
    """As the browser sees it: the answer on the board does not fit what the controls, by the samples' number, ask for."""
    assert set(explorer.board.watched) == set(explorer.controls.asked)
    return explorer.board.answered != explorer.controls.asked


@pytest.mark.parametrize("spoil", BROKEN)
def test_a_broken_file_in_the_path_box_leaves_the_old_heatmaps_marked(explorer, folder, spoil) -> None:
    (folder / "new").mkdir()
    broken = folder / "new" / "stranger.png"
    shutil.copy(folder / "person 3.png", broken)
    spoil(broken)
    assert not is_marked(explorer)
    explorer.bar.path.value = str(broken)
    assert is_marked(explorer)  # although position 0 is chosen, as before
    assert explorer.board.failed == explorer.controls.asked
    name, figure = explorer._named_figure()
    assert name == "person 0_scales"
    assert "Older than the controls." in figure.get_supxlabel()
    assert "person 0: cosine" in figure.get_supxlabel().replace("\n", " ")
    explorer.bar.path.value = str(folder / "person 2.png")
    assert not is_marked(explorer)
    assert explorer._named_figure()[0] == "person 2_scales"


def test_a_saved_figure_is_named_after_what_it_shows(explorer, folder, monkeypatch) -> None:
    sent: list[dict] = []
    monkeypatch.setattr(explorer.board, "send", lambda content, _buffers=None: sent.append(content))
    cut(folder / "person 1.png")
    explorer.strip.selected = 1
    assert is_marked(explorer)
    explorer.bar.download.button.click()
    explorer.strip.selected = 2
    explorer.bar.download.button.click()
    assert [content["name"] for content in sent] == ["person 0_scales.png", "person 2_scales.png"]


def test_a_figure_of_a_pair_names_both_and_its_pin(explorer) -> None:
    explorer.strip.second, explorer.controls.rows.value = 2, "pair"
    explorer.board.pinned = {"key": "scale-4", "row": 1, "window": 2}
    value = explorer.view.panel("scale-4").values[1, 2]
    said = shown_words(explorer._shown, explorer.board.pinned)
    assert said.startswith("person 0 and person 2: cosine")
    assert f"{explorer.view.cosine.score[1]:.3f}" in said
    assert f"Pinned: window 2 of scale 4, {explorer.result.names[1]}" in said
    assert f"{value:.3g}." in said
    assert explorer._named_figure()[0] == "person 0_person 2_scales"


@pytest.mark.parametrize(
    "pinned",
    [None, {"key": "gone", "row": 0, "window": 0}, {"key": "scale-4", "row": 7, "window": 0}, {"key": "scale-4", "row": 0, "window": 999}],
)  # fmt: skip
def test_a_pin_that_no_longer_exists_is_neither_drawn_nor_said(explorer, pinned) -> None:
    explorer.board.pinned = pinned
    assert "Pinned" not in shown_words(explorer._shown, pinned)
    figure_picture(explorer.figure())


def test_a_pin_is_drawn_around_its_window_alone(explorer) -> None:
    def orange() -> int:
        pixels = np.asarray(figure_picture(explorer.figure())).astype(int)
        return int((np.abs(pixels[..., :3] - (255, 176, 0)) < 12).all(axis=2).sum())

    before = orange()
    explorer.board.pinned = {"key": "scale-4", "row": 0, "window": 0}
    assert orange() > before + 40


# ---- the other explorers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> tuple[list[Sample], mv.EmbeddingTable]:
    folder = tmp_path_factory.mktemp("people")
    for at, picture in enumerate(pictures(8)):
        Image.fromarray(np.roll(picture, at, axis=1)).save(folder / f"p{at}.png")
    samples = [Sample(at % 3, at, {"RGB": folder / f"p{at}.png"}) for at in range(8)]
    return samples, mv.embed(MODEL, samples, progress=False)


@pytest.fixture
def retrieval(table) -> Iterator[mv.RetrievalView]:
    made = mv.RetrievalView(MODEL, table[0], table=table[1])
    yield made
    made.close()


def failing(*_arguments: object, **_options: object) -> None:
    raise ValueError("no ranking today")


@pytest.mark.parametrize("change", [("query", 4), ("rule", "none"), ("k", 3)])
def test_a_ranking_that_fails_leaves_the_lists_marked_and_named_as_they_are(
    retrieval, monkeypatch, change
) -> None:
    name, value = change
    with monkeypatch.context() as broken:
        broken.setattr(type(retrieval._lists), "show", failing)
        setattr(retrieval, name, value)
    assert OLD in retrieval._lists._dom_classes
    shown, figure = retrieval._named_figure()
    assert shown == "p0_ranked"
    assert "Query p0" in figure.get_supxlabel().replace("\n", " ")
    assert "Older than the controls." in figure.get_supxlabel().replace("\n", " ")
    assert "rule camera" in figure.get_supxlabel().replace("\n", " ")
    retrieval._refresh()
    assert OLD not in retrieval._lists._dom_classes
    assert retrieval._named_figure()[0] == ("p4_ranked" if name == "query" else "p0_ranked")


def test_a_failed_ranking_is_not_reported_as_done(retrieval, monkeypatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(type(retrieval._lists), "show", failing)
        retrieval.query = 3
        retrieval.start().join(60)
    assert retrieval.worker.status.value == "failed"


def wait(until: Callable[[], bool]) -> None:
    import time

    limit = time.monotonic() + 30
    while not until():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_another_chosen_result_marks_heatmaps_and_bars_until_its_own_are_there(
    retrieval, monkeypatch
) -> None:
    import threading

    from mswin_viz.view.retrieval import pair_work

    panel, first, second = retrieval.pair, *retrieval.results["plain"].rows[:2].tolist()
    retrieval.strip.clicked = first
    retrieval.pair_worker.thread.join(60)
    assert OLD not in panel.board._dom_classes
    gate, real = threading.Event(), pair_work.pair_window_shares
    monkeypatch.setattr(pair_work, "pair_window_shares", lambda *a, **k: gate.wait(30) and real(*a, **k))
    retrieval.strip.clicked = second
    assert all(OLD in part._dom_classes for part in (panel.board, panel._bars))
    gate.set()
    retrieval.pair_worker.thread.join(60)
    assert not any(OLD in part._dom_classes for part in (panel.board, panel._bars))
    monkeypatch.setattr(pair_work, "pair_window_shares", failing)
    retrieval.strip.clicked = first
    retrieval.pair_worker.thread.join(60)
    assert all(OLD in part._dom_classes for part in (panel.board, panel._bars))
    assert retrieval.pair_worker.status.value == "failed"


@pytest.fixture
def embeddings(table) -> Iterator[mv.EmbeddingExplorer]:
    samples, embedded = table
    made = mv.EmbeddingExplorer(MODEL, samples, table=embedded, view=mv.embedding_view(embedded))
    yield made
    made.close()


def test_maps_are_marked_while_the_settings_above_them_are_others(embeddings) -> None:
    settings = embeddings.settings
    for control, value in ((settings.seed, 3), (settings.coupling, 0.5), (settings.rule, "none")):
        was = control.value
        control.value = value
        assert OLD in embeddings._below._dom_classes
        assert "out of date" in embeddings._old.value
        control.value = was
        assert OLD not in embeddings._below._dom_classes
        assert embeddings._old.value == ""


def test_maps_of_settings_that_changed_on_the_way_are_marked(embeddings, monkeypatch) -> None:
    from mswin_viz.view.embeddings import explorer as module

    real = module.embedding_view

    def changed(*arguments, **options):
        embeddings.settings.seed.value = 9
        return real(*arguments, **options)

    monkeypatch.setattr(module, "embedding_view", changed)
    embeddings.start().join(60)
    assert embeddings.view.settings.seed == 0
    assert OLD in embeddings._below._dom_classes


def test_an_image_that_cannot_be_opened_marks_the_last_one_with_its_numbers(embeddings, table) -> None:
    panel = embeddings.panel
    embeddings.open_row(0)
    assert OLD not in panel.board._dom_classes
    path = table[0][1].images["RGB"]
    kept = path.read_bytes()
    cut(path)
    try:
        embeddings.open_row(1)
        parts = (panel.board, panel._numbers, panel._title)
        assert all(OLD in part._dom_classes for part in parts)
    finally:
        path.write_bytes(kept)
    embeddings.open_row(1)
    embeddings.open_row(0)
    assert not any(OLD in part._dom_classes for part in parts)
