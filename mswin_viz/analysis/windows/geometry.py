"""Geometry of windows: which patch tokens each covers, and what that looks like on the 2-D grid.

The design's windows are 1-D runs of row-major tokens (:func:`windows`). :func:`tiles` are the 2-D windows that the
trained module does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.given_kinds import given_pair, of_kind
from mswin_viz.errors import ScaleError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Int

_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_FRACTIONS = {2: "half a row", 3: "a third of a row", 4: "a quarter of a row", 8: "an eighth of a row"}


@dataclass(frozen=True, eq=False)
class WindowGeometry:
    """Windows of one scale over the row-major patch tokens of one grid.

    Attributes
    ----------
    grid
        ``(rows, cols)``.
    scale, stride
        Tokens in a window, and tokens from one window's start to the next (for tiles: patches, both ways; 0 where
        they lie edge to edge).
    tokens
        Token indices of each window, ``[n_windows, scale]``; read-only.
    dropped
        Indices of the tokens that no window covers; read-only.
    pieces
        Number of connected pieces (4-neighbourhood) of each window on the grid, ``[n_windows]``.
    tile
        ``(rows, cols)`` of a 2-D tile; None for runs.

    Examples
    --------
    >>> geometry = mv.windows((16, 8), 6)
    >>> geometry.n_windows, geometry.n_tokens, geometry.tokens.shape
    (21, 128, (21, 6))
    >>> geometry.tokens[1].tolist(), geometry.dropped.tolist()  # the second window, and what is left over
    ([6, 7, 8, 9, 10, 11], [126, 127])
    >>> geometry.pieces[:4].tolist()  # windows that run over the end of a row are two pieces
    [1, 2, 2, 1]
    """

    grid: tuple[int, int]
    scale: int
    stride: int
    tokens: Int[np.ndarray, "window scale"]
    dropped: Int[np.ndarray, " token"]
    pieces: Int[np.ndarray, " window"]
    tile: tuple[int, int] | None = None

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return len(self.tokens)

    @property
    def n_tokens(self) -> int:
        """Number of patch tokens on the grid."""
        return self.grid[0] * self.grid[1]


def windows(grid: tuple[int, int], scale: int, *, stride: int | None = None) -> WindowGeometry:
    """The windows a strided convolution without padding sees.

    Parameters
    ----------
    grid
        ``(rows, cols)`` of patch tokens, row-major.
    scale
        Tokens in a window, 1..N.
    stride
        Tokens between the starts of two windows; ``scale`` if None, so that windows do not overlap.

    Returns
    -------
    geometry
        Which tokens each window covers, which none covers, and how each window lies on the grid.

    Raises
    ------
    ShapeError
        If the grid has no token.
    ScaleError
        If the scale is outside 1..N, or the stride is below 1.

    Examples
    --------
    >>> mv.windows((16, 8), 4).n_windows
    32
    >>> mv.windows((16, 8), 4, stride=2).tokens[:3].tolist()  # overlapping
    [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    >>> mv.windows((16, 8), 200)
    Traceback (most recent call last):
        ...
    mswin_viz.errors.ScaleError: a scale is a whole number of tokens in 1..128 on a 16x8 grid: got 200
    """
    rows, cols = (int(n) for n in given_pair(grid, "grid"))
    if rows < 1 or cols < 1:
        raise ShapeError(f"a grid needs at least one row and one column: got {rows}x{cols}")
    n_tokens = rows * cols
    if not _is_whole(scale) or not 1 <= scale <= n_tokens:
        raise ScaleError(
            f"a scale is a whole number of tokens in 1..{n_tokens} on a {rows}x{cols} grid: got {scale!r}"
        )
    if stride is not None and (not _is_whole(stride) or stride < 1):
        raise ScaleError(f"a stride is a whole number of tokens of at least 1: got {stride!r}")
    return _windows((rows, cols), int(scale), int(scale if stride is None else stride))


def tiles(grid: tuple[int, int], tile: tuple[int, int], *, stride: int | None = None) -> WindowGeometry:
    """2-D windows of ``tile`` (rows, cols) patches: not in the trained module, whose windows are runs.

    Parameters
    ----------
    grid, tile
        ``(rows, cols)`` of patch tokens, row-major, and of one tile.
    stride
        Patches from one tile to the next, down and across; the tile's own size if None.

    Returns
    -------
    geometry
        As :func:`windows` returns it, with ``tile`` set.

    Raises
    ------
    ScaleError
        If the tile does not fit the grid, or the stride is below 1.

    Examples
    --------
    >>> geometry = mv.tiles((16, 8), (2, 2))
    >>> geometry.n_windows, geometry.tokens[0].tolist(), geometry.tile
    (32, [0, 1, 8, 9], (2, 2))
    """
    (rows, cols), (height, width) = given_pair(grid, "grid"), given_pair(tile, "tile")
    if not (_is_whole(height) and _is_whole(width) and 1 <= height <= rows and 1 <= width <= cols):
        raise ScaleError(
            f"a tile has 1..{counted(rows, 'rows')} and 1..{counted(cols, 'columns')} on a {rows}x{cols} grid: got {tile}"
        )
    if stride is not None and (not _is_whole(stride) or stride < 1):
        raise ScaleError(f"a stride is a whole number of patches of at least 1: got {stride!r}")
    return _tiles((int(rows), int(cols)), (int(height), int(width)), stride)


def fallback_geometry(grid: tuple[int, int]) -> WindowGeometry:
    """One pseudo-window of all tokens: what a scale larger than the image sees."""
    return windows(grid, grid[0] * grid[1])


def describe_windows(geometry: WindowGeometry) -> str:
    """The windows in words: how many, what each is on the grid, and which tokens none covers.

    Parameters
    ----------
    geometry
        From :func:`windows` or :func:`tiles`.

    Returns
    -------
    words
        One line, its parts separated by semicolons.

    Examples
    --------
    >>> mv.describe_windows(mv.windows((16, 8), 4))
    '32 windows, each half a row of the 16x8 grid'
    >>> mv.describe_windows(mv.windows((14, 14), 4))
    '49 windows of 4 tokens; 7 wrap a row end (two pieces)'
    """
    of_kind(
        geometry,
        WindowGeometry,
        "geometry must be that of windows",
        "make one with mswin_viz.windows or mswin_viz.tiles",
    )
    if geometry.tile is not None:
        return "; ".join([*_tiles_in_words(geometry, geometry.tile), *_dropped_in_words(geometry)])
    parts = [_shapes_in_words(geometry)]
    if geometry.stride != geometry.scale and geometry.n_windows > 1:
        parts.append(f"one starts every {counted(geometry.stride, 'tokens')}")
    return "; ".join([*parts, *_row_ends_in_words(geometry), *_dropped_in_words(geometry)])


@lru_cache(maxsize=512)
def _windows(grid: tuple[int, int], scale: int, stride: int) -> WindowGeometry:
    starts = np.arange(0, grid[0] * grid[1] - scale + 1, stride)
    return _geometry(grid, starts[:, None] + np.arange(scale), stride)


@lru_cache(maxsize=512)
def _tiles(grid: tuple[int, int], tile: tuple[int, int], stride: int | None) -> WindowGeometry:
    (rows, cols), (height, width) = grid, tile
    top = np.arange(0, rows - height + 1, stride or height)
    left = np.arange(0, cols - width + 1, stride or width)
    corners = (top[:, None] * cols + left).ravel()
    inside = (np.arange(height)[:, None] * cols + np.arange(width)).ravel()
    return _geometry(grid, corners[:, None] + inside, stride or 0, tile)


def _geometry(
    grid: tuple[int, int],
    tokens: Int[np.ndarray, "window scale"],
    stride: int,
    tile: tuple[int, int] | None = None,
) -> WindowGeometry:
    dropped = np.setdiff1d(np.arange(grid[0] * grid[1]), tokens)
    pieces = _n_pieces(grid, tokens)
    for array in (tokens, dropped, pieces):
        array.setflags(write=False)
    return WindowGeometry(grid, tokens.shape[1], stride, tokens, dropped, pieces, tile)


def _n_pieces(grid: tuple[int, int], tokens: Int[np.ndarray, "window scale"]) -> Int[np.ndarray, " window"]:
    n_windows, flat = len(tokens), np.zeros((len(tokens), grid[0] * grid[1]), bool)
    np.put_along_axis(flat, tokens, True, axis=1)
    within_a_window = np.zeros((3, 3, 3), bool)
    within_a_window[1] = ndimage.generate_binary_structure(2, 1)
    labels = np.empty((n_windows, *grid), np.int64)
    ndimage.label(flat.reshape(labels.shape), within_a_window, output=labels)
    window_of_piece = np.zeros(labels.max() + 1, np.int64)
    window_of_piece[labels] = np.arange(n_windows)[:, None, None]
    return np.bincount(window_of_piece[1:], minlength=n_windows)


def _shapes_in_words(geometry: WindowGeometry) -> str:
    (rows, cols), scale = geometry.grid, geometry.scale
    count = counted(geometry.n_windows, "windows")
    name = f"the {rows}x{cols} grid"
    if scale == geometry.n_tokens:
        return f"{count}, the whole of {name}"
    each = "each " if geometry.n_windows > 1 else ""
    if scale == 1:
        return f"{count}, {each}a single token of {name}"
    if scale % cols == 0 and geometry.stride % cols == 0:
        n_rows = scale // cols
        return f"{count}, {each}{_NUMBERS.get(n_rows, n_rows)} full row{'s' * (n_rows > 1)} of {name}"
    if cols % scale == 0 and geometry.stride % scale == 0 and cols // scale in _FRACTIONS:
        return f"{count}, {each}{_FRACTIONS[cols // scale]} of {name}"
    return f"{count} of {scale} tokens"


def _tiles_in_words(geometry: WindowGeometry, tile: tuple[int, int]) -> list[str]:
    (rows, cols), (height, width) = geometry.grid, tile
    count = counted(geometry.n_windows, "2-D tiles")
    parts = [f"{count} of {height}x{width} patches of the {rows}x{cols} grid"]
    if geometry.tokens.size > geometry.n_tokens - len(geometry.dropped):
        parts.append(f"overlapping, one every {counted(geometry.stride, 'patches')}")
    return parts


def _row_ends_in_words(geometry: WindowGeometry) -> list[str]:
    cols = geometry.grid[1]
    if geometry.scale % cols == 0 and geometry.stride % cols == 0:
        return []
    torn = int((geometry.pieces > 1).sum())
    crossing = int((geometry.tokens[:, 0] // cols != geometry.tokens[:, -1] // cols).sum())
    parts = []
    if torn:
        parts.append(f"{_all_or(torn, geometry)} wrap{'' if torn > 1 else 's'} a row end (two pieces)")
    if whole := crossing - torn:
        parts.append(f"{_all_or(whole, geometry)} cross{'' if whole > 1 else 'es'} a row end in one piece")
    return parts


def _all_or(count: int, geometry: WindowGeometry) -> str:
    return "all" if 1 < count == geometry.n_windows else str(count)


def _dropped_in_words(geometry: WindowGeometry) -> list[str]:
    n_dropped, count = len(geometry.dropped), counted(len(geometry.dropped), "tokens")
    if n_dropped == 0:
        return []
    if geometry.tile is not None:
        return [f"{count} in no tile"]
    at_the_end = geometry.n_tokens - 1 - int(geometry.tokens[-1, -1])
    if at_the_end == n_dropped:
        return [f"{count} at the end {'is' if n_dropped == 1 else 'are'} dropped"]
    return [f"{count} in no window, {at_the_end} of them at the end"]


def _is_whole(number: object) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)
