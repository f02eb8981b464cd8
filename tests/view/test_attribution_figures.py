"""Attribution figures: what is drawn is what the records hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mswin_viz.analysis.attribution.faithfulness import REFERENCES, Faithfulness
from mswin_viz.analysis.attribution.randomisation import Randomisation
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.removal_curves import Curves
from mswin_viz.analysis.attribution.share_gap import ShareGap
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.view.attributions.figures import (
    attributions_figure,
    curves_figure,
    gap_figure,
    randomisation_figure,
)

GRID, SIZE = (3, 2), (12, 8)
IMAGE = Image.new("RGB", (SIZE[1], SIZE[0]), "white")


def attribution(values: np.ndarray, level: str, **changes) -> Attribution:
    batch, one = len(values), np.ones(len(values))
    made = Attribution(values, one, one, 0 * one, np.full(batch, 2e-3), one, "gradcam", level, "a text", GRID, None,
                       0.1, {}, "tiny")  # fmt: skip
    return dataclasses.replace(made, **changes)


@pytest.fixture
def maps() -> dict[str, Attribution]:
    rng = np.random.default_rng(0)
    return {
        "by_pixel": attribution(rng.normal(size=(2, *SIZE)), "pixels", method="integrated_gradients"),
        "by_token": attribution(np.array([[0, 0, 4.0, 0, -4, 0], [0.0, 0, 0, 0, 0, 0]]), "tokens"),
        "by_window": attribution(np.array([[1.0], [2.0]]), "windows", geometry=windows(GRID, 4)),
    }


def test_each_image_has_a_row_and_each_map_a_column_with_one_colour_bar(maps) -> None:
    figure = attributions_figure([IMAGE, IMAGE], maps, provenance="tiny weights")
    assert len(figure.axes) == 2 * 4 + 1
    assert figure.axes[1].get_title().startswith("by pixel\npixels, ±")
    assert "delta +2e-03" in figure.axes[1].get_title()
    assert figure.get_supxlabel() == "tiny weights"


def test_colours_are_signed_about_zero_and_nothing_is_drawn_where_the_map_is_zero(maps) -> None:
    figure = attributions_figure([IMAGE, IMAGE], maps)
    heat = figure.axes[2].images[1].get_array()
    assert heat.shape[:2] == GRID
    np.testing.assert_allclose(heat[1, 0, :3], colormaps["RdBu_r"](1.0)[:3])
    np.testing.assert_allclose(heat[2, 0, :3], colormaps["RdBu_r"](0.0)[:3])
    assert heat[0, 0, 3] == 0
    empty = figure.axes[6].images[1].get_array()
    assert (empty[..., 3] == 0).all()


def test_a_window_s_value_lies_evenly_on_its_tokens_and_tokens_left_out_have_none(maps) -> None:
    heat = attributions_figure([IMAGE, IMAGE], maps).axes[3].images[1].get_array()[..., 3].ravel()
    assert (heat[:4] > 0).all()
    assert (heat[4:] == 0).all()


def test_curves_draw_the_best_maps_over_the_references(maps) -> None:
    line, rng = np.linspace(0, 1, 5), np.random.default_rng(1)
    names, curves = ("bad", "good"), {}
    for baseline in ("blur", "mean"):
        for name, lift in {"bad": -0.3, "good": 0.3, **dict.fromkeys(REFERENCES, 0.0)}.items():
            noise = 0.01 * rng.normal(size=(3, 1))
            curves[name, baseline] = Curves(line, 1 - line - lift + noise, line + lift + noise)
    checks = Faithfulness(names, ("blur", "mean"), "patches", curves, {}, 0)
    figure = curves_figure(checks, best=1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *(f"{r} (95 %)" for r in REFERENCES),
        "good",
    ]
    assert [axis.get_title() for axis in figure.axes] == [
        "deletion, absent = blur", "deletion, absent = mean", "insertion, absent = blur", "insertion, absent = mean",
    ]  # fmt: skip
    np.testing.assert_allclose(
        figure.axes[0].lines[-1].get_ydata(), curves["good", "blur"].deletion.mean(axis=0)
    )


def test_the_gap_names_flipped_gates_and_the_bias(maps) -> None:
    rng = np.random.default_rng(2)
    shares = [rng.normal(size=(2, 3)) for _ in range(5)]
    flipped, one = np.array([[0, 2, 0], [0, 0, 0]]), np.array([1.0, 2.0])
    gap = ShareGap(2, windows(GRID, 2), *shares, flipped, one, 0.5 * one, 3 * one, np.array([7, 8]))
    figure = gap_figure(gap)
    parts, left, right = figure.axes
    assert "bias +0.500 of +3.000" in parts.get_title()
    assert "7 ReLU gates flip on the path" in left.get_title()
    assert "ReLU gates that switch, 2 in all" in right.get_title()
    assert [text.get_text() for text in right.texts] == ["2"]
    heights = [bar.get_height() for bar in left.containers[1]]
    np.testing.assert_allclose(heights, gap.integrated[0])


def test_randomised_maps_carry_their_rank_correlation(maps) -> None:
    token = maps["by_token"]
    check = Randomisation(
        {"by_token": token}, {("by_token", "CLIP"): token}, {("by_token", "CLIP"): np.array([0.25, 1.0])}
    )
    figure = randomisation_figure(IMAGE, check)
    assert [axis.get_title() for axis in figure.axes[:3]] == [
        "by token",
        "trained",
        "CLIP shuffled\nrank corr. +0.25",
    ]
    assert figure._repr_png_().startswith(b"\x89PNG")
