"""Panels of two models in one: rows of both and of their difference, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mswin_viz.analysis.scales.compared_panels import ROWS_OF_AN_IMAGE, compared_panel, compared_panels
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.windows.geometry import windows

GRID, NAMES = (3, 2), ("old", "new")


def panel(key: str, values: list[list[float]], scale: int = 3, **more: object) -> Panel:
    """A panel of two images and two windows."""
    about = {"title": key, "origin": "trained", "unit": "norm", "words": "words", **more}
    return Panel(key=key, geometry=windows(GRID, scale), values=np.array(values, float), **about)  # pyright: ignore[reportArgumentType]


def test_three_rows_of_each_image_are_both_and_the_second_minus_the_first() -> None:
    a, b = panel("free", [[1, 2], [3, 4]]), panel("free", [[10, 0.5], [7, np.nan]])
    joined = compared_panel(a, b, NAMES)
    assert len(joined.values) == 2 * ROWS_OF_AN_IMAGE
    for image in range(2):
        first, second, difference = joined.values[3 * image : 3 * image + 3]
        for w in range(2):
            assert first[w] == a.values[image, w]
            np.testing.assert_equal(second[w], b.values[image, w])
            np.testing.assert_equal(difference[w], b.values[image, w] - a.values[image, w])
    assert joined.absent == ()
    assert (joined.title, joined.origin, joined.words) == ("free", "trained", "words")


@pytest.mark.parametrize(("lacks", "absent"), [(0, (0, 2, 3, 5)), (1, (1, 2, 4, 5))])
def test_a_panel_that_a_model_lacks_has_no_numbers_there_and_none_of_the_difference(lacks, absent) -> None:
    alone = panel("scale-3", [[1, 2], [3, 4]])
    joined = compared_panel(*((None, alone) if lacks == 0 else (alone, None)), NAMES)
    assert joined.absent == absent
    assert np.isnan(joined.values[list(absent)]).all()
    np.testing.assert_array_equal(joined.values[[1 - lacks, 4 - lacks]], alone.values)
    assert f"{NAMES[lacks]}: not in this model" in joined.words


def test_what_two_panels_say_differently_is_said_of_both() -> None:
    a = panel("free", [[1, 2], [3, 4]], words="a mean", origin="mean")
    b = panel("free", [[1, 2], [3, 4]], words="a kernel", origin="resampled from 4")
    joined = compared_panel(a, b, NAMES)
    assert joined.origin == "mean / resampled from 4"
    assert joined.words == "old: a mean | new: a kernel"


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("4 8 free fused plain", "4 8 free fused plain", "4 8 free fused plain"),
        ("free plain", "4 8 free fused plain", "4 8 free fused plain"),
        ("4 8 free fused plain", "free plain", "4 8 free fused plain"),
        ("4 16 free plain", "8 16 free fused plain", "4 8 16 free fused plain"),
        ("4 free", "8 free", "4 8 free"),
        ("cls free", "cls free more", "cls free more"),
    ],
)
def test_panels_keep_the_order_of_each_model(ours: str, theirs: str, both: str) -> None:
    first, second = ([panel(key, [[1, 2], [3, 4]]) for key in keys.split()] for keys in (ours, theirs))
    assert [one.key for one in compared_panels(first, second, NAMES)] == both.split()


def test_panels_of_one_key_but_other_windows_stay_apart() -> None:
    ours = panel("scale-3", [[1, 2], [3, 4]])
    theirs = replace(ours, geometry=windows(GRID, 3, stride=1), values=np.ones((2, 4)))
    first, second = compared_panels([ours], [theirs], NAMES)
    assert first.absent == (1, 2, 4, 5)
    assert second.absent == (0, 2, 3, 5)
    assert first.key != second.key
