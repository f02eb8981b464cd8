"""Several modalities as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float


def joined_features(features: Sequence[np.ndarray]) -> Float[np.ndarray, "row all_dims"]:
    """Features of each modality concatenated row by row, raw, as MambaPro and related models rank them."""
    return np.concatenate(features, axis=1)
