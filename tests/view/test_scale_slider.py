"""The kernel's side of the slider of scales."""

from __future__ import annotations

import pytest

from mswin_viz.view.widgets.assets import script
from mswin_viz.view.widgets.scale_slider import ScaleSlider


def test_a_value_outside_is_brought_to_the_nearest_end() -> None:
    slider = ScaleSlider(5, min=1, max=24)
    slider.value = 99
    assert slider.value == 24
    slider.value = 0
    assert slider.value == 1
    assert repr(slider) == "ScaleSlider(1 in 1..24)"


def test_only_marks_on_the_track_are_shown() -> None:
    assert ScaleSlider(1, min=1, max=12, marks=(4, 8, 16)).marks == [4, 8]


def test_the_kernel_follows_each_move_until_it_says_otherwise() -> None:
    assert ScaleSlider(1, min=1, max=12).is_followed


def test_what_the_browser_sent_is_not_sent_back(monkeypatch: pytest.MonkeyPatch) -> None:
    slider, sent = ScaleSlider(1, min=1, max=12), []
    monkeypatch.setattr(slider, "_send", lambda message, buffers=None: sent.append(message))
    slider.set_state({"value": 7})
    assert slider.value == 7
    assert sent == []


def test_the_script_stands_alone() -> None:
    assert "\nimport " not in script("slider")
