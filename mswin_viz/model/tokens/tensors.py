"""Real numbers in any form (tensors, NumPy arrays, nested lists) as float32 tensors that every function takes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Num


def float_tensor(values: Any, name: str) -> Float[torch.Tensor, "*axes"]:
    """The values as a dense float32 tensor, on the device they are on, with their gradient if they have one.

    What is float32 already is returned as it is; a tensor of inference mode is copied outside of it, because autograd
    refuses it. ShapeError if they are not real numbers, rows differ in length, a tensor is sparse, nested, quantised or
    holds no data, or a number is too large for float32.
    """
    if isinstance(values, (list, tuple)) and any(isinstance(one, torch.Tensor) for one in values):
        values = _stacked(values, name)
    tensor = values if isinstance(values, torch.Tensor) else _from_array(real_array(values, name))
    is_real = not (tensor.is_complex() or tensor.is_quantized or tensor.dtype == torch.bool)
    is_dense = tensor.layout == torch.strided and not tensor.is_nested
    if not (is_real and is_dense) or tensor.device.type == "meta":
        kind = "nested tensor" if tensor.is_nested else "tensor"
        raise _refused(name, f"a {kind} of {tensor.dtype}, {tensor.layout}, on {tensor.device}")
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        tensor = tensor.clone()
    converted = tensor.float()
    if tensor.dtype == torch.float64 and len(too_large := tensor[converted.isinf() & ~tensor.isinf()]):
        raise ShapeError(
            f"{name} must fit float32, whose numbers end at {torch.finfo(torch.float32).max:.2g}: got "
            f"{too_large[0].item():.2g}; scale them down"
        )
    return converted


def real_array(values: Any, name: str) -> Num[np.ndarray, "*axes"]:
    """Integers or floats as an array, from anything that NumPy reads but a tensor.

    Objects such as Python's own numbers and fractions, and long doubles, become float64. ShapeError if they are something
    else, such as booleans, text, dates or None, some are masked, or rows differ in length.
    """
    try:
        values_or_masked = np.ma.asarray(values) if isinstance(values, (list, tuple)) else values
        if np.ma.is_masked(values_or_masked):
            raise _refused(name, "a masked array, in which values are missing")
        array = np.asarray(values_or_masked)
        numbers = _of_objects(array) if array.dtype.kind == "O" else array
    except ShapeError:
        raise
    except Exception:  # arrays of other libraries raise errors of any kind
        raise _refused(name, f"{type(values).__name__} of something else, or of rows that differ") from None
    if numbers.dtype.kind not in "iuf":
        raise _refused(name, f"{type(values).__name__} of {array.dtype}")
    return numbers.astype(np.float64) if numbers.dtype == np.longdouble else numbers


def _of_objects(array: np.ndarray) -> np.ndarray:
    """Numbers from an array of objects; NumPy itself would take text, dates and None for numbers, too."""
    kinds = {type(one) for one in array.flat}
    if any(not issubclass(kind, Real | Decimal) or issubclass(kind, bool | np.timedelta64) for kind in kinds):
        raise TypeError
    return array.astype(np.float64)


def _stacked(values: list | tuple, name: str) -> torch.Tensor:
    try:
        return torch.stack(tuple(values))
    except (TypeError, RuntimeError):
        raise _refused(name, "a list of tensors of different shapes or kinds") from None


def _from_array(array: np.ndarray) -> torch.Tensor:
    is_wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    shared = np.ascontiguousarray(array, np.float64 if is_wide else np.float32).reshape(array.shape)
    return torch.from_numpy(shared if shared.flags.writeable else shared.copy())


def _refused(name: str, got: str) -> ShapeError:
    return ShapeError(
        f"{name} must be real numbers in a dense tensor, an array or a list, every row of the same length: got {got}"
    )


def tensors_of(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Its parameters and buffers."""
    yield from module.parameters()
    yield from module.buffers()


def versions(module: torch.nn.Module) -> tuple[Any, ...]:
    """Changes when a parameter or buffer is replaced or written to, at no cost; ``parameter.data`` escapes it."""
    return tuple(
        (id(tensor), tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
        for tensor in tensors_of(module)
    )
