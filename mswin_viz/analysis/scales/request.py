"""What is shown of which images: the requests that :mod:`mswin_viz.analysis.scales.view` answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.analysis.shares.decomposition import direction_of_each
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.analysis.shares.part_values import PART_VALUES
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.shares.window_shuffle import common_run
from mswin_viz.analysis.windows.activations import (
    SeenTokens,
    nearest_trained_scale,
    seen_patches,
    seen_tokens,
)
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ScaleError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

VALUES = (*PART_VALUES, "norm", "cosine", "channel")
"""What a window's number can be: change of the cosine when it is removed, its net push, its share of the cosine;
activation norm; cosine to the target; one channel."""
SLOT_STATES = ("on", "off", "free")
"""A slot of the fusion: its trained kernel; nothing; or the free scale in its place."""


@dataclass(frozen=True)
class ViewRequest:
    """What to show.

    Attributes
    ----------
    free_scale
        The scale the slider stands at, 1..N.
    kernel
        Of the free scale: ``"auto"`` (trained where it is, else resampled) or ``"mean"``.
    value
        One of ``VALUES``.
    channel
        For ``"channel"``.
    slots
        One of ``SLOT_STATES`` for each slot of the fusion; empty without an add-on.
    stride
        Tokens from one free window to the next; the scale itself if None.
    tile
        ``(rows, cols)``: 2-D tiles in place of runs, as untrained means; ``free_scale`` and ``kernel`` are not read
        then.
    """

    free_scale: int
    kernel: str = "auto"
    value: str = "norm"
    channel: int = 0
    slots: tuple[str, ...] = ()
    stride: int | None = None
    tile: tuple[int, int] | None = None

    @property
    def is_mean(self) -> bool:
        """Whether the free windows are plain means."""
        return self.kernel == "mean" or self.tile is not None

    @property
    def is_of_parts(self) -> bool:
        """Whether the value is what a window does to the cosine, through the fusion: share, push or removal."""
        return self.value in PART_VALUES

    @property
    def is_of_the_design(self) -> bool:
        """Whether the free windows lie as the trained module's do: runs, end to end."""
        return self.tile is None and self.stride in (None, self.free_scale)

    def checked(self, n_slots: int) -> ViewRequest:
        """This request. Raises OptionError if it names a value or slot state that does not exist."""
        if self.value not in VALUES:
            raise OptionError(f"value must be one of {', '.join(VALUES)}: got {self.value!r}")
        if len(self.slots) != n_slots or not set(self.slots) <= set(SLOT_STATES):
            raise OptionError(
                f"the fusion has {counted(n_slots, 'slots')}, each one of {', '.join(SLOT_STATES)}: got {self.slots}"
            )
        return self


@dataclass(frozen=True, eq=False)
class Subject:
    """One or more images, seen through one add-on, against one target.

    ``weights`` is the add-on's float64 snapshot; both are None for plain CLIP. There is one direction, or one for
    each image.
    """

    tokens: Tokens
    addon: torch.nn.Module | None
    weights: AddonMap | None
    direction: Float[np.ndarray, "*batch dim"]

    @property
    def scales(self) -> tuple[int, ...]:
        """Trained scales, in fusion order."""
        return () if self.weights is None else self.weights.scales

    @property
    def plain_cls(self) -> Float[np.ndarray, "batch dim"]:
        """The plain CLS of each image as float64 NumPy."""
        return float64(self.tokens.cls)

    @property
    def is_of_windows(self) -> bool:
        """Whether there is an add-on with kernels and a fusion of their windows."""
        return bool(self.scales)

    @property
    def is_of_tokens(self) -> bool:
        """Whether there is an add-on of another kind, whose windows are groups of its tokens."""
        return self.weights is not None and not self.scales

    @property
    def declared(self) -> tuple[Slot, ...]:
        """The windows that such an add-on declares, those that fit the grid."""
        every = () if self.weights is None else self.weights.declared
        return tuple(slot for slot in every if _fits(slot, self.tokens.grid))

    @cached_property
    def seen(self) -> SeenTokens:
        """The tokens that windows are made of."""
        return seen_tokens(self.tokens, self.addon)

    @cached_property
    def along(self) -> Float[np.ndarray, "*batch dim"]:
        """The direction as patch tokens see it, which lie before the neck; without what an add-on puts behind the CLS."""
        direction, neck = self.direction[..., : self.tokens.patches.shape[2]], self.tokens.neck
        return direction if neck is None else direction * float64(neck.scale)

    @property
    def direction_of_each(self) -> Float[np.ndarray, "batch wide"]:
        """The direction of each image."""
        return direction_of_each(self.direction, self.tokens, self.weights)

    @property
    def read(self) -> SeenTokens:
        """The tokens whose cosine to the target is taken: the patches, if what is seen is not as wide as the target."""
        is_as_wide = self.seen.values.shape[2] == self.along.shape[-1]
        return self.seen if is_as_wide or self.is_of_windows else SeenTokens(self.tokens.patches, "patches")


class WindowPlace(NamedTuple):
    """The first slot that holds windows, or would; the fusion then; and every slot that holds them."""

    index: int
    slots: tuple[Slot, ...]
    held: tuple[int, ...]


def free_slot(request: ViewRequest) -> Slot:
    """The free windows as they stand in a slot."""
    if request.tile is not None:
        return Slot(request.tile[0] * request.tile[1], "mean", stride=request.stride, tile=request.tile)
    return Slot(request.free_scale, "mean" if request.is_mean else "trained", stride=request.stride)


def n_channels(
    addon: torch.nn.Module | None, weights: AddonMap | None, grid: tuple[int, int], dim: int
) -> int:
    """How many channels the widest of the features and activations has that a view may show."""
    wide = seen_patches(torch.zeros(1, grid[0] * grid[1], dim), addon).values.shape[2]
    return max(dim, wide, 0 if weights is None else weights.feature_dim)


def shuffled_runs(weights: AddonMap | None, grid: tuple[int, int]) -> tuple[int, ...]:
    """Runs of tokens that are worth shuffling: windows, what holds whole ones of every scale, or rows of the grid."""
    if weights is None:
        return ()
    if weights.scales:
        return (*weights.scales, common_run(weights.scales))
    return tuple(slot.scale for slot in weights.declared if slot.tile is None) or (grid[1],)


def _fits(slot: Slot, grid: tuple[int, int]) -> bool:
    try:
        slot.geometry(grid)
    except ScaleError:
        return False
    return True


def slots_in_view(request: ViewRequest, subject: Subject) -> tuple[Slot, ...]:
    """What stands in each slot; of an add-on without any, the free windows, by which its shares are grouped."""
    return (free_slot(request),) if subject.is_of_tokens else slots_of(request, subject.scales)


def slots_of(request: ViewRequest, scales: Sequence[int]) -> tuple[Slot, ...]:
    """What stands in each slot of a fusion of ``scales``."""
    return tuple(
        free_slot(request) if state == "free" else Slot(scale, "trained" if state == "on" else "off")
        for scale, state in zip(scales, request.slots, strict=True)
    )


def first_value(weights: AddonMap | None) -> str:
    """The value to begin with: what removing a window changes; without an add-on, nothing is removed."""
    return "norm" if weights is None else "removal"


def place_of_free(request: ViewRequest, scales: Sequence[int]) -> WindowPlace:
    """The slots that hold the free windows, and the fusion; where none does, as if the nearest scale's did."""
    slots = slots_of(request, scales)
    held = tuple(i for i, state in enumerate(request.slots) if state == "free")
    if held:
        return WindowPlace(held[0], slots, held)
    new = free_slot(request)
    index = nearest_slot(tuple(scales), new.scale)
    return WindowPlace(index, tuple(new if i == index else slot for i, slot in enumerate(slots)), (index,))


@lru_cache(maxsize=4096)
def nearest_slot(trained: tuple[int, ...], scale: int) -> int:
    """The slot of the trained scale that is nearest by ratio."""
    return trained.index(nearest_trained_scale(trained, scale))
