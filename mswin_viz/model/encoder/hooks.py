"""What modules take and put out while something else runs them; every hook is removed, also after an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def outputs_of(*modules: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect this thread's outputs of modules while the context lasts, in the order they come."""
    outputs: list[torch.Tensor] = []
    here = threading.get_ident()

    def collect(_module: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        if threading.get_ident() == here:
            outputs.append(output)

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(collect).remove)
        yield outputs


@contextmanager
def calls_of(*modules: torch.nn.Module) -> Iterator[list[tuple[tuple, tuple]]]:
    """Collect this thread's inputs and outputs of modules that put out several, in the order of the calls."""
    calls: list[tuple[tuple, tuple]] = []
    here = threading.get_ident()

    def collect(_module: torch.nn.Module, inputs: tuple, outputs: tuple) -> None:
        if threading.get_ident() == here:
            calls.append((inputs, outputs))

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(collect).remove)
        yield calls


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
