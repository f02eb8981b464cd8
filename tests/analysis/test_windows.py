"""Window geometry against the published table, plain loops and a flood fill."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mswin_viz.analysis.windows.geometry import describe_windows, fallback_geometry, tiles, windows
from mswin_viz.errors import ScaleError, ShapeError

grids = st.tuples(st.integers(1, 9), st.integers(1, 9))


def n_pieces_by_flood_fill(grid: tuple[int, int], tokens: list[int]) -> int:
    left, pieces = {divmod(t, grid[1]) for t in tokens}, 0
    while left:
        pieces += 1
        border = [left.pop()]
        while border:
            row, col = border.pop()
            near = {(row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)} & left
            left -= near
            border += near
    return pieces


@pytest.mark.parametrize(
    ("grid", "scale", "n_windows", "n_dropped", "n_torn"),
    [
        ((16, 8), 4, 32, 0, 0),
        ((16, 8), 8, 16, 0, 0),
        ((16, 8), 16, 8, 0, 0),
        ((8, 16), 4, 32, 0, 0),
        ((8, 16), 8, 16, 0, 0),
        ((8, 16), 16, 8, 0, 0),
        ((14, 14), 4, 49, 0, 7),
        ((14, 14), 8, 24, 4, 10),
        ((14, 14), 16, 12, 4, 0),
    ],
)
def test_the_usual_grids_have_the_windows_of_the_table(grid, scale, n_windows, n_dropped, n_torn):
    geometry = windows(grid, scale)
    assert geometry.n_windows == n_windows
    assert len(geometry.dropped) == n_dropped
    assert (geometry.pieces > 1).sum() == n_torn


@given(grids, st.data())
@settings(deadline=None)
def test_windows_are_what_a_plain_loop_finds(grid, data):
    n_tokens = grid[0] * grid[1]
    scale = data.draw(st.integers(1, n_tokens))
    stride = data.draw(st.none() | st.integers(1, n_tokens + 1))
    geometry = windows(grid, scale, stride=stride)
    expected, start = [], 0
    while start + scale <= n_tokens:
        expected.append(list(range(start, start + scale)))
        start += stride or scale
    assert geometry.tokens.tolist() == expected
    seen = {t for window in expected for t in window}
    assert geometry.dropped.tolist() == [t for t in range(n_tokens) if t not in seen]
    assert geometry.pieces.tolist() == [n_pieces_by_flood_fill(grid, window) for window in expected]
    assert (geometry.grid, geometry.scale, geometry.stride) == (grid, scale, stride or scale)


@given(grids, st.data())
@settings(deadline=None)
def test_without_a_stride_each_token_is_in_one_window_or_dropped(grid, data):
    n_tokens = grid[0] * grid[1]
    geometry = windows(grid, data.draw(st.integers(1, n_tokens)))
    assert sorted([*geometry.tokens.ravel(), *geometry.dropped]) == list(range(n_tokens))
    assert geometry.tokens.dtype == "int64"


def test_a_geometry_is_cached_and_cannot_be_written_to():
    geometry = windows((5, 3), 4)
    assert windows((5, 3), 4) is geometry
    for array in (geometry.tokens, geometry.dropped, geometry.pieces):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("scale", [0, -1, 16, 4.0, True, "4", None])
def test_a_scale_outside_the_tokens_is_an_error_that_names_the_range_and_the_scale(scale):
    with pytest.raises(ScaleError, match=r"1\.\.15 on a 5x3 grid: got ") as error:
        windows((5, 3), scale)
    assert repr(scale) in str(error.value)


@pytest.mark.parametrize("stride", [0, -2, 1.5])
def test_a_stride_below_one_is_an_error(stride):
    with pytest.raises(ScaleError, match="stride"):
        windows((5, 3), 4, stride=stride)


def test_an_empty_grid_is_an_error():
    with pytest.raises(ShapeError, match="0x3"):
        windows((0, 3), 1)


def test_the_fallback_is_one_window_of_all_tokens():
    geometry = fallback_geometry((5, 3))
    assert geometry.tokens.tolist() == [list(range(15))]
    assert len(geometry.dropped) == 0


@pytest.mark.parametrize(
    ("grid", "scale", "stride", "words"),
    [
        ((16, 8), 4, None, "32 windows, each half a row of the 16x8 grid"),
        ((16, 8), 8, None, "16 windows, each one full row of the 16x8 grid"),
        ((16, 8), 16, None, "8 windows, each two full rows of the 16x8 grid"),
        ((16, 8), 1, None, "128 windows, each a single token of the 16x8 grid"),
        ((16, 8), 128, None, "1 window, the whole of the 16x8 grid"),
        ((8, 16), 4, None, "32 windows, each a quarter of a row of the 8x16 grid"),
        ((14, 14), 4, None, "49 windows of 4 tokens; 7 wrap a row end (two pieces)"),
        (
            (14, 14),
            8,
            None,
            "24 windows of 8 tokens; 10 wrap a row end (two pieces); 4 tokens at the end are dropped",
        ),
        (
            (14, 14),
            16,
            None,
            "12 windows of 16 tokens; all cross a row end in one piece; 4 tokens at the end are dropped",
        ),
        ((1, 3), 2, None, "1 window of 2 tokens; 1 token at the end is dropped"),
        ((2, 3), 2, None, "3 windows of 2 tokens; 1 wraps a row end (two pieces)"),
        (
            (2, 6),
            2,
            5,
            "3 windows of 2 tokens; one starts every 5 tokens; 1 wraps a row end (two pieces); "
            "6 tokens in no window, 0 of them at the end",
        ),
    ],
)
def test_windows_are_described_in_words(grid, scale, stride, words):
    assert describe_windows(windows(grid, scale, stride=stride)) == words


@given(grids, st.data())
@settings(deadline=None)
def test_tiles_are_what_a_plain_loop_finds(grid, data):
    rows, cols = grid
    height, width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, cols))
    stride = data.draw(st.none() | st.integers(1, 5))
    geometry = tiles(grid, (height, width), stride=stride)
    expected = [
        [(top + r) * cols + left + c for r in range(height) for c in range(width)]
        for top in range(0, rows - height + 1, stride or height)
        for left in range(0, cols - width + 1, stride or width)
    ]
    assert geometry.tokens.tolist() == expected
    seen = {t for tile in expected for t in tile}
    assert geometry.dropped.tolist() == [t for t in range(rows * cols) if t not in seen]
    assert geometry.pieces.tolist() == [1] * len(expected)
    assert (geometry.scale, geometry.tile) == (height * width, (height, width))


@pytest.mark.parametrize("tile", [(0, 2), (17, 2), (4, 9), (2.0, 2), (True, 2)])
def test_a_tile_that_does_not_fit_is_an_error_that_names_the_grid(tile):
    with pytest.raises(ScaleError, match=r"1\.\.16 rows and 1\.\.8 columns"):
        tiles((16, 8), tile)


def test_a_tile_stride_below_one_is_an_error():
    with pytest.raises(ScaleError, match="got 0"):
        tiles((16, 8), (4, 4), stride=0)


@pytest.mark.parametrize(
    ("tile", "stride", "words"),
    [
        ((4, 4), None, "8 2-D tiles of 4x4 patches of the 16x8 grid"),
        ((8, 8), 4, "3 2-D tiles of 8x8 patches of the 16x8 grid; overlapping, one every 4 patches"),
        ((5, 8), None, "3 2-D tiles of 5x8 patches of the 16x8 grid; 8 tokens in no tile"),
        ((2, 2), 1, "105 2-D tiles of 2x2 patches of the 16x8 grid; overlapping, one every 1 patch"),
    ],
)
def test_tiles_are_described_in_words(tile, stride, words):
    assert describe_windows(tiles((16, 8), tile, stride=stride)) == words
