"""Room for the tokens of many images: in memory, or memory-mapped on disk where they would fill it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.model.readout import Neck
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["IN_MEMORY", "TokenShelf", "TokenView", "read_shelf"]

IN_MEMORY = 2 * 2**30
"""Bytes of patch tokens that are kept in memory; more go to disk."""


class TokenShelf:
    """Tokens of up to ``n_images`` shots by modality, filled in portions; its arrays are made by the first.

    Parameters
    ----------
    n_images
        Shots at most.
    folder
        Where arrays lie as ``.npy`` files that are mapped into memory; None for memory.
    """

    def __init__(self, n_images: int, folder: Path | None = None) -> None:
        self._n_images, self._folder = n_images, folder
        self._arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._filled: dict[str, int] = {}
        self._grid: tuple[int, int] = (0, 0)
        self._neck: Neck | None = None

    def add(self, modality: str, tokens: Tokens) -> None:
        """Put a portion behind those that are there."""
        if modality not in self._arrays:
            self._grid, self._neck = tokens.grid, tokens.neck and tokens.neck.to(torch.device("cpu"))
            self._arrays[modality] = (
                self._array(f"{modality}_cls", tuple(tokens.cls.shape[1:])),
                self._array(f"{modality}_patches", tuple(tokens.patches.shape[1:])),
            )
        start = self._filled.get(modality, 0)
        end = self._filled[modality] = start + len(tokens)
        for array, values in zip(self._arrays[modality], (tokens.cls, tokens.patches), strict=True):
            array[start:end] = values.cpu().numpy()

    def tokens(self) -> dict[str, Tokens]:
        """What was put, by modality; on the CPU, without a copy."""
        found = {}
        for modality, arrays in self._arrays.items():
            cls, patches = (torch.from_numpy(array[: self._filled[modality]]) for array in arrays)
            found[modality] = Tokens(cls, patches, self._grid, self._neck)
        return found

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if self._folder is None:
            return np.empty((self._n_images, *shape), np.float32)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.npy"
        file.unlink(
            missing_ok=True
        )  # tokens mapped from an older file keep it; written over, they would change
        return np.lib.format.open_memmap(file, "w+", np.float32, (self._n_images, *shape))


class TokenView:
    """Some rows of one or several `Tokens` as if they were one, without a copy; indexing gives `Tokens`.

    Parameters
    ----------
    parts
        Of one grid.
    rows
        Which, counted through the parts; all if None.
    """

    def __init__(self, parts: Sequence[Tokens], rows: Sequence[int] | None = None) -> None:
        self._parts, self.grid = list(parts), parts[0].grid
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._rows = np.arange(self._starts[-1]) if rows is None else np.asarray(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def cls(self) -> Float[torch.Tensor, "row dim"]:
        """All CLS tokens; these are small."""
        return torch.cat([part.cls for part in self._parts])[self._rows.tolist()]

    def __getitem__(self, chosen: slice | Sequence[int]) -> Tokens:
        rows = self._rows[chosen]
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        found = [
            (np.flatnonzero(owners == at), part[(rows[owners == at] - self._starts[at]).tolist()])
            for at, part in enumerate(self._parts)
            if (owners == at).any()
        ]
        back = np.argsort(np.concatenate([places for places, _ in found])).tolist()
        return Tokens.joined([some for _, some in found])[back]


def read_shelf(
    folder: Path, n_images: int, grid: tuple[int, int], neck: Neck | None = None
) -> dict[str, Tokens]:
    """Tokens a shelf left in its folder, of a model with that neck; changes to them never reach the files."""
    found = {}
    for file in sorted(folder.glob("*_cls.npy"), key=lambda file: file.stat().st_mtime_ns):
        modality = file.stem.removesuffix("_cls")
        cls, patches = (
            torch.from_numpy(np.load(folder / f"{modality}_{part}.npy", mmap_mode="c")[:n_images])
            for part in ("cls", "patches")
        )
        found[modality] = Tokens(cls, patches, grid, neck)
    return found
