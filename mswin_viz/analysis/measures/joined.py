"""Several modalities as one, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["joined_features", "modality_words"]


def joined_features(features: Sequence[np.ndarray]) -> Float[np.ndarray, "row all_dims"]:
    """Features of each modality concatenated row by row, raw, as MambaPro and related models rank them."""
    return np.concatenate(features, axis=1)


def modality_words(name: str, *, is_equalised: bool = False) -> str:
    """What people read: a modality as it is, ``"NI+TI"`` as "NI and TI together", all three as "three together"."""
    joined = name.split("+")
    if len(joined) == 1 and name != "three_together":
        return name
    words = f"{' and '.join(joined)} together" if len(joined) == 2 else "three together"
    return f"{words}, equalised" if is_equalised else words
