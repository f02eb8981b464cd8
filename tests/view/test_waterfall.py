"""The bars from the plain to the enhanced cosine, in HTML and figures, and the sentence for every sign."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswin_viz.analysis.shares.waterfall import Step, Waterfall
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.waterfall import (
    draw_waterfall,
    limits_of,
    waterfall_bars,
    waterfall_html,
    waterfall_words,
)


def some(
    norm: float, *windows: float, bias: float = 0.0, plain: float = 0.263, length: float = 1.9
) -> Waterfall:
    parts = (
        *(Step("windows", value, f"scale {4 * 2**i}") for i, value in enumerate(windows)),
        Step("bias", bias),
    )
    enhanced = plain + norm + sum(step.value for step in parts)
    return Waterfall(plain, (Step("norm", norm),), parts, enhanced, (length,))


@pytest.mark.parametrize(
    ("waterfall", "words"),
    [
        (some(-0.128, 0.01, 0.014), "the scales add 0.024, the longer norm takes 0.128: 0.263 → 0.159"),
        (some(0.02, -0.05, length=0.9), "the shorter norm adds 0.020, the scales take 0.050: 0.263 → 0.233"),
        (some(0.05, 0.001, bias=0.02, plain=-0.1), "the longer norm adds 0.050, the biases add 0.020, the scales add 0.001: -0.100 → -0.029"),
        (some(-0.01, 0.02, -0.05, bias=-0.1), "the biases take 0.100, the scales take 0.030, the longer norm takes 0.010: 0.263 → 0.123"),
        (some(-0.0004, 0.0004), "nothing moves it: 0.263 → 0.263"),
        (Waterfall(0.2, (Step("other", 0.1), Step("norm", -0.2)), (Step("windows", 0.1, "tokens"),), 0.2, (0.9, 1.2)),
         "the other image's add-on adds 0.100, the tokens add 0.100, the new norm takes 0.200: 0.200 → 0.200"),
    ],
)  # fmt: skip
def test_the_sentence_says_who_adds_and_who_takes(waterfall, words):
    assert waterfall_words(waterfall) == words


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.floats(-1, 1))
def test_every_bar_begins_where_the_last_one_ended(values, plain):
    waterfall = some(values[0], *values[1:], plain=plain)
    bars = waterfall_bars(waterfall, [("its patches", waterfall.cls / 2), ("biases", waterfall.cls / 2)])
    assert [bar.kind for bar in bars[:5]] == ["total", "step", "total", "detail", "detail"]
    level = 0.0
    for bar in bars:
        if bar.kind == "total":
            assert bar.start == 0
            level = bar.end
        elif bar.kind == "step":
            assert bar.start == pytest.approx(level)
            level = bar.end
    assert bars[-1].end == pytest.approx(level) == pytest.approx(waterfall.enhanced)
    assert bars[4].end == pytest.approx(bars[2].end)  # what the CLS share is made of adds up to it
    low, high = limits_of(bars)
    assert low <= 0 <= high
    places = re.findall(r"left:(-?[\d.]+)%;width:max\(1px, (-?[\d.]+)%\)", waterfall_html(bars))
    assert len(places) == len(bars)
    assert all(float(left) >= -0.02 and float(left) + float(width) <= 100.02 for left, width in places)


def test_bars_of_a_figure_lie_as_those_of_the_page():
    bars = waterfall_bars(some(-0.128, 0.01, 0.014, bias=-0.002))
    axis = new_figure(3, 3).subplots()
    draw_waterfall(axis, bars)
    drawn = [sorted((patch.get_x(), patch.get_x() + patch.get_width())) for patch in axis.patches]
    assert drawn == [pytest.approx(sorted((bar.start, bar.end))) for bar in bars]
    assert [text.get_text() for text in axis.texts] == [bar.number for bar in bars]
    assert [label.get_text() for label in axis.get_yticklabels()] == [bar.label for bar in bars]


def test_a_small_loss_is_no_minus_zero():
    assert [bar.number for bar in waterfall_bars(some(-0.0001, bias=-0.0002))][1:] == [
        "+0.000",
        "0.263",
        "+0.000",
        "0.263",
    ]
