"""Position embeddings of one patch grid, resized to another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import WeightsError

if TYPE_CHECKING:
    from jaxtyping import Float

_LONGEST = 3
"""How many times as long as wide a grid may be to count as a possible reading of a number of positions."""


def resized_positions(
    positions: Float[torch.Tensor, "tokens dim"], source: tuple[int, int], target: tuple[int, int]
) -> Float[torch.Tensor, "new_tokens dim"]:
    """Resized as in the host model: bilinear, half-pixel centres, no antialiasing; the CLS row is kept."""
    if source == target:
        return positions
    cls, grid = positions[:1].float(), positions[1:].float()
    image = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    image = torch.nn.functional.interpolate(image, size=target, mode="bilinear", align_corners=False)
    return torch.cat([cls, image.permute(0, 2, 3, 1).reshape(-1, grid.shape[1])])


def source_grid(n_tokens: int, target: tuple[int, int]) -> tuple[int, int]:
    """The grid a file's position embeddings were made for, as far as their number tells.

    The target grid wherever the count fits; else a square (CLIP's own); else a 2:1 grid of the target's orientation
    (upright for a square target), as re-ID models have. A count can never be both a square and 2:1.
    """
    if target[0] * target[1] == n_tokens > 0:
        return target
    side = math.isqrt(n_tokens)
    if side * side == n_tokens > 0:
        return side, side
    short = math.isqrt(n_tokens // 2)
    if 2 * short * short == n_tokens > 0:
        return (short, 2 * short) if target[1] > target[0] else (2 * short, short)
    fitting = ", ".join(f"{rows}x{cols}" for rows, cols in _grids(n_tokens)) or "none of common shape"
    wanted = f" for a {target[0]}x{target[1]} grid" if all(target) else ""
    raise WeightsError(
        f"position embeddings must lie on a square or 2:1 grid, or on the input's own: got {n_tokens} of them{wanted} "
        f"(grids of that count: {fitting}); give the image_size they were trained at"
    )


def grid_doubt(n_tokens: int, target: tuple[int, int]) -> str:
    """What was assumed where a count alone does not tell the grid, in brackets, to follow the grid's name.

    Empty where only one grid of common shape has that count, or where the target's own grid fits and no square does.
    """
    grid = source_grid(n_tokens, target)
    was_asked = grid == tuple(target)
    others = [pair for pair in _grids(n_tokens) if pair != grid and (pair[0] == pair[1] or not was_asked)]
    if not others:
        return ""
    words = ", ".join(f"{rows}x{cols}" for rows, cols in others)
    why = "as the input asks for" if was_asked else "assumed; the image_size of the training decides"
    return f" (of {counted(n_tokens, 'positions')}, which also make {words}; {grid[0]}x{grid[1]} is {why})"


def _grids(n_tokens: int) -> list[tuple[int, int]]:
    pairs = [(rows, n_tokens // rows) for rows in range(n_tokens, 0, -1) if n_tokens % rows == 0]
    return [pair for pair in pairs if max(pair) <= _LONGEST * min(pair)]
