"""Steps that are taken back, and states that are pasted: everything is as it was, and what does not fit changes nothing."""

from __future__ import annotations

import json
import random
from html import unescape
from pathlib import Path

import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.view.scales import history

MODEL = tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, found = tmp_path_factory.mktemp("people"), []
    for number, picture in enumerate(pictures(3)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        found.append(Sample(number, number, {"RGB": folder / f"{number}.png"}))
    return found


@pytest.fixture
def explorer(samples: list[Sample]):
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    yield explorer
    explorer.close()


def press(explorer: mv.ScaleExplorer, kind: str) -> None:
    explorer.sections._handle_custom_msg({"kind": kind}, [])


def paste(explorer: mv.ScaleExplorer, text: str) -> str:
    """What is said then."""
    explorer.bar.paste._handle_custom_msg({"kind": "paste", "text": text}, [])
    return unescape(explorer._html["message"].value)


def pin(explorer: mv.ScaleExplorer, window: int) -> None:
    explorer.board.pinned = {"key": "scale-4", "row": 0, "window": window}


STEPS = {
    "a slider": lambda explorer: setattr(explorer.controls.scale, "value", 7),
    "a menu": lambda explorer: setattr(explorer.controls.value, "value", "norm"),
    "a slot": lambda explorer: setattr(explorer.controls.slots[1], "value", "free"),
    "the display": lambda explorer: setattr(explorer.controls.opacity, "value", 0.2),
    "a pin": lambda explorer: pin(explorer, 1),
    "a hidden panel": lambda explorer: setattr(explorer.board, "hidden", ["plain"]),
    "an image": lambda explorer: setattr(explorer.strip, "selected", 2),
    "the second image": lambda explorer: setattr(explorer.strip, "second", 2),
    "words": lambda explorer: setattr(explorer.controls.prompt, "value", "a red coat"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_any_kind_is_taken_back(explorer, name: str) -> None:
    before, numbers = explorer.state, explorer._html["scores"].value
    assert not explorer.sections.can_undo
    STEPS[name](explorer)
    assert explorer.state != before
    assert explorer.sections.can_undo
    press(explorer, "undo")
    assert explorer.state == before
    assert explorer._html["scores"].value == numbers
    assert explorer.board.answered == explorer.controls.asked
    assert not explorer.sections.can_undo


def test_steps_are_taken_back_one_by_one_in_their_order(explorer) -> None:
    names, states = list(STEPS), []
    random.Random(3).shuffle(names)
    for name in names:
        states.append(explorer.state)
        STEPS[name](explorer)
    for before in reversed(states):
        press(explorer, "undo")
        assert explorer.state == before
    press(explorer, "undo")  # with no step to take back
    assert explorer.state == states[0]


def test_a_reset_is_one_step(explorer) -> None:
    for act in STEPS.values():
        act(explorer)
    before = explorer.state
    press(explorer, "reset")
    assert explorer.state["pinned"] is None
    press(explorer, "undo")
    assert explorer.state == before


def test_a_reset_of_what_is_as_at_first_is_no_step(explorer) -> None:
    press(explorer, "reset")
    assert not explorer.sections.can_undo


def test_the_moves_of_a_drag_are_one_step_and_two_drags_are_two(explorer, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(history.time, "monotonic", lambda: clock[0])
    first = explorer.controls.opacity.value
    for value in (0.5, 0.4, 0.3):
        clock[0] += 0.4
        explorer.controls.opacity.value = value
    clock[0] += 5
    explorer.controls.opacity.value = 0.9
    press(explorer, "undo")
    assert explorer.controls.opacity.value == 0.3
    press(explorer, "undo")
    assert explorer.controls.opacity.value == first


def test_two_clicks_are_two_steps_however_quick(explorer) -> None:
    for window in (0, 1, 2):
        pin(explorer, window)
    press(explorer, "undo")
    assert explorer.board.pinned["window"] == 1


def test_a_step_taken_back_and_another_taken_leaves_one_to_take_back(explorer) -> None:
    STEPS["a menu"](explorer)
    press(explorer, "undo")
    STEPS["a slot"](explorer)
    press(explorer, "undo")
    assert not explorer.sections.can_undo


def test_the_oldest_of_very_many_steps_is_forgotten(explorer, monkeypatch) -> None:
    monkeypatch.setattr(explorer, "_update", lambda: None)
    for window in range(history.MOST_STEPS + 5):
        pin(explorer, window)
    for _ in range(history.MOST_STEPS):
        assert explorer.sections.can_undo
        press(explorer, "undo")
    assert not explorer.sections.can_undo
    assert explorer.board.pinned["window"] == 4


def test_other_samples_begin_a_history_of_their_own(explorer, tmp_path: Path) -> None:
    STEPS["a menu"](explorer)
    Image.fromarray(pictures(1)[0]).save(tmp_path / "own.png")
    explorer.bar.path.value = str(tmp_path)
    assert not explorer.sections.can_undo
    press(explorer, "undo")
    assert explorer.strip.items[0]["name"] == "own"
    STEPS["a slot"](explorer)
    press(explorer, "undo")
    assert explorer.controls.slots[1].value == "on"


def test_an_explorer_from_a_state_begins_with_it(explorer, samples) -> None:
    STEPS["a menu"](explorer)
    again = mv.ScaleExplorer.from_state(MODEL, samples, explorer.state)
    assert not again.sections.can_undo
    again.close()


def test_a_step_that_cannot_be_taken_back_is_said_and_changes_nothing(explorer, monkeypatch) -> None:
    STEPS["a menu"](explorer)
    before = explorer.state
    monkeypatch.setattr(explorer._history, "_restored", lambda _values: 1 / 0)
    press(explorer, "undo")
    assert "ZeroDivisionError" in explorer._html["message"].value
    assert explorer.state == before


def test_a_pasted_state_is_shown_and_can_be_taken_back(explorer) -> None:
    first = explorer.state
    for act in STEPS.values():
        act(explorer)
    copied = json.dumps(explorer.state)
    press(explorer, "reset")
    explorer.strip.selected = explorer.strip.second = 0
    before = explorer.state
    assert paste(explorer, copied) == ""
    assert explorer.state == json.loads(copied)
    press(explorer, "undo")
    assert explorer.state == before
    assert paste(explorer, json.dumps(first)) == ""
    assert explorer.state == first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, ("a state has version 1 or 2", "got version 99", "copy it again")),
        ({"sample": "gone.png"}, ("rebuilt from the samples", "'gone.png'", "pass samples")),
        ({"controls": {"scale": 3, "opacity": 7}}, ("opacity of a state must be", "got 7", "copy it again")),
        ({"controls": {"scale": 3, "value": "size"}}, ("value of a state must be one of", "got 'size'", "copy")),
        ({"controls": {"zoom": 3}}, ("has the controls", "also got zoom", "load the model")),
        ({"pinned": {"key": "free"}}, ("pinned", "copy it again")),
        ({"pinned": {"key": "gone", "row": 0, "window": 0}}, ("panel of a pin must be one of", "got 'gone'", "copy it again")),
        ({"pinned": {"key": "cls", "row": 0, "window": 0}}, ("panel of a pin must be one of", "got 'cls'", "copy it again")),
        ({"pinned": {"key": "scale-4", "row": 7, "window": 0}}, ("row of a pin must be 0, the only one", "got 7", "copy")),
        ({"pinned": {"key": "scale-4", "row": 0, "window": 999}}, ("window of a pin in scale 4 must be one of 0..", "got 999", "copy")),
        ({"hidden": ["plain", "gone"]}, ("a hidden panel of a state must be one of", "got 'gone'", "copy it again")),
        ({"modality": "XX"}, ("modality of a state must be one of 'RGB', 'NI', 'TI'", "got 'XX'", "copy it again")),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_is_refused_in_words_and_changes_nothing(explorer, change, said) -> None:
    STEPS["a slot"](explorer)
    pin(explorer, 1)
    before, shown = explorer.state, explorer._html["scores"].value
    words = paste(explorer, json.dumps({**explorer.state, **change}))
    assert all(part in words for part in said), words
    assert (explorer.state, explorer._html["scores"].value) == (before, shown)
    press(explorer, "undo")  # which is no step
    assert explorer.board.pinned is None
    assert explorer.controls.slots[1].value == "free"


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", '{"version": 2}', "{" * 3000, "nul\0"])
def test_a_text_that_is_no_state_is_refused_in_words_and_changes_nothing(explorer, text: str) -> None:
    before = explorer.state
    words = paste(explorer, text)
    assert "state" in words
    assert "copy it again" in words
    assert explorer.state == before
    assert not explorer.sections.can_undo
    assert paste(explorer, json.dumps(before)) == ""  # and the words go


def test_a_state_of_other_weights_is_named_when_pasted(explorer) -> None:
    words = paste(explorer, json.dumps({**explorer.state, "weights": "of somebody else"}))
    assert "made with other weights: of somebody else" in words
    other = explorer.state["weights"].replace("add-on: ", "add-on: another, ")
    words = paste(explorer, json.dumps({**explorer.state, "weights": other}))
    assert f"made with other weights: {MODEL.tower.weights}; add-on: another" in words


def test_a_state_of_another_device_is_of_the_same_weights(explorer) -> None:
    made_here = explorer.state["weights"]
    assert f"device: {MODEL.device}, float32" in made_here
    for device in ("cuda:1, mixed precision (bfloat16)", "mps, float32"):
        made_there = made_here.replace(f"device: {MODEL.device}, float32", f"device: {device}")
        assert made_there != made_here
        assert paste(explorer, json.dumps({**explorer.state, "weights": made_there})) == ""


def test_a_pin_that_is_gone_is_no_part_of_a_state_and_comes_back_with_a_step(explorer) -> None:
    explorer.controls.rows.value = "pair"
    explorer.board.pinned = {"key": "scale-4", "row": 1, "window": 0}
    explorer.controls.rows.value = "one"
    explorer.controls.cmap.value = "magma"
    assert explorer.state["pinned"] is None
    assert paste(explorer, json.dumps(explorer.state)) == ""
    for _ in ("the state", "the colours", "the rows"):
        press(explorer, "undo")
    assert explorer.controls.rows.value == "pair"
    assert explorer.state["pinned"] == {"key": "scale-4", "row": 1, "window": 0}


def test_a_panel_that_is_shown_on_request_may_be_hidden(explorer) -> None:
    assert paste(explorer, json.dumps({**explorer.state, "hidden": ["cls", "fused"]})) == ""
    assert explorer.board.hidden == ["cls", "fused"]
