"""Run torch code with everything that is not linear held fixed, so that the rest is linear in the inputs.

Held are the factors ``(f(x) - f(0)) / x`` of activations (a ReLU's gate, the Gaussian factor of a GELU), the deviations
and norms that normalisations divide by, attention weights, gates that multiply a signal, and which values a maximum or
a sort picks. A product of two signals counts half for each. Any other operation runs on torch's own derivative, or is
held as a whole, and is named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

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
_AS_A_NUMBER = ("item", "__float__", "__int__", "__index__", "__complex__", "__bool__")
READ = "numbers read from the tokens"
"""Why a part is unexplained whose numbers left torch on their way: by ``item()``, in NumPy, in Python."""


class FrozenPass(TorchFunctionMode):
    """One run of a function: the first records what is held, later ones reuse it.

    Parameters
    ----------
    names
        Storage address of each parameter and buffer, and its name.
    inputs
        The inputs of the map; nothing else that requires a gradient is a signal.
    held
        ``kept`` of the first run; None for the first run itself.
    counts
        Whether the constant of that name counts; all do if None.
    moved
        Which of ``constants`` depend on the inputs, although nothing in torch shows it.

    Attributes
    ----------
    kept
        What was held, in order.
    constants
        What was added to a signal without being one, in order; in the first run only.
    left
        Operations that ran on torch's own derivative, or were held as a whole.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        inputs: Sequence[torch.Tensor],
        held: Iterable[Any] | None = None,
        counts: Callable[[str], bool] | None = None,
        moved: Iterable[int] = (),
    ) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.left: set[str] = set()
        self._names, self._inputs, self._counts = names, inputs, counts
        self._held = None if held is None else deque(held)
        self._moved = frozenset(moved)
        self.constants: list[torch.Tensor] = []
        self._n_constants = 0

    def hold(self, value: Any) -> Any:
        """The value as it was in the first run."""
        if self._held is not None:
            value = self._held.popleft()
        elif isinstance(value, torch.Tensor):
            value = value.detach().clone()
        self.kept.append(value)
        return value

    def held_whole(self, value: torch.Tensor, operation: str) -> torch.Tensor:
        """A value that depends on the input and is held; where it is added to a signal, it is unexplained."""
        value = self.held_copy(value)
        if isinstance(value, torch.Tensor):
            setattr(value, _HELD, operation)
        return value

    def held_copy(self, value: Any) -> Any:
        """A held value in the hands of the function, which may change it in place."""
        value = self.hold(value)
        return value.clone() if isinstance(value, torch.Tensor) else value

    def constant(self, value: Any, like: torch.Tensor) -> torch.Tensor:
        """A summand that does not depend on the input; zero if it does not count."""
        is_tensor = isinstance(value, torch.Tensor)
        tensor = value if is_tensor else torch.as_tensor(value, dtype=like.dtype, device=like.device)
        operation = getattr(value, _HELD, None)
        if self._held is None:  # what is known to be held is no constant, and has a place only
            self.constants.append(tensor.detach().clone() if operation is None else torch.empty(0))
        operation = operation or (READ if self._n_constants in self._moved else None)
        self._n_constants += 1
        if operation:
            self.left.add(operation)
            return tensor if self._held is None else torch.zeros_like(tensor)
        is_on = self._counts is None or self._counts(self.name_of(tensor))
        return tensor if is_on else torch.zeros_like(tensor)

    def name_of(self, constant: torch.Tensor) -> str:
        """The parameter or buffer that a constant is or was computed from; empty for a number."""
        given = getattr(constant, _NAME, None)
        return given or self._names.get(constant.untyped_storage().data_ptr(), "")

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
        if func.__name__ in _AS_A_NUMBER:
            return self.hold(func(args[0].detach()))
        rule = RULES.get(call.name)
        if rule is None:
            return self._as_it_is(call)
        result = rule(self, call.func, *call.args, **call.kwargs)
        if isinstance(result, torch.Tensor) and not result.requires_grad and not hasattr(result, _HELD):
            result = self.held_whole(result, f"{call.name} without a gradient")
        return written(call.target, result)

    def _as_it_is(self, call: Call) -> Any:
        """An operation with torch's own derivative; a result without one is held."""
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
        return self.hold(result)

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
        """A result computed from held values is held; one computed from a parameter keeps its name."""
        operation = next((getattr(t, _HELD) for t in tensors if hasattr(t, _HELD)), None)
        name = next((name for t in tensors if (name := self.name_of(t))), "") if operation is None else ""
        changed = [call.args[0], call.args[0]._base] if call.writes or call.name == "setitem" else []
        for part in tensors_in([result, call.target, *changed]):
            if operation is not None:
                setattr(part, _HELD, operation)
            elif name:
                setattr(part, _NAME, name)
        return result

    def _assigned(self, target: torch.Tensor, index: Any, value: Any) -> None:
        """``target[index] = value``, where anything but a signal is a constant."""
        if not target.requires_grad:
            target.copy_(self.constant(target.clone(), target))
        target[index] = constant_or_signal(self, value, target)
