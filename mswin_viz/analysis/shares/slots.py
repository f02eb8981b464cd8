"""What stands in one slot of a fusion, and the shares of its windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mswin_viz.analysis.windows.activations import Origin
from mswin_viz.analysis.windows.geometry import WindowGeometry, tiles, windows
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

_KERNELS = ("trained", "mean", "off")


@dataclass(frozen=True)
class Slot:
    """What stands in one slot of the fusion.

    Attributes
    ----------
    scale
        Tokens in a window.
    kernel
        ``"trained"``: the slot's kernel, resampled if ``scale`` is not the slot's own; ``"mean"``: the plain window
        mean, without a bias; ``"off"``: the slot's pooled vector is zero.
    stride
        Tokens from one window to the next; ``scale`` if None, as in the trained module.
    tile
        ``(rows, cols)`` of 2-D windows in place of runs; plain means only, ``scale`` is their product.
    """

    scale: int
    kernel: Literal["trained", "mean", "off"] = "trained"
    stride: int | None = None
    tile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kernel not in _KERNELS:
            raise OptionError(f"a slot's kernel must be one of {', '.join(_KERNELS)}: got {self.kernel!r}")
        if self.tile is not None and self.kernel == "trained":
            raise OptionError(f"no kernel is trained on 2-D tiles: got {self.tile}; use kernel='mean'")
        if self.tile is not None and self.scale != self.tile[0] * self.tile[1]:
            raise OptionError(
                f"a tile of {self.tile} has {counted(self.tile[0] * self.tile[1], 'tokens')}: got scale {self.scale}"
            )

    def geometry(self, grid: tuple[int, int]) -> WindowGeometry:
        """Which tokens its windows cover."""
        if self.tile is not None:
            return tiles(grid, self.tile, stride=self.stride)
        return windows(grid, self.scale, stride=self.stride)


@dataclass(frozen=True, eq=False)
class SlotShares:
    """Shares of one slot of the fusion; ``bias`` is the convolution's; a token in no window has 0."""

    slot: Slot
    origin: Origin
    geometry: WindowGeometry
    windows: Float[np.ndarray, "batch window"]
    tokens: Float[np.ndarray, "batch token"]
    bias: Float[np.ndarray, " batch"]

    def times(self, factor: Float[np.ndarray, " batch"]) -> SlotShares:
        """Every share of an image multiplied by a number."""
        each = factor[:, None]
        return replace(self, windows=self.windows * each, tokens=self.tokens * each, bias=self.bias * factor)
