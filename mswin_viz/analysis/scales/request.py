"""What is shown of which images: the requests that :mod:`mswin_viz.analysis.scales.view` answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.analysis.shares.fusion_weights import FusionWeights, Slot
from mswin_viz.analysis.windows.activations import nearest_trained_scale
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

VALUES = ("norm", "share", "cosine", "channel")
"""What a window's number can be: activation norm; its share of the cosine; cosine to the target; one channel."""
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
    def is_of_the_design(self) -> bool:
        """Whether the free windows lie as the trained module's do: runs, end to end."""
        return self.tile is None and self.stride in (None, self.free_scale)

    def checked(self, n_slots: int) -> ViewRequest:
        """This request. Raises OptionError if it names a value or slot state that does not exist."""
        if self.value not in VALUES:
            raise OptionError(f"value must be one of {', '.join(VALUES)}: got {self.value!r}")
        if len(self.slots) != n_slots or not set(self.slots) <= set(SLOT_STATES):
            raise OptionError(
                f"the fusion has {n_slots} slots, each one of {', '.join(SLOT_STATES)}: got {self.slots}"
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
    weights: FusionWeights | None
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
    def patches(self) -> Float[np.ndarray, "batch token dim"]:
        """The patch tokens as float32 NumPy, for drawing."""
        return self.tokens.patches.cpu().numpy()


class FreePlace(NamedTuple):
    """The slot that holds the free windows, or would, and the fusion then."""

    index: int
    slots: tuple[Slot, ...]


def free_slot(request: ViewRequest) -> Slot:
    """The free windows as they stand in a slot."""
    if request.tile is not None:
        return Slot(request.tile[0] * request.tile[1], "mean", stride=request.stride, tile=request.tile)
    return Slot(request.free_scale, "mean" if request.is_mean else "trained", stride=request.stride)


def slots_of(request: ViewRequest, scales: Sequence[int]) -> tuple[Slot, ...]:
    """What stands in each slot of a fusion of ``scales``."""
    return tuple(
        free_slot(request) if state == "free" else Slot(scale, "trained" if state == "on" else "off")
        for scale, state in zip(scales, request.slots, strict=True)
    )


def place_of_free(request: ViewRequest, scales: Sequence[int]) -> FreePlace:
    """The first slot that holds the free windows, and the fusion; where none does, as if the nearest scale's did."""
    slots = slots_of(request, scales)
    if "free" in request.slots:
        return FreePlace(request.slots.index("free"), slots)
    new = free_slot(request)
    index = list(scales).index(nearest_trained_scale(scales, new.scale))
    return FreePlace(index, tuple(new if i == index else slot for i, slot in enumerate(slots)))
