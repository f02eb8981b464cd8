"""Tensors as a pickle describes them: which part of which stored bytes, checked against the bytes that are there."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch

from mswin_viz.data.shown_text import counted
from mswin_viz.model.archives.pickle_tree import Global, Made, PickleAbuseError, PickleTree, Stored

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
    """Where a dense tensor lies in the ``n_stored`` elements stored as ``key``; offset and stride in elements."""

    key: str
    dtype: torch.dtype
    n_stored: int
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def check_claims(tree: PickleTree, n_bytes: int) -> None:
    """Check what a pickle of ``torch.save`` claims against its file, before torch reserves memory for it.

    PickleAbuseError if a tensor reaches outside its storage, all storages together have more than ``n_bytes``, or a
    call would make numbers out of nothing: ``torch.FloatTensor(2**30)``.
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
    """The function finally called, and its arguments: a tensor of a subclass is wrapped in another call."""
    name, arguments = made.by.name, made.arguments
    while name == _SUBCLASS and isinstance(arguments, tuple) and len(arguments) > 2:
        function, arguments = arguments[0], arguments[2]
        name = function.name if isinstance(function, Global) else "a value"
    if not isinstance(arguments, tuple):
        raise PickleAbuseError(f"{name[:60]} is called without arguments")
    return name, arguments


def _check_call(name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a call that reserves memory for numbers that the file does not hold, or is slow over a long text."""
    makes_numbers = bool(arguments) and _MAKES_NUMBERS.fullmatch(name)
    makes_bytes = bool(arguments) and isinstance(arguments[0], int) and _MAKES_BYTES.fullmatch(name)
    is_shaped = name.endswith("._reconstruct") and (len(arguments) < 2 or 0 not in _shape(arguments[1]))
    if makes_numbers or makes_bytes or is_shaped:
        raise PickleAbuseError(f"{name[:60]} is called for numbers that the file does not hold")
    longest = max((len(each) for each in arguments if isinstance(each, str | bytes)), default=0)
    if longest > _MOST_TEXT and name != _ENCODES:
        raise PickleAbuseError(f"{name[:60]} is called with a text of {longest:,} characters")


def tensor_place(made: Made) -> TensorPlace:
    """Where the tensor lies that a call would make; PickleAbuseError if it has no known dtype or valid place."""
    typed = made.arguments[6] if made.by.name == _TYPED and len(made.arguments) > 6 else None
    return _place(made.arguments, typed)


def _place(arguments: Any, typed: Any) -> TensorPlace:
    if not isinstance(arguments, tuple) or len(arguments) < 4 or not isinstance(arguments[0], Stored):
        raise PickleAbuseError("a tensor in it has no storage")
    key, stored_dtype, n_stored = _storage(arguments[0].identity)
    dtype = stored_dtype if typed is None else _dtype(typed, "")
    n_stored = n_stored * stored_dtype.itemsize // dtype.itemsize
    offset, size, stride = arguments[1], _shape(arguments[2]), _shape(arguments[3])
    if not _is_count(offset) or len(size) != len(stride) or len(size) > _MOST_AXES:
        raise PickleAbuseError("a tensor in it has no valid shape")
    reach = sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if math.prod(size) else -1
    if (
        offset + reach >= n_stored
        or math.prod(n for n in size if n) >= 2**63
        or any(step >= 2**63 for step in stride)
    ):
        raise PickleAbuseError(
            f"a tensor of shape {size[:6]} in it reaches outside its storage, which has {counted(n_stored, 'elements')}"
        )
    return TensorPlace(key=key, dtype=dtype, n_stored=n_stored, offset=offset, size=size, stride=stride)


def _storage(identity: Any) -> tuple[str, torch.dtype, int]:
    """Name, dtype and number of elements of a reference ``("storage", KIND, KEY, DEVICE, N, ...)``."""
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise PickleAbuseError("it refers to something that is not a storage")
    _, kind, key, device, n_elements = identity[:5]
    if not isinstance(key, str) or not _is_count(n_elements) or device == "meta":
        raise PickleAbuseError("it refers to a storage without data or without a valid size")
    return key, _dtype(kind, "Storage"), n_elements


def _dtype(kind: Any, ends: str) -> torch.dtype:
    name = kind.name if isinstance(kind, Global) else ""
    bare = name.removeprefix("torch.storage.").removeprefix("torch.").removesuffix(ends)
    dtype = getattr(torch, _NAMES.get(bare, bare.lower()), None) if name.endswith(ends) else None
    if not isinstance(dtype, torch.dtype):
        raise PickleAbuseError(f"a tensor in it is of an unknown kind ({name[:60] or 'no name'})")
    return dtype


def _shape(value: Any) -> tuple[int, ...]:
    """The sizes in a tuple or a ``torch.Size``."""
    if isinstance(value, Made) and value.by.name == _SIZE and len(value.arguments) == 1:
        value = value.arguments[0]
    if not isinstance(value, tuple) or not all(_is_count(n) for n in value):
        raise PickleAbuseError("a tensor in it has no valid shape")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
