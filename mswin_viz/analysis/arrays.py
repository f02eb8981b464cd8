"""Numbers in any form (lists, NumPy arrays, pandas columns, torch tensors) as NumPy arrays."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tensors import real_array

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["check_counts", "chosen_rows", "finite_vectors", "known_numbers", "real_numbers"]

_LARGEST = np.iinfo(np.int64).max
_NO_ARRAY = "a tensor that is sparse, nested, quantised or without data"


def real_numbers(values: Any, name: str) -> Float[np.ndarray, "*axes"]:
    """The values as float64; a tensor may be on any device, of any width, and have a gradient.

    Raises
    ------
    ShapeError
        If they are not real numbers, or rows differ in length.
    """
    try:
        found = _detached(values)
    except (TypeError, RuntimeError):
        raise ShapeError(
            f"{name} must be real numbers in a dense tensor, an array or a list: got {_NO_ARRAY}"
        ) from None
    return real_array(found, name).astype(np.float64)


def finite_vectors(values: Any, name: str) -> Float[np.ndarray, "*batch dim"]:
    """One vector ``[D]``, or one for each image ``[B, D]``; float64.

    Raises
    ------
    ShapeError
        If the values are not numbers, have no or more than two axes, or are not finite.
    """
    found = real_numbers(values, name)
    if found.ndim not in (1, 2) or found.size == 0:
        raise ShapeError(
            f"{name} is [D] or [B, D], one vector or one for each image: got shape {found.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(np.atleast_2d(found)).all(axis=1))
    if len(bad):
        rows = f" in {len(bad)} of {len(found)} rows, the first is row {bad[0]}" if found.ndim == 2 else ""
        raise ShapeError(
            f"{name} must be finite, or every score along it is NaN: got {(~np.isfinite(found)).sum()} values that "
            f"are not{rows}; check where they come from, and leave such vectors out"
        )
    return found


def known_numbers(values: Any, name: str) -> Int[np.ndarray, " image"]:
    """Identity, camera or scene numbers as int64; -1 where a number is not known.

    Not known are numbers below 0, NaN, None, pandas' NA and masked ones. Whole floats count as integers, as pandas writes a
    column in which one number is missing.

    Raises
    ------
    OptionError
        If a value is no whole number.
    """
    try:
        found = _array(values)
    except ValueError as problem:
        raise _not_whole(name, str(problem)) from None
    if np.ma.is_masked(found):
        found = np.where(np.ma.getmaskarray(found), None, np.ma.getdata(found).astype(object))
    found = np.asarray(found)
    if found.dtype.kind == "O":
        found = _without_missing(found, name)
    if found.dtype.kind == "u" and found.size and found.max() > _LARGEST:
        raise _not_whole(name, f"{found.max()}, beyond 2^63 - 1")
    if found.dtype.kind == "f" or found.size == 0:
        found = found.astype(np.float64)
        known = ~np.isnan(found)
        bad = found[known & ~((found == np.floor(found)) & (np.abs(found) < 2.0**63))]
        if len(bad):
            raise _not_whole(name, f"{bad[0]}")
        found = np.where(known, found, -1)
    elif found.dtype.kind not in "iu":
        raise _not_whole(name, f"{found.dtype} such as {found.ravel().tolist()[0]!r}")
    return np.maximum(found.astype(np.int64), -1)


def check_counts(least: int, /, **counts: Any) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises
    ------
    OptionError
        Naming the first that is not.
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or count < least:
            raise OptionError(f"{name} is a whole number of at least {least}: got {count!r:.80}")


def chosen_rows(chosen: Any, n_images: int, name: str) -> Int[np.ndarray, " chosen"]:
    """Indices of the images that are chosen, by index or by a boolean for each image; all if None.

    Raises
    ------
    ShapeError
        If none is chosen, or they are not one row of numbers.
    OptionError
        If an index is no whole number or out of range.
    """
    try:
        found = np.arange(n_images) if chosen is None else _array(chosen)
        found = np.zeros((0, 0)) if np.ma.is_masked(found) else np.asarray(found)
    except ValueError:
        found = np.zeros((0, 0))
    if found.dtype.kind == "b" and found.shape == (n_images,):
        found = np.flatnonzero(found)
    if found.ndim != 1 or len(found) == 0:
        raise ShapeError(
            f"{name} chooses at least one image, by a list of indices or a boolean for each of the {n_images} images: got "
            f"{chosen!r:.80}"
        )
    if found.dtype.kind == "O" and all(_is_whole(one) for one in found.tolist()):
        found = found.astype(np.int64)
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n_images:
        raise OptionError(
            f"{name} holds indices of the {n_images} images, 0..{n_images - 1}: got {chosen!r:.80}"
        )
    return found.astype(np.int64)


def _without_missing(values: np.ndarray, name: str) -> np.ndarray:
    """Numbers out of an array of objects, NaN where one is missing."""
    import pandas as pd  # slow to import, and needed for odd columns only

    missing = pd.isna(values)
    kept = values[~missing].tolist()
    strange = [one for one in kept if not _is_whole(one)]
    if strange:
        raise _not_whole(name, f"{strange[0]!r}")
    numbers = np.full(values.shape, -1, dtype=np.int64)
    numbers[~missing] = [int(one) for one in kept]
    return numbers


def _is_whole(value: Any) -> bool:
    return (
        isinstance(value, Real)
        and not isinstance(value, (bool, np.bool_, np.timedelta64))
        and abs(value) <= _LARGEST
        and value == int(value)
    )


def _not_whole(name: str, got: str) -> OptionError:
    return OptionError(
        f"{name} are whole numbers, -1 or NaN where not known: got {got}; number names first, for example with "
        "np.unique(names, return_inverse=True)[1]"
    )


def _array(values: Any) -> np.ndarray:
    """The values as NumPy reads them, with their mask if they have one.

    Raises
    ------
    ValueError
        If it cannot.
    """
    try:
        given = _detached(values)
    except (TypeError, RuntimeError):
        raise ValueError(_NO_ARRAY) from None
    try:
        return np.ma.asarray(given) if isinstance(given, (list, tuple)) else np.asanyarray(given)
    except Exception:  # rows of different lengths; arrays of other libraries raise errors of any kind
        raise ValueError(f"{type(values).__name__} of something else, or of rows that differ") from None


def _detached(values: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    if isinstance(values, (list, tuple)) and any(isinstance(one, torch.Tensor) for one in values):
        return [_detached(one) for one in values]
    return values
