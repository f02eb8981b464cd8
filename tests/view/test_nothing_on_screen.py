"""Views that could show nothing yet: every button and method answers in words, and a good image mends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
import torch
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.view.scales.result_cache import ResultCache
from mswin_viz.view.widgets.guarded import OUT_OF_DATE
from mswin_viz.view.widgets.lifetime import parts_of

MODEL = tiny_model()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:70])


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "text": lambda path: path.write_text("no picture"),
}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    found = []
    for at, picture in enumerate(pictures(6)):
        path = tmp_path / f"{at}.png"
        Image.fromarray(picture).save(path)
        found.append(Sample(at % 2, at, {"RGB": path}))
    return found


@pytest.fixture(params=DAMAGE.values(), ids=DAMAGE)
def first_broken(request, samples) -> list[Sample]:
    request.param(samples[0].images["RGB"])
    return samples


@pytest.fixture
def explorer(first_broken) -> Iterator[mv.ScaleExplorer]:
    made = mv.ScaleExplorer(MODEL.bound(), first_broken, prompt="a person")
    yield made
    made.close()


def said(view: widgets.Widget) -> str:
    texts = (getattr(part, name, "") for part in parts_of(view) for name in ("value", "message", "status"))
    return unescape("\n".join(text for text in texts if isinstance(text, str)))


def test_the_first_image_that_is_broken_is_named_with_the_type_of_the_error(explorer) -> None:
    assert ">ImageFileError<" in said(explorer)
    assert "0.png cannot be read" in said(explorer)
    assert (explorer.result, explorer.view) == (None, None)


def test_a_figure_of_nothing_is_refused_in_words(explorer, tmp_path: Path) -> None:
    for ask in (explorer.figure, lambda: explorer.save_figure(tmp_path / "figure.png")):
        with pytest.raises(OptionError, match="there is nothing yet; choose an image that can be read"):
            ask()
    assert not (tmp_path / "figure.png").exists()


def test_every_button_answers_with_nothing_on_screen(explorer, caplog) -> None:
    sent: list[dict] = []
    explorer.board.send = lambda content, _buffers=None: sent.append(content)
    explorer.bar.download.button.click()
    assert "a figure shows what is on screen" in said(explorer)
    assert ">OptionError<" in said(explorer)
    assert not explorer.bar.download.button.disabled
    explorer.bar.copy.click()
    explorer.board.pinned = {"key": "free", "row": 0, "window": 1}
    explorer.strip._handle_custom_msg({"kind": "stop"}, [])
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert [content["kind"] for content in sent] in ([], ["copy"])
    if not sent:
        assert "0.png" in said(explorer)
    assert "AttributeError" not in said(explorer)


def test_text_and_picture_of_nothing_are_there_for_stored_notebooks(explorer) -> None:
    assert "ScaleExplorer(" in repr(explorer)
    assert "text/plain" in explorer._repr_mimebundle_()


def test_the_next_image_mends_the_view(explorer) -> None:
    explorer.bar.download.button.click()
    explorer.strip.selected = 1
    assert "Error" not in said(explorer)
    assert explorer.result is not None
    assert explorer.board.answered == explorer.controls.asked
    explorer.figure()


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError("boom"),
        KeyError("gone"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        AssertionError(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_an_explorer_whose_first_answer_fails_is_there_and_says_so(
    samples, monkeypatch, problem: Exception
) -> None:
    def fail(*_: object) -> None:
        raise problem

    with monkeypatch.context() as broken:
        broken.setattr(ResultCache, "result", fail)
        made = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    assert type(problem).__name__ in said(made)
    assert made.board.failed == made.controls.asked
    made.controls.scale.value = 4 if made.controls.scale.value != 4 else 3
    assert type(problem).__name__ not in said(made)
    assert made.board.failed is None
    made.close()


# ---- the views behind a button --------------------------------------------------------------------


def test_every_part_of_an_embedding_explorer_answers_before_there_are_maps(
    samples, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = mv.EmbeddingExplorer(MODEL, samples)
    made.saving.button.click()
    assert "saving needs maps" in said(made)
    assert not made.saving.button.disabled
    made.controls.colour.value = "camera"
    made.controls.search.value = "1"
    made.controls.morph.value = made.controls.arrows.value = True
    made.panel.rows.value = "pair"
    made.panel.value.value = "norm"
    assert "AttributeError" not in said(made)
    for ask in (lambda: made.open_row(0), lambda: made.save(tmp_path / "out")):
        with pytest.raises(MswinVizError, match="none have been computed yet"):
            ask()
    assert not (tmp_path / "out").exists()
    made.close()


def test_every_part_of_a_retrieval_view_answers_before_there_is_a_table(samples) -> None:
    made = mv.RetrievalView(MODEL, samples)
    made.download.button.click()
    assert "a figure needs ranked results" in said(made)
    made.pair_worker.run.click()
    made.pair_worker.thread.join(20)
    assert "window shares need a chosen result" in said(made)
    for control, value in (
        ("search", "id 1"),
        ("search", "nothing"),
        ("search", ""),
        ("rule", "none"),
        ("k", 3),
    ):
        getattr(made.controls, control).value = value
    made.controls.following.click()
    made.controls.previous.click()
    assert "AttributeError" not in said(made)
    made.close()


def test_every_part_of_an_attribution_explorer_answers_before_there_are_maps(samples) -> None:
    made = mv.AttributionExplorer(MODEL, samples, prompt="a person")
    with pytest.raises(OptionError, match="none have been computed yet"):
        made.figure()
    made.worker.stop_button.click()
    made.controls.methods.value = ()
    made.controls.features.value = "plain"
    made.worker.run.click()
    made.worker.thread.join(30)
    assert made.worker.status.value.startswith("failed")
    assert "maps need a method: got none" in said(made)
    assert ">OptionError<" in said(made)
    assert OUT_OF_DATE not in said(made)
    made.close()


def test_an_attribution_of_a_broken_image_is_no_work_that_is_done(first_broken) -> None:
    made = mv.AttributionExplorer(MODEL, first_broken, prompt="a person")
    made.start().join(30)
    assert made.worker.status.value.startswith("failed")
    assert ">ImageFileError<" in said(made)
    assert not made.worker.run.disabled
    made.close()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_work_that_ends_through_what_ends_programs_is_said_and_can_be_started_again(
    samples, monkeypatch, kind
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("now")

    made = mv.EmbeddingExplorer(MODEL, samples)
    with monkeypatch.context() as broken:
        broken.setattr("mswin_viz.view.embeddings.explorer.embed", fail)
        made.start().join(30)
    assert f"{kind.__name__}: now" in said(made)
    assert made.worker.status.value == "failed"
    assert (made.worker.run.disabled, made.worker.stop_button.disabled) == (False, True)
    made.start().join(60)
    assert made.view is not None
    assert kind.__name__ not in said(made)
    made.close()
