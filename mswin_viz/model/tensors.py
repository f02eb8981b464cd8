"""Real numbers in any form (tensors, NumPy arrays, nested lists) as float32 tensors that every function takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["float_tensor"]


def float_tensor(values: Any, name: str) -> Float[torch.Tensor, "*axes"]:
    """The values as a float32 tensor: dense, on the device they are on, with their gradient if they have one.

    What is float32 already is returned as it is; a tensor made in inference mode is copied outside of it, because
    autograd refuses it.

    Raises
    ------
    ShapeError
        If they are not real numbers, rows differ in length, or a tensor is sparse, quantised or holds no data.
    """
    if isinstance(values, (list, tuple)) and any(isinstance(one, torch.Tensor) for one in values):
        values = _stacked(values, name)
    tensor = values if isinstance(values, torch.Tensor) else _from_array(values, name)
    is_real = not (tensor.is_complex() or tensor.is_quantized or tensor.dtype == torch.bool)
    if not is_real or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise _refused(name, f"a tensor of {tensor.dtype}, {tensor.layout}, on {tensor.device}")
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        tensor = tensor.clone()
    return tensor.float()


def _stacked(values: list | tuple, name: str) -> torch.Tensor:
    try:
        return torch.stack(tuple(values))
    except (TypeError, RuntimeError):
        raise _refused(name, "a list of tensors of different shapes or kinds") from None


def _from_array(values: Any, name: str) -> torch.Tensor:
    if np.ma.is_masked(values):
        raise _refused(name, "a masked array, in which values are missing")
    try:
        array = np.asarray(values)
        numbers = array.astype(np.float32) if array.dtype.kind == "O" else array
    except (TypeError, ValueError, RuntimeError):
        raise _refused(name, f"{type(values).__name__} of something else, or of rows that differ") from None
    if numbers.dtype.kind not in "iuf":
        raise _refused(name, f"{type(values).__name__} of {array.dtype}")
    shared = np.ascontiguousarray(numbers, dtype=np.float32).reshape(array.shape)
    return torch.from_numpy(shared if shared.flags.writeable else shared.copy())


def _refused(name: str, got: str) -> ShapeError:
    return ShapeError(
        f"{name} must be real numbers in a dense tensor, an array or a list, every row of the same length: got {got}"
    )
