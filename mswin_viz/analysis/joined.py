"""Several modalities as one: what they are called together, and their features side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["joined_features", "joined_name"]


def joined_name(modalities: Iterable[str]) -> str:
    """Their names with ``+`` between them, such as ``"RGB+NI+TI"``."""
    return "+".join(modalities)


def joined_features(features: Sequence[np.ndarray]) -> Float[np.ndarray, "row all_dims"]:
    """Features of each modality concatenated row by row, raw, as MambaPro and related models rank them."""
    return np.concatenate(features, axis=1)
