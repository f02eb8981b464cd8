"""The kernel's side of the board of heatmaps: what it checks and what it sends."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from traitlets import TraitError

from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.windows.geometry import tiles, windows
from mswin_viz.data.images.picture_bytes import png_file
from mswin_viz.errors import ImageFileError, MswinVizError, ShapeError
from mswin_viz.view.widgets.assets import SCRIPTS, script, style
from mswin_viz.view.widgets.board import BoardRow, HeatmapBoard
from mswin_viz.view.widgets.colours import CMAPS, MARK_COLOURS, colour_tables

GRID, SCALE = (4, 6), 5
VALUES = [[0.5, -1.0, 2.0, np.nan], [1.0, 2.0, 3.0, 4.0]]


def panel(values: Any = VALUES, **other: Any) -> Panel:
    own = Panel("free", "scale 5", "mean", windows(GRID, SCALE), np.array(values), "share", "words")
    return replace(own, **other)


def rows(n: int = 2) -> list[BoardRow]:
    return [BoardRow(f"row {i}", png_file(Image.new("RGB", (60, 40), (i, 0, 0)))) for i in range(n)]


@pytest.fixture
def board() -> HeatmapBoard:
    board = HeatmapBoard(GRID)
    board.show([panel()], rows=rows())
    return board


@pytest.fixture
def sent(board: HeatmapBoard, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The traits of every message that the board sends from now on."""
    messages: list[set[str]] = []

    def keep(message: dict[str, Any], buffers: Any = None) -> None:
        messages.append(set(message["state"]) | {path[0] for path in message.get("buffer_paths", [])})

    monkeypatch.setattr(board, "_send", keep)
    return messages


def test_values_travel_as_float32_row_after_row_with_what_the_windows_are(board: HeatmapBoard) -> None:
    (column,) = board.columns
    np.testing.assert_array_equal(np.frombuffer(column["values"], "<f4").reshape(2, 4), np.float32(VALUES))
    assert (column["scale"], column["stride"], column["tile"], column["signed"]) == (5, 5, None, True)
    assert (board.grid_rows, board.grid_cols) == GRID


def test_a_tile_travels_as_rows_and_columns(board: HeatmapBoard) -> None:
    geometry = tiles(GRID, (2, 3))
    board.show([panel(np.zeros((2, 4)), geometry=geometry)])
    assert (board.columns[0]["tile"], board.columns[0]["stride"]) == ([2, 3], 0)


def every_scale(n_rows: int = 2) -> list[Panel]:
    """A panel of each scale, whose values say row, scale and window."""
    sizes = [(s, windows(GRID, s)) for s in range(1, 25)]
    return [
        panel(
            [[100 * row + s + w / 100 for w in range(geometry.n_windows)] for row in range(n_rows)],
            geometry=geometry, title=f"scale {s}", origin=f"from {s}", words=f"words {s}",
        )
        for s, geometry in sizes
    ]  # fmt: skip


def test_every_scale_travels_in_one_message_scale_after_scale(
    board: HeatmapBoard, sent: list[set[str]]
) -> None:
    board.show_every_scale(every_scale(), fits={"value": "share"})
    assert sent == [{"pyramid", "fits"}]
    values = np.frombuffer(board.pyramid["values"], "<f4")
    at = 0
    for scale in range(1, 25):
        for row in range(2):
            for window in range(24 // scale):
                assert values[at] == np.float32(100 * row + scale + window / 100)
                at += 1
    assert at == len(values)
    assert board.pyramid["words"][6] == "words 7"
    assert (board.pyramid["unit"], board.pyramid["signed"], board.fits) == ("share", True, {"value": "share"})
    board.show_every_scale((), fits={})
    assert (board.pyramid, board.fits) == ({}, {})


def test_scales_of_another_number_of_pictures_are_refused(board: HeatmapBoard, sent: list[set[str]]) -> None:
    with pytest.raises(ShapeError, match="2 rows"):
        board.show_every_scale(every_scale(1), fits={})
    assert sent == []


def test_one_update_is_one_message_of_what_changed(board: HeatmapBoard, sent: list[set[str]]) -> None:
    board.show([panel(np.ones((2, 4)))])
    board.show([panel(np.ones((2, 4)))], answered={"scale": 5})
    board.show([panel(np.zeros((1, 4)))], rows=rows(1), answered={"scale": 5}, order=range(24))
    assert sent == [{"columns"}, {"answered"}, {"columns", "rows", "order"}]


def test_an_answer_ends_a_failure(board: HeatmapBoard) -> None:
    board.failed = {"scale": 3}
    board.show([panel()], answered={"scale": 4})
    assert board.failed is None


@pytest.mark.parametrize(
    "bad",
    [
        panel([[1.0, 2.0, 3.0]] * 2),
        panel([[1.0, 2.0, 3.0, 4.0]]),
        panel([1.0, 2.0, 3.0, 4.0]),
        panel(np.zeros((2, 3)), geometry=windows((3, 5), SCALE)),
    ],
)
def test_misfits_are_refused_before_anything_changes(
    board: HeatmapBoard, sent: list[set[str]], bad: Panel
) -> None:
    with pytest.raises(ShapeError, match="got"):
        board.show([panel(), bad], rows=rows())
    assert sent == []


def test_a_picture_that_is_none_is_refused_before_anything_changes(
    board: HeatmapBoard, sent: list[set[str]]
) -> None:
    with pytest.raises(ImageFileError):
        board.show([panel(np.zeros((1, 4)))], rows=[BoardRow("RGB", b"no picture")])
    assert sent == []


def test_a_grid_without_a_row_is_refused() -> None:
    with pytest.raises(ShapeError, match="0 rows and 6 columns"):
        HeatmapBoard((0, 6))


def test_a_bad_assignment_is_our_error_and_traitlets_own(board: HeatmapBoard) -> None:
    with pytest.raises(MswinVizError, match=r"0\.\.1: got 40"):
        board.opacity = 40
    with pytest.raises(MswinVizError, match=r"0\.\.1: got -0\.1"):
        board.threshold = -0.1
    with pytest.raises(TraitError):
        board.cmap = "jet"
    assert (board.opacity, board.threshold, board.cmap) == (0.55, 0, "auto")


def test_controls_travel_by_reference_and_menus_with_their_values() -> None:
    slider, menu = (
        ipywidgets.IntSlider(),
        ipywidgets.Dropdown(options=[("mean of all", "mean"), ("none", "off")]),
    )
    board = HeatmapBoard(GRID, watched={"scale": (slider, "value")})
    board.follow({"cmap": (menu, "value")})
    sent = board.get_state(["watched", "followed"])
    assert sent["watched"] == {"scale": [f"IPY_MODEL_{slider.model_id}", "value", None]}
    assert sent["followed"] == {"cmap": [f"IPY_MODEL_{menu.model_id}", "index", ["mean", "off"]]}


def test_the_browser_gets_matplotlibs_colours(board: HeatmapBoard) -> None:
    tables = np.frombuffer(board.lut, np.uint8).reshape(len(CMAPS), 256, 3)
    np.testing.assert_array_equal(tables, colour_tables())
    for table, name in zip(tables, board.cmaps, strict=True):
        for index in (0, 77, 255):
            assert table[index].tolist() == list(colormaps[name]((index + 0.5) / 256, bytes=True)[:3])


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.mjs")), ids=lambda path: path.name)
def test_a_script_holds_every_module_that_it_imports_once_and_before_it(path: Path) -> None:
    text, source = script(path.stem), path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert text.count("export default") == source.count("export default")
    places = [text.index(script(name)[-200:]) for name in re.findall(r'from "\./(\w+)\.mjs"', source)]
    assert all(0 <= place < len(text) - 200 for place in places)
    exports = re.findall(r"^export (?:async )?(?:function|const) (\w+)", text, re.MULTILINE)
    assert len(exports) == len(set(exports))


def test_a_picture_becomes_a_png_of_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(png_file(Image.fromarray(pixels))))), pixels)


def test_marks_have_the_colours_of_the_figures_in_the_browser() -> None:
    sheet = style("neighbours")
    assert all(f"--mswin-{mark}: {colour};" in sheet for mark, colour in MARK_COLOURS.items())
