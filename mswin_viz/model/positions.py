"""Position embeddings of one patch grid, resized to another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mswin_viz.errors import WeightsError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["resized_positions", "source_grid"]


def resized_positions(
    positions: Float[torch.Tensor, "tokens dim"], source: tuple[int, int], target: tuple[int, int]
) -> Float[torch.Tensor, "new_tokens dim"]:
    """Bilinear, half-pixel centres, no antialiasing; the CLS row is kept (the host model's way)."""
    if source == target:
        return positions
    cls, grid = positions[:1].float(), positions[1:].float()
    image = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    image = torch.nn.functional.interpolate(image, size=target, mode="bilinear", align_corners=False)
    return torch.cat([cls, image.permute(0, 2, 3, 1).reshape(-1, grid.shape[1])])


def source_grid(n_tokens: int, target: tuple[int, int]) -> tuple[int, int]:
    """The grid a file's position embeddings were made for.

    A square if the count is one (a square embedding is CLIP's own); else the target grid if the count
    fits; else a 2:1 grid of the target's orientation (upright for a square target), as re-ID models have.
    A count can never be both a square and 2:1.

    Raises
    ------
    WeightsError
        If no such grid has that many tokens.
    """
    side = math.isqrt(n_tokens)
    if side * side == n_tokens:
        return side, side
    if target[0] * target[1] == n_tokens:
        return target
    short = math.isqrt(n_tokens // 2)
    if 2 * short * short == n_tokens:
        return (short, 2 * short) if target[1] > target[0] else (2 * short, short)
    raise WeightsError(
        "position embeddings must lie on a square or 2:1 grid, or on the input's own: got "
        f"{n_tokens} of them for a {target[0]}x{target[1]} grid; give the image_size they were trained at"
    )
