"""Which tensors depend on the input, which are held, and which are gates; marks on the tensors themselves."""

from __future__ import annotations

from typing import Any, Protocol

import torch

_GATE = "_mswin_gate"


class Run(Protocol):
    """What a rule needs from the pass it belongs to; see :class:`mswin_viz.analysis.frozen.frozen_pass.FrozenPass`."""

    left: set[str]

    def hold(self, value: Any) -> Any:
        """The value as it was in the first run."""

    def held_whole(self, value: torch.Tensor, operation: str) -> torch.Tensor:
        """A value that depends on the input and is held."""
        ...

    def constant(self, value: Any, like: torch.Tensor) -> torch.Tensor:
        """A summand that does not depend on the input."""
        ...

    def __enter__(self) -> Any:
        """Code in its context is made linear by the same rules as the module's own."""

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any:
        """Leave that context."""


def is_signal(value: Any) -> bool:
    """Whether it depends on the input."""
    return isinstance(value, torch.Tensor) and value.requires_grad


def signal_of(*values: Any) -> torch.Tensor:
    """The first that depends on the input."""
    return next(value for value in values if is_signal(value))


def constant_or_signal(run: Run, value: Any, like: torch.Tensor) -> torch.Tensor:
    """A summand: a signal as it is, anything else as a constant."""
    return value if is_signal(value) else run.constant(value, like)


def is_gate(value: Any) -> bool:
    """Whether it is a sigmoid, or computed from sigmoids alone: held where it multiplies a signal."""
    return hasattr(value, _GATE)


def mark_gate(value: torch.Tensor) -> torch.Tensor:
    """Mark a gate."""
    setattr(value, _GATE, True)
    return value


def gate_if(result: torch.Tensor, *parts: Any) -> torch.Tensor:
    """A result computed from gates alone is a gate."""
    return mark_gate(result) if all(is_gate(part) for part in parts if is_signal(part)) else result
