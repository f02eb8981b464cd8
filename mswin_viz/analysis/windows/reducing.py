"""One number for each window's activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import finite_vectors
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float


def reduced(
    values: Float[np.ndarray, "batch window dim"],
    how: str,
    *,
    direction: Float[np.ndarray, "*batch wide"] | None = None,
    channel: int | None = None,
) -> Float[np.ndarray, "batch window"]:
    """The ``"norm"`` of each window, its ``"cosine"`` to a direction or the value of a ``"channel"``, whatever its scale."""
    if how == "cosine":
        return _cosines(values, direction)
    if how == "norm":
        return np.linalg.norm(values, axis=2)
    if how == "channel":
        if channel is None or not 0 <= channel < values.shape[2]:
            raise OptionError(f"a channel is a whole number in 0..{values.shape[2] - 1}: got {channel}")
        return values[:, :, channel]
    raise OptionError(f"how must be norm, cosine or channel: got {how!r}; shares come from decompose()")


def _cosines(
    values: Float[np.ndarray, "batch window dim"], direction: Float[np.ndarray, "*batch dim"] | None
) -> Float[np.ndarray, "batch window"]:
    batch, _, dim = values.shape
    shape = None if direction is None else np.shape(direction)
    if shape not in ((dim,), (batch, dim)):
        raise ShapeError(f"a cosine needs a direction of shape ({dim},) or ({batch}, {dim}): got {shape}")
    kind, values = values.dtype, values.astype(np.float64)  # a small cosine is what is left of large sums
    along = np.broadcast_to(finite_vectors(direction, "a direction").astype(np.float64), (batch, dim))
    norm = np.linalg.norm(along, axis=1)
    if not (norm > 0).all():
        raise ShapeError("a cosine needs a direction of non-zero norm: got a zero vector")
    norms = np.linalg.norm(values, axis=2) * norm[:, None]
    dots = np.einsum("bnd,bd->bn", values, along)
    return np.clip(np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0), -1, 1).astype(kind)
