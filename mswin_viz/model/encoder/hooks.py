"""What modules take and put out while something else runs them; every hook is removed, also after an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch


def outputs_of(*modules: torch.nn.Module) -> AbstractContextManager[list[torch.Tensor]]:
    """Collect this thread's outputs of modules while the context lasts, in the order they come."""
    return _collected(modules, lambda _inputs, output: output)


def calls_of(*modules: torch.nn.Module) -> AbstractContextManager[list[tuple[tuple, tuple]]]:
    """Collect this thread's inputs and outputs of modules that put out several, in the order of the calls."""
    return _collected(modules, lambda inputs, outputs: (inputs, outputs))


@contextmanager
def _collected(modules: Iterable[torch.nn.Module], kept: Callable[[Any, Any], Any]) -> Iterator[list[Any]]:
    found: list[Any] = []
    here = threading.get_ident()

    def collect(_module: torch.nn.Module, inputs: tuple, output: Any) -> None:
        if threading.get_ident() == here:
            found.append(kept(inputs, output))

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(collect).remove)
        yield found


@contextmanager
def output_replaced(module: torch.nn.Module, output: torch.Tensor) -> Iterator[None]:
    """Let a module put out a given tensor while the context lasts, in this thread."""
    here = threading.get_ident()

    def replaced(_module: torch.nn.Module, _inputs: tuple, own: torch.Tensor) -> torch.Tensor:
        return output if threading.get_ident() == here else own

    hook = module.register_forward_hook(replaced)
    try:
        yield
    finally:
        hook.remove()
