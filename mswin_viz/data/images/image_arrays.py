"""Arrays and tensors that hold one picture -> channels last, with values of known meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.errors import ImageError

if TYPE_CHECKING:
    from jaxtyping import Num

_CHANNELS = (1, 3, 4)
_ROUNDING = 1e-6  # a float picture may leave 0..1 by this much


def is_tensor(source: object) -> bool:
    """Whether something is a torch tensor, judged by its methods: this layer does not import torch."""
    return all(hasattr(source, name) for name in ("detach", "cpu", "dtype", "ndim"))


def is_array(source: object) -> bool:
    """Whether something is a NumPy array, a torch tensor, or an array of another library."""
    known = isinstance(source, np.ndarray) or is_tensor(source)
    return known or all(hasattr(source, name) for name in ("__array__", "dtype", "shape", "ndim"))


def pixels_of(source: Any, *, has_range: bool) -> Num[np.ndarray, "rows cols *channels"]:
    """The picture in an array, ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]``: uint8, or values of more than 8 bits as given.

    Parameters
    ----------
    source
        uint8, floats of 0..1, or uint16 counts of one or three channels; channels last, in tensors also first.
    has_range
        Whether a range gives other values a meaning; then one channel of any real type is taken as it is.

    Raises
    ------
    ImageError
        If the shape can be read in two ways or in none, or the values have no known meaning.
    """
    given = _in_memory(source)
    if given.dtype.kind not in "uif":
        raise ImageError(f"{_rule(given)}; turn it into uint8 of 0..255 first")
    if given.size == 0:
        raise ImageError(f"{_rule(given)}, which is empty")
    array = _channels_last(given, may_be_first=is_tensor(source))
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and _fits_one(array):
        return np.round(np.clip(array.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2 and array.shape[2:] != (4,):
        return array
    if has_range and array.ndim == 2:
        return array
    extent = f"{float(given.min()):g}..{float(given.max()):g}"
    raise ImageError(f"{_rule(given)} with values {extent}; {_advice(array)}")


def _in_memory(source: Any) -> np.ndarray:
    if np.ma.is_masked(source):
        raise ImageError(
            "an image must have a value at every pixel: got a masked array; fill it with array.filled(0)"
        )
    try:
        if not is_tensor(source):
            return np.asarray(source)
        here = source.detach().cpu()
        return (here.float() if here.is_floating_point() else here).numpy()  # NumPy has no bfloat16
    except (TypeError, RuntimeError, ValueError) as problem:
        raise ImageError(
            f"an image tensor must hold its pixels in memory: got {type(source).__name__} {source.dtype}, which "
            f"NumPy cannot read ({str(problem).splitlines()[0]}); pass a dense uint8 tensor"
        ) from problem


def _channels_last(array: np.ndarray, *, may_be_first: bool) -> np.ndarray:
    """``[H, W]`` or ``[H, W, 3 or 4]`` of any layout that can be read in only one way."""
    if array.ndim == 2:
        return array
    if array.ndim != 3:
        is_batch = array.ndim == 4
        advice = "pass a batch [B, H, W, 3] by itself, not in a list" if is_batch else "cut it into pictures"
        raise ImageError(f"{_rule(array)}; {advice}")
    first, last = may_be_first and array.shape[0] in _CHANNELS, array.shape[2] in _CHANNELS
    if first and last:
        raise ImageError(
            f"a tensor's channels must be its first or its last axis: got {array.shape}, where either fits; pass "
            "tensor.permute(1, 2, 0).numpy() if they come first, tensor.numpy() if they come last"
        )
    if not first and not last:
        raise ImageError(f"{_rule(array)}; move channels last, or pass several images as list(...)")
    turned = np.moveaxis(array, 0, 2) if first else array
    return turned[..., 0] if turned.shape[2] == 1 else turned


def _fits_one(array: np.ndarray) -> bool:
    low, high = array.min(), array.max()
    return bool(np.isfinite([low, high]).all() and low >= -_ROUNDING and high <= 1 + _ROUNDING)


def _rule(array: np.ndarray) -> str:
    return (
        "an image array must be uint8, float of 0..1, or uint16 counts, of shape [H, W], [H, W, 1], [H, W, 3] or "
        f"[H, W, 4] (tensors also [C, H, W]): got {array.dtype} {array.shape}"
    )


def _advice(array: np.ndarray) -> str:
    """What to do with values of unknown meaning."""
    if array.dtype.kind != "f":
        return "convert it to uint8 if it holds 0..255, to uint16 if it holds counts (one or three channels)"
    if not np.isfinite(array).all():
        return "replace NaN and infinity"
    if array.min() >= 0 and array.max() <= 255:
        return "divide it by 255, or convert it to uint8"
    if array.ndim == 3:
        return "pass the picture as it was before it was normalised, in 0..1"
    return "pass 0..1, or load the model with thermal_range=(lo, hi) in these units"
