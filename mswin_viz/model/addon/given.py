"""A module as its user passes it: the arguments of its ``forward``, its wrappers removed, and a copy of it."""

from __future__ import annotations

import copy
import inspect
from typing import TypeVar

from torch import nn
from torch.nn.parameter import is_lazy

from mswin_viz.errors import OptionError

Module = TypeVar("Module", bound=nn.Module)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)


def bare_module(module: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel and ``torch.compile``, which share its weights."""
    while True:
        is_parallel = isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        inner = module.module if is_parallel else getattr(module, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def asks_for_cls(module: nn.Module) -> bool:
    """Whether ``forward`` needs two arguments, patches and CLS tokens.

    Raises OptionError if it needs more, or is compiled by TorchScript.
    """
    if any(kind.__module__.startswith("torch.jit.") for kind in type(module).__mro__):
        raise OptionError(
            f"an add-on must be an eager module, so that its operations can be seen: got a torch.jit.{type(module).__name__}; "
            "pass the eager module it was made from, with the same state dict"
        )
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [p for p in parameters if p.kind in _NAMED and p.default is inspect.Parameter.empty]
    positional = [p for p in needed if p.kind in _POSITIONAL]
    if len(positional) > 2 or len(positional) < len(needed):
        raise OptionError(
            "an add-on must be callable as forward(patches) or forward(patches, cls): "
            f"got {type(module).__qualname__}.forward({', '.join(p.name for p in needed)}); give every other argument a "
            "default"
        )
    return len(positional) == 2


def copied(module: Module) -> Module:
    """A deep copy; OptionError if the module cannot be copied."""
    try:
        return copy.deepcopy(module)
    except Exception as problem:
        name = type(getattr(module, "module", module)).__name__
        raise OptionError(
            f"an add-on must be copyable, for a copy of it is used: {name} cannot be copied "
            f"({type(problem).__name__}: {problem}); pass a function that builds it; a module with "
            "torch.nn.utils.weight_norm can be copied after a run under torch.no_grad()"
        ) from problem


def checked_sized(module: Module) -> Module:
    """The same module; OptionError if a lazy layer has no size yet."""
    lazy = next((name for name, weight in module.named_parameters() if is_lazy(weight)), None)
    if lazy is not None:
        raise OptionError(
            f"weights are loaded into layers of known size: {lazy} of {type(module).__name__} is still lazy; run the module "
            "once on tokens, module(torch.zeros(1, N, D)), then load the file"
        )
    return module
