"""Numbers in any form (lists, NumPy arrays, pandas columns, torch tensors) as NumPy arrays."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens.tensors import real_array

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_LARGEST = np.iinfo(np.int64).max
_NO_ARRAY = "a tensor that is sparse, nested, quantised or without data"


def real_numbers(values: Any, name: str, *, copy: bool = True) -> Float[np.ndarray, "*axes"]:
    """The values as float64; a tensor may be on any device, of any width, and have a gradient.

    Without ``copy`` they may be the very memory of ``values``, to be read only.

    Raises ShapeError if they are not real numbers, or rows differ in length.
    """
    try:
        dense = _detached(values)
    except (TypeError, RuntimeError):
        raise ShapeError(
            f"{name} must be real numbers in a dense tensor, an array or a list: got {_NO_ARRAY}"
        ) from None
    return real_array(dense, name).astype(np.float64, copy=copy)


def unit_rows(features: Any, name: str) -> Float[np.ndarray, "row dim"]:
    """Rows divided by their Euclidean norm, float64.

    Raises ShapeError if they are not rows of numbers, or a row has no direction.
    """
    features = real_numbers(features, f"{name} features", copy=False)
    if features.ndim != 2:
        raise ShapeError(f"{name} features must be [n, D]: got shape {features.shape}")
    units = unit_rows_or_nan(features)
    bad = np.flatnonzero(np.isnan(units[:, :1]).any(axis=1))
    if len(bad):
        raise ShapeError(
            f"features must be finite and not all 0, or they have no direction: got {len(bad)} {name} row(s) without one, "
            f"the first is row {bad[0]}; leave those images out"
        )
    return units


def unit_rows_or_nan(features: Float[np.ndarray, "row dim"]) -> Float[np.ndarray, "row dim"]:
    """Rows divided by their Euclidean norm, float64; NaN where a row has no direction: all 0, not finite, or too large."""
    features = np.asarray(features, np.float64)
    with np.errstate(over="ignore"):  # such a norm is infinite: no direction
        norms = np.sqrt(np.einsum("ij,ij->i", features, features))  # without a copy of all squares
    norms[~(np.isfinite(norms) & (norms > 0))] = np.nan
    with np.errstate(invalid="ignore"):
        return features / norms[:, None]


def finite_vectors(values: Any, name: str) -> Float[np.ndarray, "*batch dim"]:
    """One vector ``[D]``, or one for each image ``[B, D]``; float64.

    Raises ShapeError if the values are not numbers, have no or more than two axes, or are not finite.
    """
    vectors = real_numbers(values, name)
    if vectors.ndim not in (1, 2) or vectors.size == 0:
        raise ShapeError(
            f"{name} must be [D] or [B, D], one vector or one for each image: got shape {vectors.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(np.atleast_2d(vectors)).all(axis=1))
    if len(bad):
        rows = (
            f" in {len(bad)} of {counted(len(vectors), 'rows')}, the first is row {bad[0]}"
            if vectors.ndim == 2
            else ""
        )
        raise ShapeError(
            f"{name} must be finite, or every score along it is NaN: got {counted((~np.isfinite(vectors)).sum(), 'values that are', 'value that is')} "
            f"not{rows}; check where they come from, and leave such vectors out"
        )
    return vectors


def known_numbers(values: Any, name: str) -> Int[np.ndarray, "*image"]:
    """Identity, camera or scene numbers as int64; -1 where a number is not known.

    Not known are numbers below 0, NaN, None, pandas' NA and masked ones. Whole floats count as integers, as pandas
    writes a column in which one number is missing. Raises OptionError if a value is not a whole number.
    """
    try:
        numbers = _array(values)
    except ValueError as problem:
        raise _not_whole(name, str(problem)) from None
    if np.ma.is_masked(numbers):
        masked, numbers = np.ma.getmaskarray(numbers), np.ma.getdata(numbers).astype(object)
        numbers[masked] = None
    numbers = np.asarray(numbers)
    if numbers.dtype.kind == "O":
        numbers = _without_missing(numbers, name)
    if numbers.dtype.kind == "u" and numbers.size and numbers.max() > _LARGEST:
        raise _not_whole(name, f"{numbers.max()}, beyond 2^63 - 1")
    if numbers.dtype.kind == "f" or numbers.size == 0:
        numbers = numbers.astype(np.float64)
        known = ~np.isnan(numbers)
        bad = numbers[known & ~((numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63))]
        if len(bad):
            raise _not_whole(name, f"{bad[0]}")
        numbers = np.where(known, numbers, -1)
    elif numbers.dtype.kind not in "iu":
        raise _not_whole(name, f"{numbers.dtype} such as {numbers.ravel().tolist()[0]!r}")
    return np.asarray(np.maximum(numbers.astype(np.int64), -1))  # of a single number too


def check_counts(least: int, /, **counts: Any) -> None:
    """Refuse what is not a whole number of at least ``least``. Raises OptionError that names the first."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or int(count) < least:
            raise OptionError(f"{name} is a whole number of at least {least}: got {count!r:.80}")


def chosen_rows(chosen: Any, n_images: int, name: str) -> Int[np.ndarray, " chosen"]:
    """Indices of the images that are chosen, by index or by a boolean for each image; all if None.

    Raises ShapeError if no image is chosen, or they are not one row of numbers; OptionError if an index is not a
    whole number or out of range.
    """
    try:
        rows = np.arange(n_images) if chosen is None else _array(chosen)
        rows = np.zeros((0, 0)) if np.ma.is_masked(rows) else np.asarray(rows)
    except ValueError:
        rows = np.zeros((0, 0))
    if rows.dtype.kind == "b" and rows.shape == (n_images,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or len(rows) == 0:
        raise ShapeError(
            f"{name} chooses at least one image, by a list of indices or a boolean for each of the {counted(n_images, 'images')}: "
            f"got {chosen!r:.80}"
        )
    if rows.dtype.kind == "O" and all(_is_whole(index) for index in rows.tolist()):
        rows = rows.astype(np.int64)
    if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_images:
        raise OptionError(
            f"{name} holds indices of the {counted(n_images, 'images')}, 0..{n_images - 1}: got {chosen!r:.80}"
        )
    return rows.astype(np.int64)


def _without_missing(values: np.ndarray, name: str) -> np.ndarray:
    """Numbers out of an array of objects, NaN where one is missing."""
    import pandas as pd  # slow to import, and needed for odd columns only

    missing = pd.isna(values)
    known = values[~missing].tolist()
    strange = [value for value in known if not _is_whole(value)]
    if strange:
        raise _not_whole(name, f"{strange[0]!r}")
    numbers = np.full(values.shape, -1, dtype=np.int64)
    numbers[~missing] = [int(value) for value in known]
    return numbers


def _is_whole(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_, np.timedelta64)) or not isinstance(value, Real):
        return False
    number: Any = value  # numbers.Real has no typed comparison with int
    return abs(number) <= _LARGEST and number == int(number)


def _not_whole(name: str, got: str) -> OptionError:
    return OptionError(
        f"{name} are whole numbers, -1 or NaN where not known: got {got}; turn names into numbers, for example with "
        "np.unique(names, return_inverse=True)[1]"
    )


def _array(values: Any) -> np.ndarray:
    """The values as NumPy reads them, with their mask if they have one; a ValueError if it cannot."""
    try:
        dense = _detached(values)
    except (TypeError, RuntimeError):
        raise ValueError(_NO_ARRAY) from None
    try:
        return np.ma.asarray(dense) if isinstance(dense, (list, tuple)) else np.asanyarray(dense)
    except Exception:  # rows of different lengths; arrays of other libraries raise errors of any kind
        raise ValueError(f"{type(values).__name__} of something else, or of rows that differ") from None


def _detached(values: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    if isinstance(values, (list, tuple)) and any(isinstance(value, torch.Tensor) for value in values):
        return [_detached(value) for value in values]
    return values
