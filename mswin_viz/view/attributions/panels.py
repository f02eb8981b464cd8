"""Attributions as panels of a board: all on one grid of cells that is finer than the patches."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.windows.geometry import WindowGeometry, tiles, windows

if TYPE_CHECKING:
    from jaxtyping import Float

UNITS = {"score": "part of the score", "own": "no unit: places and signs compare, sizes do not"}
"""What the numbers of a method are."""
_WITHOUT_UNIT = ("gradcam", "attention_rollout", "legrad", "attention_relevance")
_COMPLETE = ("integrated_gradients", "shapley", "exact_split")
_FINEST = 4  # cells along the side of a patch


def cells_of_a_side(image_size: tuple[int, int], grid: tuple[int, int]) -> int:
    """How many cells of whole pixels the side of a patch has: 4, 2 or 1."""
    patch = np.gcd(image_size[0] // grid[0], image_size[1] // grid[1])
    return next(n for n in (_FINEST, 2, 1) if patch % n == 0)


def map_panel(title: str, attribution: Attribution, n_cells: int) -> Panel:
    """One map on a grid of ``n_cells`` x ``n_cells`` cells to a patch: pixels added up to cells, or one value a patch or window."""
    geometry, values = _placed(attribution, n_cells)
    unit = "own" if attribution.method in _WITHOUT_UNIT else "score"
    origin = {"pixels": f"{n_cells} x {n_cells} cells to a patch", "tokens": "patches"}.get(attribution.level)
    origin = origin or f"windows of {attribution.geometry.scale if attribution.geometry else 1}"
    if attribution.method in _COMPLETE:
        origin += f", delta {np.abs(attribution.delta).max():.0e}"
    return Panel(title, title_words(title), origin, geometry, values, unit, "")


def title_words(title: str) -> str:
    """A title as it is printed: a method at its head by its label, anything else without underscores."""
    head, comma, rest = title.partition(",")
    return METHOD_LABELS.get(head, head.replace("_", " ")) + comma + rest


def _placed(attribution: Attribution, n: int) -> tuple[WindowGeometry, Float[np.ndarray, "batch place"]]:
    rows, cols = attribution.grid
    fine = (rows * n, cols * n)
    if attribution.level == "pixels":
        return windows(fine, 1), dataclasses.replace(attribution, grid=fine).on_patches()
    tile = _tile(attribution)
    values = attribution.on_patches() if tile == (1, 1) else attribution.values
    return tiles(fine, (tile[0] * n, tile[1] * n)), values


def _tile(attribution: Attribution) -> tuple[int, int]:
    """Rows and columns of a window, where windows are rectangles laid edge to edge; else those of a patch."""
    (rows, cols), geometry = attribution.grid, attribution.geometry
    if geometry is None or geometry.tile is not None or geometry.stride != geometry.scale:
        return 1, 1
    if cols % geometry.scale == 0:
        return 1, geometry.scale
    high = geometry.scale // cols
    return (high, cols) if geometry.scale % cols == 0 and rows % high == 0 else (1, 1)
