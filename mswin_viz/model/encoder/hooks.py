"""What modules put out while something else runs them; every hook is removed, also after an error."""

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
