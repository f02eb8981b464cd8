"""Run torch code with everything that is not linear held as it is, so that what is left is linear in the inputs.

Held are the factors ``(f(x) - f(0)) / x`` of activations (a ReLU's gate, the Gaussian factor of a GELU), the deviations
and norms that normalisations divide by, attention weights, gates that multiply a signal, and which values a maximum or
a sort picks. A product of two signals counts half for each. What is none of these runs on torch's own derivative, or is
held as a whole, and is named.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mswin_viz.analysis.frozen.operations import CASTS, LINEAR, RULES, is_narrowing, name_of, out_of_place
from mswin_viz.analysis.frozen.signals import constant_or_signal, is_gate, is_signal, mark_gate

__all__ = ["FrozenPass"]

_HELD, _NAME = "_mswin_held", "_mswin_name"


class FrozenPass(TorchFunctionMode):
    """One run of a function: the first holds what is not linear, a later one is given what was held.

    Parameters
    ----------
    names
        Storage address of each parameter and buffer, and its name.
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
        held: Iterable[Any] | None = None,
        counts: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.left: set[str] = set()
        self._names, self._counts = names, counts
        self._held = None if held is None else deque(held)

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
        value = self.hold(value)
        if isinstance(value, torch.Tensor):
            setattr(value, _HELD, operation)
        return value

    def constant(self, value: Any, like: torch.Tensor) -> torch.Tensor:
        """What is added to a signal without depending on the input: zero where it does not count."""
        if not isinstance(value, torch.Tensor):
            value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        if operation := getattr(value, _HELD, None):
            self.left.add(operation)
            return value if self._held is None else torch.zeros_like(value)
        is_on = self._counts is None or self._counts(self.name_of(value))
        return value if is_on else torch.zeros_like(value)

    def name_of(self, constant: torch.Tensor) -> str:
        """The parameter or buffer that a constant is, or was made of; empty for a number."""
        given = getattr(constant, _NAME, None)
        return given or self._names.get(constant.untyped_storage().data_ptr(), "")

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name, in_place = name_of(func)
        if name in CASTS and is_narrowing(func, args, kwargs):
            return args[0]
        tensors = list(_tensors((args, tuple(kwargs.values()))))
        if not any(tensor.requires_grad for tensor in tensors):
            return self._inherited(func(*args, **kwargs), tensors)
        if name == "setitem":
            return self._assigned(*args)
        if name == "iter":
            return iter(args[0].unbind(0))
        rule = RULES.get(name)
        if rule is None:
            return self._as_it_is(func, name, args, kwargs)
        if in_place:
            return args[0].copy_(rule(self, out_of_place(name, func), *args, **kwargs))
        return rule(self, func, *args, **kwargs)

    def output_without_signal(self, output: torch.Tensor) -> torch.Tensor:
        """An output that no share reaches: held as a whole, which nothing explains, or a constant."""
        return self.constant(output, output)

    def _as_it_is(self, func: Callable, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """An operation on torch's own derivative; what has no derivative is held."""
        result = func(*args, **kwargs)
        if name not in LINEAR and any(is_signal(part) for part in _tensors(result)):
            self.left.add(name)
        if isinstance(result, torch.Tensor):
            if not result.requires_grad:
                return self.held_whole(result, name)
            return mark_gate(result) if name in LINEAR and is_gate(args[0]) else result
        if isinstance(result, (list, tuple)) and any(isinstance(part, torch.Tensor) for part in result):
            parts = [
                self.held_whole(part, name)
                if isinstance(part, torch.Tensor) and not is_signal(part)
                else part
                for part in result
            ]
            return result if all(map(is_signal, result)) else type(result)(parts)
        return result if name == "get" else self.hold(result)

    def _inherited(self, result: Any, tensors: Sequence[torch.Tensor]) -> Any:
        """What is made of held values is held, and what is made of a parameter keeps its name."""
        operation = next((getattr(t, _HELD) for t in tensors if hasattr(t, _HELD)), None)
        name = next((name for t in tensors if (name := self.name_of(t))), "") if operation is None else ""
        for part in _tensors(result):
            if operation is not None:
                setattr(part, _HELD, operation)
            elif name:
                setattr(part, _NAME, name)
        return result

    def _assigned(self, target: torch.Tensor, index: Any, value: Any) -> None:
        """``target[index] = value``, where what is not a signal is a constant."""
        if not target.requires_grad:
            target.copy_(self.constant(target.clone(), target))
        target[index] = constant_or_signal(self, value, target)


def _tensors(value: Any) -> Iterable[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
