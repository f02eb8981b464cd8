"""What analysis asks of any add-on: its feature, the shares of a score, and the feature without one of its windows.

Two kinds answer: add-ons of windows, in closed form (:mod:`mswin_viz.analysis.shares.fusion`), and any other torch
module, with what is not linear held (:mod:`mswin_viz.analysis.shares.module_map`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class Split:
    """The shares of a score ``v . enhanced``.

    Attributes
    ----------
    cls, bias
        Of the CLS token and of all biases, ``[B]``.
    slots
        Of the windows of each slot; None where a slot is off.
    outside
        Of patch tokens that no window covers, ``[B]``; zero where only windows are read.
    left
        Names of the operations that leave a part unexplained: the score minus all shares.
    """

    cls: Float[np.ndarray, " batch"]
    bias: Float[np.ndarray, " batch"]
    slots: tuple[SlotShares | None, ...]
    outside: Float[np.ndarray, " batch"]
    left: tuple[str, ...] = ()


class Without(NamedTuple):
    """The enhanced CLS without each of several windows, nothing held, and the ReLU gates then (no width if there are none)."""

    enhanced: Float[np.ndarray, "batch window dim"]
    gates: Bool[np.ndarray, "batch window hidden"]


class AddonState(Protocol):
    """An add-on at one batch of tokens, float64."""

    @property
    def cls(self) -> Float[np.ndarray, "batch dim"]:
        """The plain CLS, ``[B, D]``."""
        ...

    @property
    def enhanced(self) -> Float[np.ndarray, "batch wide"]:
        """The enhanced CLS, ``[B, D]``; wider where the add-on's feature is concatenated."""
        ...

    @property
    def gates(self) -> Bool[np.ndarray, "batch hidden"]:
        """Which ReLU gates are open; of no width where there are none to count."""
        ...

    @property
    def gate(self) -> Float[np.ndarray, "batch slot"]:
        """Weight of each expert; of no width without experts."""
        ...

    @property
    def n_tokens(self) -> int:
        """Patch tokens of an image."""
        ...

    @property
    def pooled(self) -> tuple[Float[np.ndarray, "batch wide"], ...]:
        """What each slot hands to the fusion."""
        ...

    def geometry(self, index: int) -> WindowGeometry | None:
        """Which tokens the windows of a slot cover; None where it is off."""
        ...

    def split(self, v: Float[np.ndarray, "batch wide"]) -> Split:
        """The shares of the score along a direction of each image."""
        ...

    def pulled_back(self, v: Float[np.ndarray, "batch wide"]) -> tuple[Float[np.ndarray, "batch wide"], ...]:
        """The direction pulled back through the held fusion to each slot's pooled vector; empty without slots."""
        ...

    def without(self, slots: Sequence[int], window: int | slice) -> Without:
        """The enhanced CLS without one window, or without each of several in turn, taken out of slots with the same windows."""
        ...

    def without_token(self, token: int) -> Without:
        """The same without one patch token, out of every window that it is in."""
        ...

    def without_each(self, slots: Sequence[int]) -> Without:
        """The same for every window of slots whose windows are the same, taken out of all of them at once.

        For numbers that are drawn: what is large (kernels, a module run once for each window) is in float32, the rest in float64.
        """
        ...

    def without_each_token(self) -> Without:
        """The same for every patch token, for numbers that are drawn."""
        ...


class AddonMap(Protocol):
    """An add-on as arrays, or as a frozen copy of a module."""

    @property
    def scales(self) -> tuple[int, ...]:
        """Trained scale of each slot of its fusion; empty for a module that is not made of windows."""
        ...

    @property
    def declared(self) -> tuple[Slot, ...]:
        """Windows by which a module without windows of its own groups its shares; empty for add-ons of windows."""
        ...

    @property
    def is_projected(self) -> bool:
        """Whether its windows lie in a space of their own, as those of scheme 2."""
        ...

    @property
    def dim(self) -> int:
        """Width ``D`` of the tokens."""
        ...

    @property
    def trained_slots(self) -> tuple[Slot, ...]:
        """Every slot on, at its own scale."""
        ...

    @property
    def feature_dim(self) -> int:
        """Width of the enhanced CLS."""
        ...

    def run(
        self,
        tokens: Tokens,
        slots: Sequence[Slot] | None = None,
        pooled: Sequence[Float[np.ndarray, "batch wide"] | None] | None = None,
    ) -> AddonState:
        """The add-on at a batch of tokens.

        ``slots`` has one for each of ``scales``; None turns all on at their own scale. ``pooled`` has what a slot handed to
        the fusion before, or None where it must be computed. Of a module without scales, the first slot says by which
        windows shares are grouped. Raises ScaleError if a slot's scale is outside 1..N, unless it is the slot's own;
        ShapeError if the number of slots, or the tokens, do not fit the add-on.
        """
        ...


def checked_map(weights: Any) -> AddonMap:
    """The weights of an add-on. Raises OptionError for anything else."""
    if callable(getattr(weights, "run", None)):
        return weights
    raise OptionError(
        f"weights must be those of an add-on: got {value_words(weights)}; copy them with mswin_viz.fusion_weights"
    )
