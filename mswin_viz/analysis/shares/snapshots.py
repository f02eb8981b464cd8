"""One read-only copy of a module's weights, shared by all that need it and renewed once a weight has changed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import torch

from mswin_viz.model.tokens.tensors import tensors_of, versions

__all__ = ["shared_snapshot"]

Snapshot = TypeVar("Snapshot")
_KEPT: weakref.WeakKeyDictionary[torch.nn.Module, tuple[Any, Any]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def shared_snapshot(
    module: torch.nn.Module, make: Callable[[], Snapshot], *, settings: Hashable = ()
) -> Snapshot:
    """What ``make`` made of a module; made again if a parameter, buffer or one of the ``settings`` has changed.

    It is kept as long as the module lives, which ``make``'s result must not keep alive. A change is seen by torch's
    count of in-place changes, and by the sum of the bits, since ``parameter.data`` and tensors of inference mode are
    not counted: a few milliseconds for an add-on.
    """
    with _LOCK:
        key = (versions(module), tuple(_sum_of_bits(tensor) for tensor in tensors_of(module)), settings)
        kept = _KEPT.get(module)
        if kept is None or kept[0] != key:
            kept = _KEPT[module] = (key, make())
        return kept[1]


def _sum_of_bits(tensor: torch.Tensor) -> int:
    bits = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    if bits.device.type != "cpu":
        return int(bits.sum(dtype=torch.int64))
    array = bits.numpy()
    whole = len(array) - len(array) % 8
    return int(np.add.reduce(array[:whole].view(np.int64))) + int(array[whole:].sum(dtype=np.int64))
