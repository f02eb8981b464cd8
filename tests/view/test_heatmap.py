"""The kernel's side of the canvas widget: what it checks and what it sends."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from traitlets import TraitError

from mswin_viz.errors import ImageFileError, MswinVizError, OptionError, ShapeError
from mswin_viz.view.heatmap import CMAPS, HeatmapCanvas, colour_tables, picture_bytes

GRID, SCALE = (4, 6), 5
TOKENS = np.arange(20).reshape(4, 5)
DROPPED = range(20, 24)
VALUES = [0.5, -1.0, 2.0, np.nan]


@pytest.fixture
def canvas() -> HeatmapCanvas:
    canvas = HeatmapCanvas(GRID)
    canvas.set_values(VALUES, TOKENS, DROPPED)
    return canvas


@pytest.fixture
def sent(canvas: HeatmapCanvas, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The state of every message the canvas sends from now on."""
    messages: list[dict[str, Any]] = []

    def keep(message: dict[str, Any], buffers: Any = None) -> None:
        messages.append({**message["state"], **{path[0]: None for path in message.get("buffer_paths", [])}})

    monkeypatch.setattr(canvas, "_send", keep)
    return messages


def test_values_and_windows_travel_as_float32_and_int32(canvas: HeatmapCanvas) -> None:
    np.testing.assert_array_equal(np.frombuffer(canvas.values, "<f4"), np.float32(VALUES))
    np.testing.assert_array_equal(np.frombuffer(canvas.windows, "<i4").reshape(-1, canvas.scale), TOKENS)
    assert np.frombuffer(canvas.dropped, "<i4").tolist() == [20, 21, 22, 23]
    assert (canvas.grid_rows, canvas.grid_cols, canvas.scale) == (4, 6, 5)


def test_one_update_is_one_message(canvas: HeatmapCanvas, sent: list[dict[str, Any]]) -> None:
    picture = Image.new("RGB", (60, 40), "teal")
    tokens = np.arange(24).reshape(6, 4)
    canvas.set_values(
        np.arange(6.0), tokens, grid=(6, 4), image=picture, title="Scale 4", signed=True, stale=False
    )
    assert len(sent) == 1
    expected = {"values", "windows", "dropped", "scale", "grid_rows", "grid_cols", "image", "title", "signed"}
    assert set(sent[0]) == expected


def test_what_did_not_change_is_not_sent_again(canvas: HeatmapCanvas, sent: list[dict[str, Any]]) -> None:
    canvas.set_values([9, 9, 9, 9], TOKENS, DROPPED, title="")
    assert [set(message) for message in sent] == [{"values"}]


@pytest.mark.parametrize(
    ("values", "tokens", "dropped", "grid"),
    [
        ([1, 2, 3], TOKENS, DROPPED, GRID),
        (VALUES, TOKENS.ravel(), DROPPED, GRID),
        (VALUES, TOKENS + 5, (), GRID),
        (VALUES, TOKENS - 1, (), GRID),
        (VALUES, TOKENS.astype(float), (), GRID),
        (VALUES, TOKENS, [24], GRID),
        (VALUES, TOKENS, [[20]], GRID),
        (VALUES, TOKENS, [19, 20], GRID),
        (VALUES, TOKENS, (), (0, 6)),
        ([], np.zeros((0, 5), int), (), GRID),
    ],
)
def test_misfits_are_refused_before_anything_changes(
    canvas: HeatmapCanvas, sent: list[dict[str, Any]], values: Any, tokens: Any, dropped: Any, grid: Any
) -> None:
    with pytest.raises(ShapeError, match="got"):
        canvas.set_values(values, tokens, dropped, grid=grid, title="changed")
    assert sent == []
    assert canvas.title == ""


@pytest.mark.parametrize(
    "trait",
    [{"cmap": "jet"}, {"cmap": 9}, {"opacity": 1.5}, {"threshold": -0.1}, {"vmin": np.nan}, {"colour": 1}],
)
def test_a_bad_trait_changes_nothing(
    canvas: HeatmapCanvas, sent: list[dict[str, Any]], trait: dict[str, Any]
) -> None:
    with pytest.raises(OptionError):
        canvas.set_values([9, 9, 9, 9], TOKENS, DROPPED, title="changed", **trait)
    assert sent == []
    assert canvas.title == ""
    np.testing.assert_array_equal(np.frombuffer(canvas.values, "<f4"), np.float32(VALUES))


def test_a_bad_assignment_is_our_error_and_traitlets_own(canvas: HeatmapCanvas) -> None:
    with pytest.raises(MswinVizError, match=r"0\.\.1: got 40"):
        canvas.opacity = 40
    with pytest.raises(TraitError):
        canvas.cmap = "jet"
    assert (canvas.opacity, canvas.cmap) == (0.55, "auto")


def test_a_colour_map_may_be_given_by_its_position_in_a_menu(canvas: HeatmapCanvas) -> None:
    for position, name in enumerate(("auto", *CMAPS)):
        canvas.cmap = position
        assert canvas.cmap == name


def test_the_browser_gets_matplotlibs_colours(canvas: HeatmapCanvas) -> None:
    tables = np.frombuffer(canvas.lut, np.uint8).reshape(len(CMAPS), 256, 3)
    np.testing.assert_array_equal(tables, colour_tables())
    for table, name in zip(tables, canvas.cmaps, strict=True):
        for index in (0, 77, 255):
            assert table[index].tolist() == list(colormaps[name]((index + 0.5) / 256, bytes=True)[:3])


def test_windows_may_overlap(canvas: HeatmapCanvas) -> None:
    canvas.set_values([1.0, 2.0], [[0, 1, 2], [1, 2, 3]])
    assert canvas.scale == 3


def test_a_picture_becomes_a_png_of_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for source in (pixels, Image.fromarray(pixels)):
        np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(picture_bytes(source)))), pixels)


def test_a_jpeg_file_passes_unchanged_and_no_picture_is_no_bytes() -> None:
    file = BytesIO()
    Image.new("RGB", (8, 16)).save(file, "JPEG")
    assert picture_bytes(file.getvalue()) == file.getvalue()
    assert picture_bytes(None) == picture_bytes(b"") == b""


def test_other_bytes_and_other_arrays_are_no_picture() -> None:
    with pytest.raises(ImageFileError, match="PNG and JPEG"):
        picture_bytes(b"GIF, or so it says")
    with pytest.raises(ShapeError, match="uint8"):
        picture_bytes(np.zeros((4, 4, 3)))
