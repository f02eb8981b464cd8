"""The record that crosses from the model to everything after it: projected CLIP tokens."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ShapeError
from mswin_viz.model.tokens.tensors import float_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from mswin_viz.model.tokens.readout import Neck


@dataclass(frozen=True)
class Tokens:
    """CLS and patch tokens of a batch of images, both in the joint CLIP space.

    Any real numbers are taken: tensors of other types, NumPy arrays, nested lists. They become float32 tensors on the
    device of the patches; a gradient stays with them, and what is float32 already is not copied.

    Attributes
    ----------
    cls
        The image feature as retrieval compares it, ``[B, D]`` float32; not normalised. Behind the host model's
        BatchNorm where its retrieval is.
    patches
        Patch tokens after ``ln_post`` and the tower's own projection, ``[B, N, D]`` float32,
        row-major on the grid.
    grid
        ``(rows, cols)`` with ``rows * cols == N``.
    neck
        The BatchNorm between the tower and ``cls``; None without one. An add-on reads the patches before it,
        and what it adds goes through it: see :meth:`plus`.
    n_behind
        How many numbers of ``cls`` an add-on put behind the CLS token: it then is ``[B, D + n_behind]``.

    Raises
    ------
    ShapeError
        If ``cls`` and ``patches`` differ in batch or width, the grid is not two whole numbers or does not hold as many
        patches, or something holds no real numbers.

    Examples
    --------
    >>> len(tokens), tuple(tokens.cls.shape), tuple(tokens.patches.shape), tokens.grid
    (4, (4, 512), (4, 128, 512), (16, 8))
    >>> tuple(tokens[1].cls.shape), tuple(tokens[[0, 3]].cls.shape)  # the batch axis stays
    ((1, 512), (2, 512))
    >>> drawn = np.random.default_rng(0).normal(size=(2, 6, 8))
    >>> mine = mv.Tokens(cls=drawn.mean(axis=1), patches=drawn, grid=(3, 2))  # of another program
    >>> mine.patches.dtype
    torch.float32
    """

    cls: Float[torch.Tensor, "batch wide"]
    patches: Float[torch.Tensor, "batch token dim"]
    grid: tuple[int, int]
    neck: Neck | None = None
    n_behind: int = 0

    def __post_init__(self) -> None:
        patches = float_tensor(self.patches, "patches")
        cls = float_tensor(self.cls, "cls").to(patches.device)
        for name, value in {"cls": cls, "patches": patches, "grid": _checked_grid(self.grid)}.items():
            if value is not getattr(self, name):
                object.__setattr__(self, name, value)
        rows, cols = self.grid
        shapes = f"cls {tuple(self.cls.shape)} and patches {tuple(self.patches.shape)}"
        if self.cls.ndim != 2 or self.patches.ndim != 3:
            raise ShapeError(f"Tokens need cls [B, D] and patches [B, N, D]: got {shapes}")
        batch, n_tokens, dim = self.patches.shape
        if self.cls.shape != (batch, dim + self.n_behind):
            raise ShapeError(f"cls and patches must share batch and width: got {shapes}")
        if rows * cols != n_tokens:
            raise ShapeError(
                f"rows * cols of the grid must be the number of patch tokens: got a {rows}x{cols} grid "
                f"and {counted(n_tokens, 'tokens')}; check that the grid is not that of another image size"
            )

    def __len__(self) -> int:
        return self.cls.shape[0]

    def __getitem__(self, index: int | slice | list[int]) -> Tokens:
        """The tokens of some images; an ``int`` keeps the batch axis (``B = 1``), and beyond the batch is an IndexError."""
        if isinstance(index, int) and not -len(self) <= index < len(self):
            raise IndexError(
                f"tokens of {counted(len(self), 'images')} are numbered 0..{len(self) - 1}: got {index}"
            )
        chosen = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, cls=self.cls[chosen], patches=self.patches[chosen])

    @staticmethod
    def joined(parts: Sequence[Tokens]) -> Tokens:
        """Several batches of one model's tokens as one; ShapeError without a batch, or if widths, grids or necks differ."""
        if len({(part.grid, part.patches.shape[2], part.n_behind, part.neck is None) for part in parts}) != 1:
            raise ShapeError(
                "only batches of one model can be joined, and at least one: got tokens of the grids and widths "
                f"{[(part.grid, part.patches.shape[2]) for part in parts]!r:.80}"
            )
        cls, patches = (torch.cat([getattr(part, name) for part in parts]) for name in ("cls", "patches"))
        return replace(parts[0], cls=cls, patches=patches)

    def followed_by(self, vector: Float[torch.Tensor, "batch more"]) -> Tokens:
        """The tokens with a vector behind the CLS token."""
        cls = torch.cat([self.cls, vector], dim=1)
        return replace(self, cls=cls, n_behind=self.n_behind + vector.shape[1])

    def plus(self, vector: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The image feature once a vector is added to the CLS token: added before the neck, seen behind it."""
        return self.cls + (vector if self.neck is None else vector * self.neck.scale)

    def to(self, device: torch.device) -> Tokens:
        """The tokens on a device; without a copy where they are there."""
        neck = None if self.neck is None else self.neck.to(device)
        return replace(self, cls=self.cls.to(device), patches=self.patches.to(device), neck=neck)


def are_tokens(tokens: Any, *, width: int | None = None) -> Tokens:
    """The same; ShapeError if it is something else than tokens, or they are not of that width."""
    if not isinstance(tokens, Tokens):
        raise ShapeError(
            f"tokens are those of model.encode(images), or Tokens(cls, patches, grid): got {type(tokens).__name__}"
        )
    if width is not None and tokens.patches.shape[2] != width:
        raise ShapeError(
            f"tokens must be as wide as the model's, {width}: got patches {tuple(tokens.patches.shape)}; encode the "
            "images with this model"
        )
    return tokens


def _checked_grid(grid: Any) -> tuple[int, int]:
    try:
        rows, cols = (operator.index(side) for side in grid)
    except (TypeError, ValueError, RuntimeError):
        rows = cols = 0
    if min(rows, cols) < 1:
        raise ShapeError(f"a grid is two whole numbers of at least 1, rows and columns: got {grid!r:.60}")
    return rows, cols
