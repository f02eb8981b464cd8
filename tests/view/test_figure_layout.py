"""Where everything stands in a saved figure: pictures and heatmaps side by side, and words that do not meet."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from support.tiny import SIZE, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.data.sample import Sample
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.parts.figure_file import cell_size, figure_bytes
from mswin_viz.view.widgets.labels import VALUES, unit_words

SIZES = {"upright": SIZE, "lying": (16, 48)}


def boxes(figure: Figure) -> list:
    """Where each picture is drawn, in pixels."""
    figure_bytes(figure, "png", dpi=40)
    return [axis.get_window_extent() for axis in figure.axes if axis.images]


def assert_side_by_side(figure: Figure, n_rows: int) -> None:
    every = boxes(figure)
    n_cols, left = divmod(len(every), n_rows)
    assert left == 0
    for row in range(n_rows):
        line = every[row * n_cols : (row + 1) * n_cols]
        np.testing.assert_allclose([box.y1 for box in line], line[0].y1, atol=0.5)
        np.testing.assert_allclose([box.height for box in line], line[0].height, atol=0.5)
        np.testing.assert_allclose([box.width for box in line], line[0].width, atol=0.5)


@pytest.fixture(scope="module", params=SIZES)
def explorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    (height, width), folder = SIZES[request.param], tmp_path_factory.mktemp("pictures")
    samples = []
    for at in range(2):
        pixels = np.random.default_rng(at).integers(0, 255, (height, width, 3), np.uint8)
        files = {name: folder / f"{name}{at}.png" for name in ("RGB", "NI", "TI")}
        for file in files.values():
            Image.fromarray(pixels).save(file)
        samples.append(Sample(at, at, dict[str, Path](files)))
    explorer = mv.ScaleExplorer(tiny_model(size=(height, width)), samples, prompt="a person")
    yield explorer
    explorer.close()


@pytest.mark.parametrize(
    ("rows", "hidden", "prompt"),
    [
        ("one", [], "a person"),
        ("one", ["scale-2", "scale-4", "scale-5", "fused"], "a person"),
        ("modalities", ["free"], "a person in red " * 5),
        ("pair", [], "a person"),
    ],
)
def test_the_photograph_stands_beside_its_heatmaps_as_high_as_they_do(explorer, rows, hidden, prompt) -> None:
    explorer.controls.rows.value, explorer.controls.prompt.value = rows, prompt
    explorer.board.hidden = hidden
    assert_side_by_side(explorer.figure(), len(explorer.result.names))


def test_the_words_below_colour_bars_do_not_meet(explorer) -> None:
    explorer.controls.rows.value, explorer.board.hidden = "one", []
    for value in VALUES:
        explorer.controls.value.value = value
        figure = explorer.figure()
        figure_bytes(figure, "png", dpi=100)
        labels = [axis.xaxis.label.get_window_extent() for axis in figure.axes if axis.get_xlabel()]
        shown = " ".join(axis.get_xlabel().replace("\n", " ") for axis in figure.axes)
        assert unit_words(value) in shown
        for left, right in pairwise(sorted(labels, key=lambda box: box.x0)):
            assert left.x1 < right.x0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_maps", [2, 11])
def test_an_image_stands_beside_its_attributions_as_high_as_they_do(size: str, n_maps: int) -> None:
    height, width = SIZES[size]
    grid, one = (height // 8, width // 8), np.ones(2)
    values = np.random.default_rng(1).normal(size=(2, grid[0] * grid[1]))
    token = Attribution(
        values, one, one, 0 * one, one, one, "gradcam", "tokens", "none", grid, None, 0.1, {}, "words"
    )
    images = [Image.new("RGB", (width, height), colour) for colour in ("red", "green")]
    names = ["short", "a long name of a file in a folder"]
    figure = attributions_figure(images, {f"map {n} of a method": token for n in range(n_maps)}, names=names)
    every = boxes(figure)
    tops = sorted({round(box.y1) for box in every})
    assert len(tops) == 2 * (-(-n_maps // 8))  # one top edge in each row
    np.testing.assert_allclose([box.height for box in every], every[0].height, atol=0.5)


def test_a_picture_that_lies_has_a_wide_and_low_place() -> None:
    upright, lying = (
        cell_size(Image.new("RGB", size), width=1, height=2, above=0.3) for size in ((10, 20), (20, 10))
    )
    assert upright == (1, pytest.approx(1.9))
    assert lying == (1.4, pytest.approx(0.86))
    assert cell_size(Image.new("RGB", (10, 90)), width=1, height=2, above=0.3)[1] == 2
