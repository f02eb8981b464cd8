"""Several modalities as one, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["joined_features", "modality_words"]

_TOGETHER = {2: "two together", 3: "three together"}
_COLUMNS = {"together": 2, "three_together": 3}  # of an evaluation or ablation


def joined_features(features: Sequence[np.ndarray]) -> Float[np.ndarray, "row all_dims"]:
    """Features of each modality concatenated row by row, raw, as MambaPro and related models rank them."""
    return np.concatenate(features, axis=1)


def modality_words(name: str, *, is_equalised: bool = False) -> str:
    """What people read: a modality as it is; those joined in ``"RGB+NI+TI"`` or ``"three_together"`` by their number."""
    words = _TOGETHER.get(_COLUMNS.get(name, name.count("+") + 1))
    return name if words is None else f"{words}, equalised" if is_equalised else words
