"""Tensors as a pickle describes them: which part of which stored bytes, held to the bytes that are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from mswin_viz.model.pickle_tree import Global, Made, PickleAbuseError, PickleTree, Stored

__all__ = ["DENSE", "TensorPlace", "check_claims", "tensor_place"]

DENSE = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
"""Functions that make a dense tensor of a storage, an offset, sizes and strides."""
_TYPED = "torch._utils._rebuild_tensor_v3"
_OF_STORAGES = (*DENSE, _TYPED, "torch._utils._rebuild_qtensor")
_MOST_AXES = 64
_MOST_RESERVED = (
    2**24
)  # elements that a call without data takes memory for: bytes(n), FloatTensor(rows, cols)
_SIZE = "torch.Size"
_NAMES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "Long": "int64", "Int": "int32", "Short": "int16",
    "Char": "int8", "Byte": "uint8", "ComplexDouble": "complex128", "ComplexFloat": "complex64",
    "ComplexHalf": "complex32", "Untyped": "uint8",
}  # fmt: skip
"""Torch's names of storages -> those of its dtypes; the others differ in case alone."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a dense tensor lies.

    Attributes
    ----------
    key
        Name of the stored bytes.
    dtype
        Of an element.
    n_stored
        Elements in the whole of the stored bytes.
    offset, size, stride
        In elements.
    """

    key: str
    dtype: torch.dtype
    n_stored: int
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def check_claims(tree: PickleTree, n_bytes: int) -> None:
    """Hold what a pickle of ``torch.save`` claims to the bytes of its file, before torch reserves memory for it.

    Parameters
    ----------
    tree
        The pickle.
    n_bytes
        What all storages together may have.

    Raises
    ------
    PickleAbuseError
        If a tensor reaches outside its storage, or the storages are larger than the file.
    """
    stored: dict[str, int] = {}
    for made in tree.made:
        is_tensor = made.by.name in _OF_STORAGES
        if is_tensor:
            place = tensor_place(made)
            stored[place.key] = max(stored.get(place.key, 0), place.n_stored * place.dtype.itemsize)
        elif not isinstance(made.arguments, tuple | list):
            raise PickleAbuseError(f"{made.by.name[:60]} is called without arguments")
        elif _reserved(made) > _MOST_RESERVED:
            raise PickleAbuseError(
                f"{made.by.name[:60]} would reserve memory for {_reserved(made):,} elements"
            )
        for state in made.states:
            if isinstance(state, tuple) and state and isinstance(state[0], Stored):
                _place(state, None)
    if sum(stored.values()) > n_bytes:
        raise PickleAbuseError(f"its tensors claim {sum(stored.values()):,} bytes of {n_bytes:,}")


def tensor_place(made: Made) -> TensorPlace:
    """Where the tensor lies that a call would make.

    Raises
    ------
    PickleAbuseError
        If its dtype is unknown, or it reaches outside its storage.
    """
    return _place(
        made.arguments, made.arguments[6] if made.by.name == _TYPED and len(made.arguments) > 6 else None
    )


def _place(arguments: Any, typed: Any) -> TensorPlace:
    if not isinstance(arguments, tuple) or len(arguments) < 4 or not isinstance(arguments[0], Stored):
        raise PickleAbuseError("a tensor in it has no storage")
    key, stored_dtype, n_stored = _storage(arguments[0].identity)
    dtype = stored_dtype if typed is None else _dtype(typed, "torch.", "")
    n_stored = n_stored * stored_dtype.itemsize // dtype.itemsize
    offset, size, stride = arguments[1], _shape(arguments[2]), _shape(arguments[3])
    if not _is_count(offset) or len(size) != len(stride) or len(size) > _MOST_AXES:
        raise PickleAbuseError("a tensor in it has no valid shape")
    n_elements = math.prod(size)
    last = (
        offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if n_elements
        else offset - 1
    )
    if last >= n_stored or math.prod(n for n in size if n) >= 2**63 or any(step >= 2**63 for step in stride):
        raise PickleAbuseError(
            f"a tensor of shape {size[:6]} in it reaches outside its storage, which has {n_stored:,} elements"
        )
    return TensorPlace(key, dtype, n_stored, offset, size, stride)


def _storage(identity: Any) -> tuple[str, torch.dtype, int]:
    """Name, dtype and number of elements of a reference ``("storage", KIND, KEY, DEVICE, N, ...)``."""
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise PickleAbuseError("it refers to what is not a storage")
    _, kind, key, device, n_elements = identity[:5]
    if not isinstance(key, str) or not _is_count(n_elements) or device == "meta":
        raise PickleAbuseError("it refers to a storage without data or without a valid size")
    return key, _dtype(kind, "torch.", "Storage"), n_elements


def _dtype(kind: Any, begins: str, ends: str) -> torch.dtype:
    name = kind.name if isinstance(kind, Global) else ""
    bare = name.removeprefix("torch.storage.").removeprefix(begins).removesuffix(ends)
    dtype = getattr(torch, _NAMES.get(bare, bare.lower()), None) if name.endswith(ends) else None
    if not isinstance(dtype, torch.dtype):
        raise PickleAbuseError(f"a tensor in it is of a kind that is not known ({name[:60] or 'no name'})")
    return dtype


def _shape(value: Any) -> tuple[int, ...]:
    value = _unpacked(value)
    if not isinstance(value, tuple | list) or not all(_is_count(n) for n in value):
        raise PickleAbuseError("a tensor in it has no valid shape")
    return tuple(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _reserved(made: Made) -> int:
    """How many elements a function reserves that is called with numbers, or with a shape, alone."""
    if made.by.name == _SIZE or made.by.name.startswith("torch._utils."):
        return 0
    shapes = [made.arguments, *(_unpacked(each) for each in made.arguments)]
    shapes = [
        each for each in shapes if isinstance(each, tuple | list) and each and all(map(_is_count, each))
    ]
    return max(map(math.prod, shapes), default=0)


def _unpacked(value: Any) -> Any:
    """The tuple in a ``torch.Size``; any other value as it is."""
    is_size = isinstance(value, Made) and value.by.name == _SIZE and len(value.arguments) == 1
    return value.arguments[0] if is_size else value
