"""The CLS of each image on screen, split over the patches of the input: computed apart from the controls, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.shares.cls_split import ClsSplit, cls_by_patch
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import Picture

if TYPE_CHECKING:
    from jaxtyping import Float

_MOST_KEPT = 64
_Key = tuple[int, bytes]


@dataclass(frozen=True, eq=False)
class ClsSplits:
    """The last few splits, by picture and direction.

    A split takes a forward and a backward pass of the tower in float64, so only :meth:`compute` makes one.
    """

    model: Model
    _kept: OrderedDict[_Key, tuple[Picture, ClsSplit]] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(
        self, pictures: Sequence[Picture], directions: Float[np.ndarray, "batch wide"]
    ) -> tuple[ClsSplit, ...] | None:
        """The split of each picture; None while any is missing."""
        with self._lock:
            kept = [self._kept.get(self._key(*pair)) for pair in zip(pictures, directions, strict=True)]
        splits = tuple(pair[1] for pair in kept if pair is not None)
        return splits if len(splits) == len(kept) else None

    def compute(self, picture: Picture, direction: Float[np.ndarray, " wide"]) -> None:
        """Compute the split of one picture, unless it is kept already."""
        key = self._key(picture, direction)
        with self._lock:
            if key in self._kept:
                return
        split = cls_by_patch(self.model, [picture.image], direction[: self.model.dim], tags=[picture.tag])
        with self._lock:
            self._kept[key] = (picture, split)  # the picture itself, so that its id is not given twice
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def close(self) -> None:
        """Release everything that is kept."""
        with self._lock:
            self._kept.clear()

    @staticmethod
    def _key(picture: Picture, direction: Float[np.ndarray, " wide"]) -> _Key:
        return id(picture), np.ascontiguousarray(direction).tobytes()
