"""Tensors as a pickle describes them: which part of which stored bytes, held to the bytes that are there."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch

from mswin_viz.model.archives.pickle_tree import Global, Made, PickleAbuseError, PickleTree, Stored

__all__ = ["DENSE", "TensorPlace", "check_claims", "tensor_place"]

DENSE = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
"""Functions that make a dense tensor of a storage, an offset, sizes and strides."""
_TYPED = "torch._utils._rebuild_tensor_v3"
_OF_STORAGES = (*DENSE, _TYPED, "torch._utils._rebuild_qtensor")
_MOST_AXES = 64
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"
_SIZE = "torch.Size"
_MAKES_NUMBERS = re.compile(r"(torch\.(\w+\.)*\w*(Tensor|Storage)|numpy\.ndarray)")
_MAKES_BYTES = re.compile(r"(builtins|__builtin__)\.(bytes|bytearray|str)")
_ENCODES = "_codecs.encode"
_MOST_TEXT = 10_000  # characters of a text that a call takes, but to encode it
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
        If a tensor reaches outside its storage, the storages are larger than the file, or a call would make numbers
        of nothing: ``torch.FloatTensor(2**30)``.
    """
    stored: dict[str, int] = {}
    for made in tree.made:
        name, arguments = _call(made)
        if name in _OF_STORAGES:
            place = tensor_place(Made(Global(name), arguments))
            stored[place.key] = max(stored.get(place.key, 0), place.n_stored * place.dtype.itemsize)
        else:
            _check_call(name, arguments)
        for state in made.states:
            if isinstance(state, tuple) and state and isinstance(state[0], Stored):
                _place(state, None)
    if sum(stored.values()) > n_bytes:
        raise PickleAbuseError(f"its tensors claim {sum(stored.values()):,} bytes of {n_bytes:,}")


def _call(made: Made) -> tuple[str, tuple[Any, ...]]:
    """What is called in the end, with which arguments: a tensor of a subclass is made by another function first."""
    name, arguments = made.by.name, made.arguments
    while name == _SUBCLASS and isinstance(arguments, tuple) and len(arguments) > 2:
        function, arguments = arguments[0], arguments[2]
        name = function.name if isinstance(function, Global) else "a value"
    if not isinstance(arguments, tuple):
        raise PickleAbuseError(f"{name[:60]} is called without arguments")
    return name, arguments


def _check_call(name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a call that takes memory for numbers that the file does not hold, or long over a text."""
    is_sized = bool(arguments) and isinstance(arguments[0], int)
    is_shaped = name.endswith("._reconstruct") and (len(arguments) < 2 or 0 not in _shape(arguments[1]))
    if (
        (arguments and _MAKES_NUMBERS.fullmatch(name))
        or (is_sized and _MAKES_BYTES.fullmatch(name))
        or is_shaped
    ):
        raise PickleAbuseError(f"{name[:60]} is called for numbers that the file does not hold")
    longest = max((len(each) for each in arguments if isinstance(each, str | bytes)), default=0)
    if longest > _MOST_TEXT and name != _ENCODES:
        raise PickleAbuseError(f"{name[:60]} is called with a text of {longest:,} characters")


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
    return TensorPlace(key=key, dtype=dtype, n_stored=n_stored, offset=offset, size=size, stride=stride)


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
    if not isinstance(value, tuple) or not all(_is_count(n) for n in value):
        raise PickleAbuseError("a tensor in it has no valid shape")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _unpacked(value: Any) -> Any:
    """The tuple in a ``torch.Size``; any other value as it is."""
    is_size = isinstance(value, Made) and value.by.name == _SIZE and len(value.arguments) == 1
    return value.arguments[0] if is_size else value
