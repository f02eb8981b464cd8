"""Run torch code with everything that is not linear held as it is, so that what is left is linear in the inputs.

Held are the factors ``(f(x) - f(0)) / x`` of activations (a ReLU's gate, the Gaussian factor of a GELU), the deviations
and norms that normalisations divide by, attention weights, gates that multiply a signal, and which values a maximum or
a sort picks. A product of two signals counts half for each. Any other operation runs on torch's own derivative, or is
held as a whole, and is named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from mswin_viz.analysis.frozen.calls import Call, tensors_in, without_own_gradients, written
from mswin_viz.analysis.frozen.operations import (
    CASTS,
    LIKE_ANOTHER,
    LINEAR,
    PART_BY_PART,
    PLAIN,
    RULES,
    is_narrowing,
)
from mswin_viz.analysis.frozen.signals import constant_or_signal, is_gate, is_signal, mark_gate

_HELD, _NAME = "_mswin_held", "_mswin_name"
_OF_DATA = (
    "tensor",
    "as_tensor",
    "asarray",
    "new_tensor",
    "from_dlpack",
)  # these take numbers from outside torch


class _HeldNumber(float):
    """A number that was read off a signal; sums and products with numbers are such numbers, too."""

    operation: str

    def __new__(cls, value: float, operation: str) -> _HeldNumber:
        number = super().__new__(cls, value)
        number.operation = operation
        return number

    def __add__(self, other: Any) -> Any:
        return self._of(float.__add__(self, other))

    def __mul__(self, other: Any) -> Any:
        return self._of(float.__mul__(self, other))

    def __truediv__(self, other: Any) -> Any:
        return self._of(float.__truediv__(self, other))

    def __neg__(self) -> Any:
        return self._of(float.__neg__(self))

    def __abs__(self) -> Any:
        return self._of(float.__abs__(self))

    def __sub__(self, other: Any) -> Any:
        return self._of(float.__sub__(self, other))

    def __rsub__(self, other: Any) -> Any:
        return self._of(float.__rsub__(self, other))

    def __rtruediv__(self, other: Any) -> Any:
        return self._of(float.__rtruediv__(self, other))

    def __pow__(self, other: Any, _mod: None = None) -> Any:
        return self._of(float.__pow__(self, other))

    def __rpow__(self, other: Any, _mod: None = None) -> Any:
        return self._of(float.__rpow__(self, other))

    __radd__, __rmul__ = __add__, __mul__

    def _of(self, value: Any) -> Any:
        return value if value is NotImplemented else _HeldNumber(value, self.operation)


class FrozenPass(TorchFunctionMode):
    """One run of a function: the first holds what is not linear, a later one is given what was held.

    Parameters
    ----------
    names
        Storage address of each parameter and buffer, and its name.
    inputs
        What the function is a map of; nothing else that requires a gradient is a signal.
    held
        ``kept`` of the first run; None for the first run itself.
    counts
        Whether a constant of that name takes part; all do if None.

    Attributes
    ----------
    kept
        What was held, in order.
    left
        Operations that ran on torch's own derivative, or were held as a whole.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        inputs: Sequence[torch.Tensor],
        held: Iterable[Any] | None = None,
        counts: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.left: set[str] = set()
        self._names, self._inputs, self._counts = names, inputs, counts
        self._held = None if held is None else deque(held)
        self._numbers: dict[float, str] = {}  # that left torch, and by which operation
        self._gone = (
            ""  # by which numbers of a signal left torch, to come back in tensors that nobody can tell
        )

    def hold(self, value: Any) -> Any:
        """The value as it was in the first run."""
        if self._held is not None:
            value = self._held.popleft()
        elif isinstance(value, torch.Tensor):
            value = value.detach().clone()
        self.kept.append(value)
        return value

    def held_whole(self, value: torch.Tensor, operation: str) -> torch.Tensor:
        """A value that depends on the input and is held; added to a signal, it is a part that no share explains."""
        value = self.held_copy(value)
        if isinstance(value, torch.Tensor):
            setattr(value, _HELD, operation)
        return value

    def held_copy(self, value: Any) -> Any:
        """A held value in the hands of the function, which may change it in place."""
        value = self.hold(value)
        return value.clone() if isinstance(value, torch.Tensor) else value

    def constant(self, value: Any, like: torch.Tensor) -> torch.Tensor:
        """What is added to a signal without depending on the input: zero where it does not count."""
        operation = self._numbers.get(value) if isinstance(value, float) else getattr(value, _HELD, None)
        operation = value.operation if isinstance(value, _HeldNumber) else operation
        if isinstance(value, torch.Tensor):
            operation = operation or (self._gone if not self._is_known(value) else None)
        else:
            value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        if operation:
            self.left.add(operation)
            return value if self._held is None else torch.zeros_like(value)
        is_on = self._counts is None or self._counts(self.name_of(value))
        return value if is_on else torch.zeros_like(value)

    def name_of(self, constant: torch.Tensor) -> str:
        """The parameter or buffer that a constant is, or was made of; empty for a number."""
        given = getattr(constant, _NAME, None)
        return given or self._names.get(constant.untyped_storage().data_ptr(), "")

    def _is_known(self, constant: torch.Tensor) -> bool:
        """Whether it can be told from one that the module has made of numbers that left torch."""
        return not self._gone or hasattr(constant, _NAME) or bool(self.name_of(constant))

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        args, kwargs = without_own_gradients(args, self._inputs), kwargs or {}
        call = Call.of(func, args, {key: without_own_gradients(v, self._inputs) for key, v in kwargs.items()})
        if call.name in CASTS and is_narrowing(func, call.args, call.kwargs):
            return call.args[0]
        tensors = list(tensors_in((call.args, tuple(call.kwargs.values()))))
        if not any(tensor.requires_grad for tensor in tensors):
            return self._inherited(call, call.run(), tensors)
        if call.name == "setitem":
            return self._assigned(*call.args)
        if call.name in ("copy", "fill") and call.writes:
            self._assigned(call.args[0], Ellipsis, call.args[1])
            return call.args[0]
        if call.name == "iter":
            return iter(call.args[0].unbind(0))
        rule = RULES.get(call.name)
        if rule is None:
            return self._as_it_is(call)
        result = rule(self, call.func, *call.args, **call.kwargs)
        if isinstance(result, torch.Tensor) and not result.requires_grad and not hasattr(result, _HELD):
            result = self.held_whole(result, f"{call.name} without a gradient")
        return written(call.target, result)

    def output_without_signal(self, output: torch.Tensor) -> torch.Tensor:
        """An output that no share reaches: held as a whole, which nothing explains, or a constant."""
        return self.constant(output, output)

    def _as_it_is(self, call: Call) -> Any:
        """An operation on torch's own derivative; what has no derivative is held."""
        name, result = call.name, call.run()
        if name in PLAIN:  # it reads nothing of a signal but its shape
            return result
        if name in LIKE_ANOTHER and not is_signal(call.args[0]):
            return self._inherited(call, result, call.args[:1])
        if name not in LINEAR and any(is_signal(part) for part in tensors_in(result)):
            self.left.add(name)
        if isinstance(result, torch.Tensor):
            if not result.requires_grad:
                return self.held_whole(result, call.func.__self__.__name__ if name == "get" else name)
            return mark_gate(result) if name in LINEAR and is_gate(call.args[0]) else result
        if isinstance(result, (list, tuple)) and any(isinstance(part, torch.Tensor) for part in result):
            return result if all(map(is_signal, result)) else self._parts(call, result)
        if name == "get":
            return result
        return self._leaving(self.hold(result), name, call.func.__name__)

    def _parts(self, call: Call, result: Any) -> Any:
        """Several results, some of them no signals: each made of its own argument, or of a signal, and then held."""
        given = list(tensors_in(call.args)) if call.name in PART_BY_PART else [None] * len(result)
        parts = []
        for part, source in zip(result, given, strict=True):
            if not isinstance(part, torch.Tensor) or is_signal(part):
                parts.append(part)
            elif source is None:
                parts.append(self.held_whole(part, call.name))
            else:
                parts.append(self._inherited(call, part, [source]))
        return type(result)(parts)

    def _inherited(self, call: Call, result: Any, tensors: Sequence[torch.Tensor]) -> Any:
        """What is made of held values is held, and what is made of a parameter keeps its name."""
        operation = self._held_in((call.args, tuple(call.kwargs.values())), tensors)
        name = next((name for t in tensors if (name := self.name_of(t))), "") if operation is None else ""
        written = [call.args[0], call.args[0]._base] if call.writes or call.name == "setitem" else []
        for part in tensors_in([result, call.target, *written]):
            if operation is not None:
                setattr(part, _HELD, operation)
            elif name or call.name not in _OF_DATA:
                setattr(part, _NAME, name)
        return result if operation is None else self._leaving(result, operation, call.func.__name__)

    def _held_in(self, arguments: Any, tensors: Sequence[torch.Tensor]) -> str | None:
        """The operation by which an argument is held; of a tensor that nobody can tell, the one by which numbers left."""
        for tensor in tensors:
            if hasattr(tensor, _HELD):
                return getattr(tensor, _HELD)
        number = next(_held_numbers(arguments), None)
        if number is not None:
            return number.operation
        return None if all(map(self._is_known, tensors)) else self._gone

    def _leaving(self, result: Any, operation: str, func_name: str) -> Any:
        """A result, of which a number stays known as held; of others the module may make tensors that nobody can tell."""
        is_list = isinstance(result, list) and not any(tensors_in(result))
        if is_list or isinstance(result, (float, np.ndarray)) or type(result).__name__ == "PyCapsule":
            self._gone = operation
        if not isinstance(result, float):
            return result
        if not result.is_integer():  # a 1.0 is as likely to be written in the code
            self._numbers[float(result)] = operation
        return float(result) if func_name == "__float__" else _HeldNumber(result, operation)

    def _assigned(self, target: torch.Tensor, index: Any, value: Any) -> None:
        """``target[index] = value``, where what is not a signal is a constant."""
        if not target.requires_grad:
            target.copy_(self.constant(target.clone(), target))
        target[index] = constant_or_signal(self, value, target)


def _held_numbers(value: Any) -> Iterator[_HeldNumber]:
    """Every held number of nested lists and tuples."""
    if isinstance(value, _HeldNumber):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _held_numbers(part)
