"""Room for the tokens of many images: in memory, or mapped from files where they would fill it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.data.storage.destinations import made_folder
from mswin_viz.data.storage.file_writing import discard, mapped_array
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

IN_MEMORY = 2 * 2**30
"""Bytes of tokens that are kept in memory; more go to disk."""


@dataclass(frozen=True)
class TokenLayout:
    """How much room the tokens of at most ``n_images`` of each modality take, known before the first is encoded."""

    n_images: int
    modalities: tuple[str, ...]
    grid: tuple[int, int]
    dim: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each array, by the name of its file without ``.npy``: CLS, then patch tokens, of each modality."""
        each = {"cls": (self.n_images, self.dim), "patches": (self.n_images, math.prod(self.grid), self.dim)}
        return {f"{name}_{part}": shape for name in self.modalities for part, shape in each.items()}

    @property
    def n_bytes(self) -> int:
        """Of all tokens, float32."""
        return sum(4 * math.prod(shape) for shape in self.shapes.values())


class TokenStore:
    """Tokens by modality, filled in portions; the room for all of them is taken at once (OutputError if it is missing).

    With a folder, the arrays lie there, mapped into memory. If ``stays``, their files stay, as ``.npy``; else they are
    removed at once where the system allows it: the arrays can be used until the program ends, however it ends.
    """

    def __init__(self, layout: TokenLayout, folder: Path | None = None, *, stays: bool = False) -> None:
        self._layout, self._folder, self._stays = layout, folder, stays
        if folder is not None:
            made_folder(folder)
        self._arrays = {name: self._array(name, shape) for name, shape in layout.shapes.items()}
        self._filled = dict.fromkeys(layout.modalities, 0)
        self._neck: Neck | None = None

    def add(self, modality: str, tokens: Tokens) -> None:
        """Append a portion to a modality."""
        self._neck = tokens.neck and tokens.neck.to(torch.device("cpu"))
        start = self._filled[modality]
        end = self._filled[modality] = start + len(tokens)
        for part in ("cls", "patches"):
            self._arrays[f"{modality}_{part}"][start:end] = getattr(tokens, part).cpu().numpy()

    def tokens(self) -> dict[str, Tokens]:
        """What was added, by modality; on the CPU, without a copy."""
        return tokens_of_arrays(self._layout, self._arrays, self._filled, self._neck)

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if self._folder is None:
            return np.empty(shape, np.float32)
        file = self._folder / f"{name}.npy"
        array = mapped_array(file, shape, np.float32)
        if not self._stays:
            discard(file)  # Windows keeps the files of mapped arrays
        return array


def tokens_of_arrays(
    layout: TokenLayout, arrays: Mapping[str, np.ndarray], n_filled: Mapping[str, int], neck: Neck | None
) -> dict[str, Tokens]:
    """The tokens in arrays named as a layout names them, by modality, of a model with that neck."""
    by_modality = {}
    for name, n_images in n_filled.items():
        cls, patches = (torch.from_numpy(arrays[f"{name}_{part}"][:n_images]) for part in ("cls", "patches"))
        by_modality[name] = Tokens(cls, patches, layout.grid, neck)
    return by_modality


class TokenView:
    """Rows of one or several `Tokens` of one grid as if they were one, without a copy; indexing gives `Tokens`.

    ``rows`` are counted through the parts; all if None.
    """

    def __init__(self, parts: Sequence[Tokens], rows: Sequence[int] | np.ndarray | None = None) -> None:
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
        places, pieces = [], []
        for owner in np.unique(owners):
            places.append(np.flatnonzero(owners == owner))
            pieces.append(self._parts[owner][(rows[places[-1]] - self._starts[owner]).tolist()])
        return Tokens.joined(pieces)[np.argsort(np.concatenate(places)).tolist()]
