"""What a view cannot be made of is refused in the package's words, before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.view.scales.state import parsed

MODEL = tiny_model()
VIEWS = (mv.AttributionExplorer, mv.EmbeddingExplorer, mv.RetrievalView, mv.TextSearchView, mv.ScaleExplorer)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return two_modalities(tmp_path_factory.mktemp("people"), 2, n_people=2)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("model", ["embedded", None, 7])
def test_what_is_no_model_is_refused_with_how_to_make_one(view, samples, model) -> None:
    with pytest.raises(
        OptionError, match=f"shows a model: got {model!r}; make one with mswin_viz.load_model"
    ):
        view(model, samples)


@pytest.mark.parametrize("view", VIEWS[:4], ids=lambda view: view.__name__)
@pytest.mark.parametrize("models", [[MODEL, MODEL], (MODEL,), {"a": MODEL, "b": MODEL}], ids=repr)
def test_two_models_are_refused_where_one_is_shown(view, samples, models) -> None:
    kind = type(models).__name__
    with pytest.raises(OptionError, match=f"one model: got a {kind} of {len(models)}; .* in a ScaleExplorer"):
        view(models, samples)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize(
    "wrong", ["a folder", Path("a folder"), 7, None, [Path("a.png")], {"a": 1}], ids=repr
)
def test_what_are_no_samples_is_refused_with_how_to_read_some(view, wrong) -> None:
    with pytest.raises(OptionError, match=r"a list of Sample records: got .*; mswin_viz\.samples\(folder\)"):
        view(MODEL, wrong)


def test_a_sample_alone_is_refused_and_any_iterable_taken(samples) -> None:
    with pytest.raises(OptionError, match=r"got Sample\(.*\[sample\] is a list of one"):
        mv.RetrievalView(MODEL, samples[0])
    view = mv.ScaleExplorer(MODEL, iter(samples))
    assert len(view.strip.items) == len(samples)
    view.close()


@pytest.mark.parametrize("view", [mv.AttributionExplorer, mv.ScaleExplorer], ids=lambda view: view.__name__)
@pytest.mark.parametrize("prompt", [["a person", "a bag"], 7, None], ids=repr)
def test_a_prompt_that_is_no_text_is_refused(view, samples, prompt) -> None:
    with pytest.raises(OptionError, match=r"prompt must be a text: got .*several, one a line"):
        view(MODEL, samples, prompt=prompt)


@pytest.mark.parametrize("view", [mv.AttributionExplorer, mv.ScaleExplorer], ids=lambda view: view.__name__)
def test_a_prompt_that_utf_8_cannot_hold_is_refused(view, samples) -> None:
    with pytest.raises(
        OptionError, match=r"a text that UTF-8 can hold: got 'caf\\\\udce9'; write its words anew"
    ):
        view(MODEL, samples, prompt="caf\udce9")


def test_a_prompt_that_utf_8_cannot_hold_is_said_and_the_page_can_be_saved(samples) -> None:
    view = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    view.controls.prompt.value = "caf\udce9"
    assert "a prompt must be a text that UTF-8 can hold" in view._html["message"].value
    assert json.loads(r'"caf\udce9"') == "caf\udce9"
    assert r"caf\udce9" in view.page(images=1).encode().decode()
    view.close()


@pytest.mark.parametrize("height", [0, -5, 1.5, "800", True, None])
def test_a_height_that_is_none_is_refused_before_the_page_is_made(samples, height, monkeypatch) -> None:
    monkeypatch.setattr(mv.RetrievalView, "page", lambda _view, **_options: pytest.fail("was computed"))
    view = mv.RetrievalView(MODEL, samples)
    with pytest.raises(OptionError, match=r"height must be a whole number, 1 or more: got .*; leave it out"):
        view.static(height=height)
    view.close()


def test_a_state_that_is_no_object_is_refused_without_the_names_of_classes() -> None:
    for state in (json.dumps([1]), 7):
        with pytest.raises(OptionError, match="the whole should be a valid dictionary, got ") as caught:
            parsed(state)
        assert "_State" not in str(caught.value)
